"""The comparison as Markdown, as JSON, and as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import kineograph
from kineograph.compare.columns import COST, FILLING, LIKENESS, Column, by_rule, follows
from kineograph.compare.contest import Entry, Terms
from kineograph.compare.plots import DRAWINGS, plot
from kineograph.evaluation.cost import Machine
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.media.decode import read_video
from kineograph.provenance import mark
from kineograph.provenance.claim import GENERATED, Claim
from kineograph.worlds.world import WORLDS

RULE = "no model"
SHEET, COLUMNS = "clips.png", 3  # frames of each clip
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
video, img { max-width: 100%; } video { width: 128px; image-rendering: pixelated; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1rem; }
"""


def write(entries: Sequence[Entry], terms: Terms, out: Path) -> list[Path]:
    """Write README.md, comparison.json and comparison.html, with the plots and a contact sheet beside them.
    Without matplotlib there are no plots.

    Raises:
        OutputError: a file can't be written.
        MediaError: a clip of an entry can't be read.
    """
    drawn = DRAWINGS if find_spec("matplotlib") else ()
    pictures = {f"{name}.png": plot(name, entries) for name in drawn}
    values = {entry.preset: entry.report for entry in entries}
    _write_sheet(entries, out / SHEET)
    shown = pictures | {SHEET: (out / SHEET).read_bytes()}
    files = {
        "README.md": markdown(entries, terms, list(shown)).encode(),
        "comparison.json": (json.dumps(values) + "\n").encode(),
        "comparison.html": page(entries, terms, shown).encode(),
        **pictures,
    }
    for name, content in files.items():
        with replacing(out / name) as part:
            part.write_bytes(content)
    return [out / name for name in (*files, SHEET)]


def _write_sheet(entries: Sequence[Entry], path: Path) -> None:
    """Frames of each prompt's clips, those of all models below one another."""
    shown = [(entry, n) for n in range(len(entries[0].prompts)) for entry in entries]
    videos = [read_video(entry.clips[n]) for entry, n in shown]
    labels = [f"{entry.preset}: {entry.prompts[n]}" for entry, n in shown]
    models = ", ".join(entry.preset for entry in entries)
    claim = Claim(f"kineograph {kineograph.__version__}", GENERATED, model=models)
    mark.save_sheet(videos, labels, COLUMNS, claim, path)


def markdown(entries: Sequence[Entry], terms: Terms, pictures: Sequence[str]) -> str:
    """The tables in Markdown, and the pictures that lie beside them."""
    parts = [f"# Families compared\n\n{_terms(entries, terms)}"]
    for title, columns, rows in _tables(entries, terms):
        meanings = "\n".join(f"- **{name}**: {meaning}." for name, meaning in _meanings(columns, rows))
        parts.append(f"## {title}\n\n{table(*_cells(columns, rows))}\n\n{meanings}")
    shown = [f"![{Path(name).stem}]({name})" for name in pictures]
    return "\n\n".join([*parts, *shown, f"## Print it again\n\n    {_command(terms)}"]) + "\n"


def _command(terms: Terms) -> str:
    """What these terms were asked for by."""
    usual = Terms()
    options = [f"--budget {terms.minutes:g}", f"--clips {terms.judged}"]
    options += [f"--world {terms.world}"] * (terms.world != usual.world)
    options += [f"--seed {terms.seed}"] * (terms.seed != usual.seed)
    options += ["--data CLIPS"] * bool(terms.data) + ["--allow-unlicensed"] * terms.allow_unlicensed
    return " ".join(["kineo compare", *terms.presets, *options, "--report DIR"])


def page(entries: Sequence[Entry], terms: Terms, pictures: dict[str, bytes]) -> str:
    """All of it, with plots and clips inside."""
    parts = [f"<h1>Families compared</h1><p>{html.escape(_terms(entries, terms))}</p>"]
    for title, columns, rows in _tables(entries, terms):
        told = [map(html.escape, pair) for pair in _meanings(columns, rows)]
        meanings = "".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in told)
        head, cells = _cells(columns, rows)
        parts.append(f"<h2>{html.escape(title)}</h2>{_table([head, *cells])}<dl>{meanings}</dl>")
    parts += [f'<img alt="{name}" src="{_inside("image/png", data)}">' for name, data in pictures.items()]
    parts.append(f"<h2>The same prompts and seeds</h2>{_table(_clips(entries), plain=False)}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Families compared</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _terms(entries: Sequence[Entry], terms: Terms) -> str:
    reports = [entry.report for entry in entries]
    trained = [report["facts"]["machine"] for report in reports if report["facts"]]
    measured = [Machine(**report["cost"]["machine"]).words for report in reports]
    machines = "; ".join(dict.fromkeys(trained + measured))
    return f"Each was trained for {terms.minutes:g} minutes on {_learnt(terms)}. Machine: {machines}."


def _learnt(terms: Terms) -> str:
    """What all learnt from, and what they were measured by."""
    if terms.data:
        return (
            "the same clips of somebody's own, of which every fifth was kept from training, in the latents "
            f"of one tokenizer, and measured by {terms.judged} windows at most of those that were kept; what "
            "a prompt asks for is not judged, as there are no detectors for it"
        )
    return (
        f"the same {terms.latents:,} clips of the {terms.world} world (seed {terms.seed}), in the latents "
        f"of one tokenizer, and made {terms.judged} clips for each kind of scenes"
    )


def _tables(
    entries: Sequence[Entry], terms: Terms
) -> Iterator[tuple[str, Sequence[Column], Sequence[Entry]]]:
    """The title, columns and rows of each table. Prompts are judged of a world alone."""
    judged = () if terms.data else follows(WORLDS[terms.world])
    yield "Follows the prompt", (*judged, *LIKENESS), entries
    ablest = max(entries, key=lambda entry: len(entry.report["filling"]))
    rule = replace(ablest, preset=RULE, report=by_rule(ablest.report))
    yield "Goes on and fills in", FILLING, (*entries, rule)
    yield "Costs", COST, entries


def _meanings(columns: Sequence[Column], rows: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """The name of each column, and of a row that is no model, with what it means."""
    yield from ((column.name, column.meaning) for column in columns)
    if any(row.preset == RULE for row in rows):
        yield RULE, "the last frame held, and a hole filled from its left to its right"


def _cells(columns: Sequence[Column], rows: Sequence[Entry]) -> tuple[list[str], list[list[str]]]:
    """The head of a table, and what stands below it."""
    head = ["model", *(column.name for column in columns)]
    return head, [[row.preset, *(column.cell(row) for column in columns)] for row in rows]


def _clips(entries: Sequence[Entry]) -> list[list[str]]:
    """The clips of each prompt, a column to a model, as HTML."""
    rows = [["", *(html.escape(entry.preset) for entry in entries)]]
    for number, prompt in enumerate(entries[0].prompts):
        shown = [_inside("video/mp4", entry.clips[number].read_bytes()) for entry in entries]
        videos = [f'<video src="{data}" autoplay loop muted playsinline></video>' for data in shown]
        rows.append([html.escape(prompt), *videos])
    return rows


def _table(rows: Sequence[Sequence[str]], *, plain: bool = True) -> str:
    """`plain` cells are text, others HTML."""
    cells = [[html.escape(cell) if plain else cell for cell in row] for row in rows]
    head = "".join(f"<th>{cell}</th>" for cell in cells[0])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


def _inside(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
