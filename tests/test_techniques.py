"""The teaching pages stay true: links and commands lead somewhere; quoted code, figures, papers are ours."""

import re
import shlex
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import test_docs
import torch
from command import kineo
from test_docs import ROOT

from kineograph.models import diffusion
from kineograph.models.flow import DiffusionConfig, DiffusionNetworks
from kineograph.text.vocabulary import Vocabulary
from kineograph.training.family_recipe import FamilyRecipe
from kineograph.training.presets import PRESETS
from kineograph.worlds.captions import words
from kineograph.worlds.world import SMALL, WORLDS

FOLDER = ROOT / "docs" / "techniques"
PAGES = sorted(FOLDER.glob("*.md"))
FAMILIES = ("diffusion", "gan", "vae", "rnn", "transformer")
PICTURE = re.compile(r"<!-- picture: docs/images/[\w-]+\.png -->|!\[[^\]]+\]\(\.\./images/[\w-]+\.png\)")
PAPER = re.compile(r"\b\d{4}\.\d{4,5}\b")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced(page: Path, language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language, each with all that stands above it."""
    text = text_of(page)
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(block[1], text[: block.start()]) for block in found]


def sources_in(text: str) -> list[tuple[str, Path]]:
    """What the links to source files are called, and the files."""
    return [
        (name, (FOLDER / target).resolve())
        for name, target in re.findall(r"\[`([^`]+)`\]\(([^)]+\.py)\)", text)
    ]


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of every table."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


COMMANDS = [line for page in PAGES for block, _ in fenced(page, "sh") for line in block.splitlines()]
QUOTES = [
    pytest.param(block, above, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (block, above) in enumerate(fenced(page, "python"))
]
COSTS = [
    pytest.param(*row, id=names_in(row[0])[0])
    for name in FAMILIES
    for row in rows_of(text_of(FOLDER / f"{name}.md"))
    if names_in(row[0])
]


@cache
def made(preset: str) -> tuple[Any, Any]:
    """The networks of a preset, without numbers in them, and a model of them."""
    recipe = PRESETS[preset]()
    vocabulary = tuple(words(WORLDS[recipe.world]))
    with torch.device("meta"):
        if isinstance(recipe, FamilyRecipe):
            networks = recipe.kind.networks(replace(recipe.network, words=vocabulary))
            return networks, recipe.kind.modelled(preset, networks)
        config = DiffusionConfig(vocabulary, recipe.tokenizer, recipe.denoiser)
        flagship = DiffusionNetworks(config)
        return flagship, diffusion.Diffusion(flagship, diffusion.spec_of(preset, config))


def test_every_idea_has_its_page_with_code_commands_and_costs():
    for name in FAMILIES:
        page = FOLDER / f"{name}.md"
        assert len(fenced(page, "python")) >= 3
        assert any("kineo train" in block for block, _ in fenced(page, "sh"))
        assert PICTURE.search(text_of(page))
    told = {name for name in PRESETS if name != "footage" and not name.endswith("-gpu")}
    assert {costs.id for costs in COSTS} == told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    test_docs.test_links_to_pages_lead_somewhere(page)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    assert command.startswith("kineo ")
    test_docs.test_commands_parse_and_prompts_keep_to_the_world(command)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("kineo train ")])
def test_presets_that_are_trained_are_there(command):
    assert command.split()[2] in PRESETS


@pytest.mark.parametrize("command", [command for command in COMMANDS if " --model " in command])
def test_models_of_the_small_world_are_asked_for_what_they_saw(command):
    prompt = shlex.split(command)[2]
    assert Vocabulary(words(SMALL)).unknown(prompt) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, "README"])
def test_commands_run_in_short(name, tmp_path, monkeypatch):
    """From the first to the last, as the page has them, but for how long is trained and how much measured."""
    monkeypatch.chdir(tmp_path)
    for block, _ in fenced(FOLDER / f"{name}.md", "sh"):
        for command in block.splitlines():
            short = command.replace("--minutes 10", "--minutes 0.02")
            short = short.replace("--budget 10", "--budget 0.02 --clips 4")
            assert kineo(*shlex.split(short)[1:]) == 0, short
            made = re.search(r"(?:-o|--report) (\S+)", command)
            assert made is None or any(tmp_path.glob(f"{Path(made[1]).stem}*")), command


def test_models_that_are_used_were_trained_above():
    for page in PAGES:
        text = text_of(page)
        for model in set(re.findall(r"--model (\S+)", text)):
            assert re.search(rf"kineo train .*--out {Path(model).parent} ", text), model


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_links_to_code_stand_in_the_file(page):
    for name, source in sources_in(text_of(page)):
        defined = re.compile(rf"^ *(def|class) {name.split('.')[-1]}\b", re.MULTILINE)
        assert name == source.name or defined.search(text_of(source)), name


@pytest.mark.parametrize(("block", "above"), QUOTES)
def test_quoted_lines_stand_in_the_file_that_is_linked_last_above_them(block, above):
    _, source = sources_in(above)[-1]
    quoted, lines = ([line.strip() for line in text.splitlines()] for text in (block, text_of(source)))
    places = range(len(lines) - len(quoted) + 1)
    assert any(lines[at : at + len(quoted)] == quoted for at in places), f"not in {source.name}: {quoted}"


def test_the_overview_names_the_abilities_of_every_preset():
    rows = rows_of(text_of(FOLDER / "README.md"))
    (cells,) = [row[1:] for row in rows if row[0] == "canvases and guides"]
    told = {}
    for part in "<br>".join(cells).split("<br>"):
        presets, abilities = re.fullmatch(r"\*\*(.+?)\*\*: (.+)", part).groups()
        told |= {preset: set(names_in(abilities)) for preset in names_in(presets)}
    assert told == {preset: abilities_of(preset) for preset in PRESETS}


def abilities_of(preset: str) -> set[str]:
    recipe = PRESETS[preset]()
    if isinstance(recipe, FamilyRecipe):
        return set(recipe.kind.spec_of(preset, recipe.network).abilities)
    return set(diffusion.ABILITIES)


@pytest.mark.parametrize(("preset", "evaluations", "trained", "needed"), COSTS)
def test_costs_are_those_of_the_preset(preset, evaluations, trained, needed):
    networks, model = made(names_in(preset)[0])
    learnt = networks.learning() if hasattr(networks, "learning") else list(networks.named_parameters())
    counts = {name: parameter.numel() for name, parameter in learnt}
    assert int(evaluations) == model.evaluations(model.spec.sampling)
    assert trained == f"{sum(counts.values()):,}"
    kept = sum(count for name, count in counts.items() if not name.startswith("discriminator."))
    assert needed == f"{kept:,}"


def test_the_overview_has_the_evaluations_of_the_pages():
    (cells,) = [
        row[1:] for row in rows_of(text_of(FOLDER / "README.md")) if row[0].startswith("network evaluations")
    ]
    for name, cell in zip(FAMILIES, cells, strict=True):
        rows = [row for row in rows_of(text_of(FOLDER / f"{name}.md")) if names_in(row[0])]
        assert {row[1] for row in rows} == set(re.findall(r"\d+", cell))


def test_the_tokenizer_is_as_large_as_the_pages_say():
    size = sum(p.numel() for p in made("gan")[0].tokenizer.parameters())
    for name in FAMILIES:
        assert f"{size:,}" in text_of(FOLDER / f"{name}.md")


def test_every_paper_is_in_the_bibliography_once():
    listed = [PAPER.findall(line) for line in text_of(FOLDER / "bibliography.md").splitlines()]
    papers = [paper for found in listed for paper in found]
    assert len(papers) == len(set(papers))
    cited = [text_of(source) for source in (ROOT / "src" / "kineograph" / "models").glob("*.py")]
    cited += [text_of(page) for page in PAGES]
    assert {paper for text in cited for paper in PAPER.findall(text)} <= set(papers)


def test_the_year_of_a_paper_is_that_of_its_number():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    found = [pair for text in texts for pair in re.findall(r"(\d{4}),\s+arXiv\s+(\d\d)\d\d\.", text)]
    listed = text_of(FOLDER / "bibliography.md")
    found += re.findall(r"^- .*? (\d{4})\. .*arXiv (\d\d)\d\d\.", listed, re.MULTILINE)
    assert len(found) > 60
    assert [pair for pair in found if pair[0] != f"20{pair[1]}"] == []


def test_the_bibliography_lists_only_what_is_cited_in_the_code():
    sources = "\n".join(text_of(source) for source in (ROOT / "src").rglob("*.py"))
    assert [p for p in PAPER.findall(text_of(FOLDER / "bibliography.md")) if p not in sources] == []


def test_ideas_are_told_in_ten_sentences():
    for name in FAMILIES:
        idea = text_of(FOLDER / f"{name}.md").split("## The idea\n\n")[1].split("\n\n")[0]
        assert len(re.findall(r"[.?!](?=\s|$)", idea)) == 10, name


def test_sections_come_in_the_same_order():
    order = ["The idea", "The equations", "Train it", "Its picture", "Its cost", "Where it fails"]
    for name in FAMILIES:
        text = text_of(FOLDER / f"{name}.md")
        places = [text.index(f"\n## {title}\n") for title in order]
        assert all(before < after for before, after in pairwise(places)), name
