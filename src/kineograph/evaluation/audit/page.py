"""An audit as Markdown, as JSON, and as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from kineograph.evaluation.audit.findings import LEAST_READ, RULE, Audit, Measure, Mended, Opened, Read
from kineograph.evaluation.audit.memory import Memory
from kineograph.evaluation.audit.plots import plots
from kineograph.evaluation.figures import Figure
from kineograph.evaluation.report import percent, ratio, table
from kineograph.media.atomic import replacing

NONE = "-"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; } .flagged { color: #b00020; font-weight: 600; }
"""
FLAGGED = "flagged"

Rows = list[list[str]]


def write(audit: Audit, out: Path) -> list[Path]:
    """Write README.md, audit.json and audit.html, with the plots beside them; without matplotlib there are
    no plots.

    Raises:
        OutputError: a file can't be written.
    """
    pictures = plots(audit) if find_spec("matplotlib") else {}
    files = {
        "README.md": markdown(audit, list(pictures)).encode(),
        "audit.json": (json.dumps(audit.to_dict(), allow_nan=False) + "\n").encode(),
        "audit.html": page(audit, pictures).encode(),
        **pictures,
    }
    for name, content in files.items():
        with replacing(out / name) as part:
            part.write_bytes(content)
    return [out / name for name in files]


def markdown(audit: Audit, pictures: Sequence[str] = ()) -> str:
    """The tables in Markdown, and the pictures that lie beside them."""
    parts = [f"# Audit of {audit.spec.name}: {audit.verdict}\n\n{_about(audit)}"]
    for title, text, rows in sections(audit):
        parts.append("\n\n".join(filter(None, [f"## {title}", text, table(*_split(rows)) if rows else ""])))
    parts += [f"![{Path(name).stem}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def page(audit: Audit, pictures: dict[str, bytes]) -> str:
    """All of it, with plots inside."""
    head = html.escape(f"Audit of {audit.spec.name}: {audit.verdict}")
    parts = [f"<h1>{head}</h1><p>{html.escape(_about(audit))}</p>"]
    for title, text, rows in sections(audit):
        parts.append(f"<h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{_table(rows) if rows else ''}")
    parts += [f'<img alt="{html.escape(n)}" src="{_inside(data)}">' for n, data in pictures.items()]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{head}</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def sections(audit: Audit) -> Iterator[tuple[str, str, Rows]]:
    """Each part of an audit: its title, what is to be said of it, and a table that begins with its head."""
    if audit.opened:
        yield "What comes where prompts leave it open", OPEN, [OPEN_HEAD, *map(_opened, audit.opened)]
        yield (
            "In shares",
            "Shares of the clips that were read, the target in brackets.",
            _shares(audit.opened),
        )
    for found in audit.parity:
        title = f"The same prompts and seeds for each {found.group}"
        text = f"{found.seeds} clips for each; {ALIKE}"
        yield (
            title,
            text,
            [["", *found.labels, "gap", "flagged above", "verdict"], *map(_measure, found.measures)],
        )
    if audit.scorers:
        yield (
            "Who read the clips",
            READING,
            [["group", "scorer", "right", "adds"], *map(_read, audit.scorers)],
        )
    for one in audit.scorers:
        if one.confusion is not None:
            yield f"What is read of each {one.group}", CONFUSED, _confusion(one)
    if audit.memory is None:
        yield "Nearest training clip", "It was not asked for: see --memory.", []
    else:
        yield "Nearest training clip", NEAREST, _memory(audit.memory)
        if audit.memory.copies:
            yield "Copies", COPIES.format(found=audit.memory.found), _copies(audit.memory)


OPEN_HEAD = [
    "group",
    "prompt",
    "read",
    "entropy",
    "total variation",
    "flagged above",
    "verdict",
    "once completed",
    "once re-weighted",
]
OPEN = (
    "Entropy is a share of the most that there can be; 1 is uniform. Total variation is the share of clips "
    "that would have to show something else to meet the target. Once completed is the total variation where "
    "the prompt is completed by the target, once re-weighted where the model is led towards that in part."
)
ALIKE = (
    "adherence is how probable the scorer finds what was asked for, failure the share of clips in which "
    "nothing of the kind is seen, sharpness the difference between neighbouring pixels as a share of what "
    "rendered clips of the same prompt have. The gap is the highest mean less the lowest."
)
READING = (
    "Right is how often the scorer is on rendered clips whose label is known; adds is the total variation "
    "that it reads into labels that are equally frequent. Where there is no scorer nothing is guessed."
)
NEAREST = (
    "Distances in levels of 0 to 255, of five frames of 16x16 pixels. Nearer is the share of made clips that "
    "lie nearer to training than 99 in 100 of those held out; closer the share that is nearer to training "
    "than to as many held out, of which half is even. Flagged is either with its whole interval 0.1 above "
    "that, the second only where the ratio lies below 1."
)
COPIES = (
    "{found} made clips are less than half as far from a training clip as 99 in 100 of those held out are; "
    "the nearest are:"
)
CONFUSED = "Rows are what rendered clips show, columns what the scorer reads; what is missing is not read."


def _about(audit: Audit) -> str:
    return (
        f"{audit.clips} clips of each prompt, the i-th with the random seed i, by kineograph {audit.version} "
        f"in {audit.minutes:g} minutes{_reweighted(audit)}. {RULE} Below {LEAST_READ} clips nothing is said. "
        "In brackets stands the bootstrap interval that holds a figure 95 times in 100."
    )


def _reweighted(audit: Audit) -> str:
    return f"; re-weighted by {audit.reweight:g}" if audit.reweight else ""


def _opened(found: Opened) -> list[str]:
    return [
        found.group,
        found.prompt or "no prompt",
        f"{found.read} of {found.clips}",
        _figure(found.entropy),
        _figure(found.variation),
        _number(found.threshold),
        found.verdict,
        _mended(found.completed),
        _mended(found.reweighted),
    ]


def _mended(found: Mended | None) -> str:
    return NONE if found is None else f"{_figure(found.variation)}, {found.read} read"


def _shares(opened: Sequence[Opened]) -> Rows:
    rows = [["group", "prompt", "shares"]]
    for found in opened:
        told = zip(found.labels, found.shares, found.target, strict=False)
        shares = ", ".join(f"{label} {share:.0%} ({target:.0%})" for label, share, target in told)
        rows.append([found.group, found.prompt or "no prompt", shares or NONE])
    return rows


def _measure(found: Measure) -> list[str]:
    means = [f"{mean:.3f}" for mean in found.means]
    return [found.name, *means, _figure(found.gap), _number(found.threshold), found.verdict]


def _read(found: Read) -> list[str]:
    error = found.confusion
    known = [percent(error.right), f"{error.bias:.3f}"] if error else ["not known", "not known"]
    return [found.group, *([found.scorer, *known] if found.scorer else ["no scorer", NONE, NONE])]


def _confusion(found: Read) -> Rows:
    error = found.confusion
    assert error is not None
    rows = [[label, *(f"{p:.2f}" for p in row)] for label, row in zip(error.labels, error.rows, strict=True)]
    return [["shown", *error.labels], *rows]


def _memory(memory: Memory) -> Rows:
    found = memory.nearest
    head = [
        "training clips",
        "made, median",
        "held out, median",
        "ratio",
        "nearer",
        "closer",
        "of",
        "verdict",
    ]
    row = [f"{found.training_clips}", f"{found.made:.2f}", f"{found.unseen:.2f}", ratio(found.ratio)]
    told = FLAGGED if memory.repeats else "not flagged"
    return [head, [*row, percent(found.nearer), percent(memory.closer), f"{memory.equal}", told]]


def _copies(memory: Memory) -> Rows:
    rows = [
        [str(one.seed), one.prompt, str(one.training), one.caption, f"{one.apart:.2f}"]
        for one in memory.copies
    ]
    return [["seed", "prompt", "training clip", "its caption", "apart"], *rows]


def _figure(figure: Figure | None) -> str:
    return NONE if figure is None else ratio(figure)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _split(rows: Rows) -> tuple[list[str], Rows]:
    """The head and the other rows, all as long as the longest."""
    width = max(map(len, rows))
    head, *rest = [[*row[:1], *[NONE] * (width - len(row)), *row[1:]] for row in rows]
    return head, rest


def _table(rows: Rows) -> str:
    head, rest = _split(rows)
    first = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rest)
    return f"<table><tr>{first}</tr>{body}</table>"


def _cell(text: str) -> str:
    mark = ' class="flagged"' if text == FLAGGED else ""
    return f"<td{mark}>{html.escape(text)}</td>"


def _inside(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
