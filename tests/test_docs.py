"""What the pages say can be typed: commands parse, Python runs as far as its names, links lead somewhere."""

import ast
import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import kineograph
from kineograph.cli import app
from kineograph.evaluation.suite import SHEET_PROMPTS
from kineograph.text.vocabulary import Vocabulary
from kineograph.worlds.captions import words
from kineograph.worlds.world import FULL

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: Path) -> list[str]:
    """The indented blocks of a page."""
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip() for block in found]


ALL = [block for page in PAGES for block in blocks(page)]
COMMANDS = [part for block in ALL for line in block.splitlines() for part in re.findall(r"kineo .*", line)]
PYTHON = [block for block in ALL if re.match(r"(from|import) ", block)]


def test_there_is_something_to_check():
    assert len(COMMANDS) > 10
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("command", [command for command in COMMANDS if "…" not in command])
def test_commands_parse_and_prompts_keep_to_the_world(command):
    tokens = shlex.split(command)[1:]
    _, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if tokens[0] == "generate" and "prompt" in bound.arguments:
        assert Vocabulary(words(FULL)).unknown(bound.arguments["prompt"]) == []


def test_every_change_runs_the_first_commands_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    first = blocks(ROOT / "README.md")[0]
    for command in re.split(r" && |\n+", first):
        assert f"step {command}\n" in script or f"step {command})\n" in script


def test_the_prompts_of_the_pictures_keep_to_the_world():
    prompts = runpy.run_path(str(ROOT / "docs" / "make_images.py"))["PROMPTS"]
    for prompt in (*prompts, *SHEET_PROMPTS):
        assert Vocabulary(words(FULL)).unknown(prompt) == [], prompt


@pytest.mark.parametrize("block", PYTHON)
def test_the_names_in_python_are_there(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "kineograph"
        ):
            assert node.attr in kineograph.__all__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_pages_lead_somewhere(page):
    targets = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
