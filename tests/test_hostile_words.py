"""Words from strangers: as prompts, as names, as cells of tables; handled, or refused with a sentence."""

import json
import random
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import kineo
from hostile.watch import Outcome, attempt, check_sentence, names, told
from hostile.words import LEAST, SEED, words
from plain_model import only_plain

from kineograph.batch.orders import Order
from kineograph.batch.orders import Outcome as Failed
from kineograph.cli.output import read_text, say, slug
from kineograph.cli.table import FIELDS, Plan, Row, Template, read_rows
from kineograph.errors import KineographError, RequestError
from kineograph.request import Keyframe, Request, Walk, Waypoint

WORDS = words()
SOME = random.Random(SEED).sample(WORDS, 150)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a plain model in a place of its own."""
    monkeypatch.delenv("KINEO_POLICY", raising=False)
    return only_plain(tmp_path, monkeypatch)


def test_there_are_enough() -> None:
    assert len(WORDS) >= LEAST
    assert max(map(len, WORDS)) >= 1 << 20


# A request

WAYS: dict[str, Callable[[str], object]] = {
    "prompt": Request,
    "later": lambda text: Request("a", then=(Waypoint(text, 1.0),)),
    "walk": lambda text: Request("a", walk=Walk(text, 1, 0.5)),
    "model": lambda text: Request("a", model=text),
    "image": lambda text: Request("a", images=(Keyframe(text),)),
    "video": lambda text: Request("a", video=text, extend=1.0),
    "mask": lambda text: Request("a", video="a.mp4", mask=text),
    "style": lambda text: Request("a", style=(text,)),
    "tracks": lambda text: Request("a", tracks=(text,)),
    "boxes": lambda text: Request("a", boxes=(text,)),
    "camera": lambda text: Request("a", camera=text),
    "actions": lambda text: Request("a", actions=text),
    "fit": lambda text: Request("a", fit=text),
    "seed": lambda text: Request("a", seed=text),  # type: ignore[arg-type]
    "JSON": Request.from_json,
    "a name": lambda text: Request.from_json(json.dumps({text: 1})),
}


@pytest.mark.parametrize("way", WAYS)
def test_in_a_request(way: str) -> None:
    outcomes = [attempt(f"{way} {text[:20]!r}", partial(take, WAYS[way], text), [text]) for text in WORDS]
    assert any(outcome.said for outcome in outcomes)


def take(way: Callable[[str], object], text: str) -> None:
    """What is taken survives JSON."""
    request = way(text)
    assert isinstance(request, Request)
    assert Request.from_json(request.to_json()) == request


OTHERS: tuple[Any, ...] = (
    10**5000,
    -(10**5000),
    10**400,
    float("nan"),
    1e308,
    True,
    None,
    0.5,
    [],
    {},
    b"1",
    (),
)


@pytest.mark.parametrize("name", [field.name for field in fields(Request)])
def test_other_things_in_a_request(name: str) -> None:
    for number, other in enumerate(OTHERS):
        attempt(f"{name} {number}", partial(Request, **{"prompt": "a"} | {name: other}))


# The command


def spoken(capsys: pytest.CaptureFixture[str], here: Path, text: str) -> Outcome:
    """`kineo generate` of a prompt, with what it says looked at; only what it tells of is written."""
    there, name = names(here.parent), repr(text[:30])
    refused: list[str] = []

    def generate() -> None:
        code = kineo("generate", text, "--model", "plain", "--steps", 1, "--frames", 1, "--json")
        out, err = capsys.readouterr()
        if code:
            assert (code, out) == (2, "")
            refused.append(err.removeprefix("error: ").rstrip("\n").replace(text or " ", "…"))
            check_sentence(refused[0], [text])
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        made = {made for line in lines for made in made_of(line)}
        assert names(here.parent) - there == {f"here/{made}" for made in made}
        for file in made:
            (here / file).unlink()

    with suppress(SystemExit):  # a word that is an option, such as --help
        return replace(attempt(name, generate), said="".join(refused))
    return Outcome(name, "", 0.0)


def made_of(told: dict[str, Any]) -> list[str]:
    path = told["path"]
    assert re.fullmatch(r"[a-z0-9-]{1,60}\.mp4", path)
    return [path, told["job"]]


def test_a_sample_as_prompts_of_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in SOME[:12]:
        spoken(capsys, here, text)


@pytest.mark.slow
def test_all_as_prompts_of_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [spoken(capsys, here, text) for text in WORDS]
    with capsys.disabled():
        print(told("prompts", outcomes))


def test_what_is_said_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for text in SOME:
        say(text)
        said = capsys.readouterr().err
        assert not any(unicodedata.category(letter) == "Cc" for letter in set(said) - {"\n", "\t"})
        assert not set(said) & set("\u202e\u2066")
    say("a \U0001f468\u200d\U0001f469 by night")
    assert capsys.readouterr().err == "a \U0001f468\u200d\U0001f469 by night\n"


def test_what_is_refused_steers_no_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steering = "\x1b[2J"
    for arguments in (
        ["--image", steering],
        ["-o", f"{steering}/a.mp4"],
        ["--from", steering],
        [steering, "a"],
    ):
        assert kineo("generate", *arguments, "--model", "plain") == 2
        assert capsys.readouterr().err.removesuffix("\n").isprintable()


def test_a_text_that_never_ends_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^/dev/zero is too large"):
        read_text(Path("/dev/zero"))


# Names of files


@pytest.mark.parametrize("longest", [1, 40])
def test_a_name_from_any_prompt_is_a_plain_one(longest: int) -> None:
    for text in WORDS:
        assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", slug(text, longest)), repr(text[:30])


# Tables


def planned(folder: Path, values: dict[str, object], template: str | None = None) -> list[Any]:
    plan = Plan(Template(template) if template else None, {}, folder, ".mp4")
    return plan.orders([Row(1, {"prompt": "a"} | values)])


def check_planned(folder: Path, orders: list[Any], typed: list[str]) -> None:
    """A clip stays in the folder that was chosen, whatever it is to be called; or a sentence says why not."""
    for order in orders:
        if isinstance(order, Order):
            path = folder / order.file
            assert path.parent == folder
            assert path.resolve().parent == folder.resolve()
            assert order.file.isprintable()
            assert not order.file.startswith((".", "-"))
            assert order.name not in ("summary", "")
        else:
            check_sentence(order.reason, typed)


COLUMNS = ["name", *FIELDS]


@pytest.mark.parametrize("column", COLUMNS)
def test_in_a_cell(column: str, here: Path) -> None:
    for text in SOME:
        typed = [text, str(here / text)]
        attempt(f"{column} {text[:20]!r}", partial(plan_and_check, here, {column: text}, typed))
    assert names(here) == set()


def plan_and_check(folder: Path, values: dict[str, object], typed: list[str]) -> None:
    check_planned(folder, planned(folder, values), typed)


def test_a_name_of_too_many_bytes_costs_its_row_alone(here: Path) -> None:
    """A file system counts bytes, of which a letter has up to four."""
    assert [type(one) for one in planned(here, {"name": "\u5b57" * 100})] == [Failed]
    assert [type(one) for one in planned(here, {"name": "\u5b57" * 60})] == [Order]


def test_in_a_template(here: Path) -> None:
    for text in SOME:
        attempt(f"template {text[:20]!r}", partial(planned, here, {}, text), [text])
        attempt(f"filled {text[:20]!r}", partial(planned, here, {"prompt": "", "a": text}, "b {a}"), [text])


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_as_a_table(suffix: str, here: Path) -> None:
    path, head = here / f"a.{suffix}", {"csv": b"prompt\n", "jsonl": b""}[suffix]
    for text in SOME:
        path.write_bytes(head + text.encode("utf-8", "surrogatepass"))
        attempt(f"table {text[:20]!r}", partial(read_rows, path), [str(path)])


def test_a_batch_stays_in_its_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = [text for text in WORDS if "/" in text or "\\" in text or "\0" in text or "." in text][:60]
    rows = [{"prompt": "a red ball", "name": text} for text in dict.fromkeys(hostile)]
    rows += [{"prompt": text, "frames": 1} for text in ("../escaped", "/etc/passwd")]
    (here / "jobs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with suppress(KineographError):
        kineo("batch", "jobs.jsonl", "-o", "clips", "--model", "plain", "--steps", 1)
    capsys.readouterr()
    assert {path.name for path in here.parent.iterdir()} == {"weights", "here"}
    assert {path.name for path in here.iterdir()} == {"jobs.jsonl", "clips"}
    assert all(path.is_file() for path in (here / "clips").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS)
def test_all_in_a_cell(column: str, here: Path) -> None:
    for text in WORDS:
        plan_one = partial(plan_and_check, here, {column: text}, [text, str(here / text)])
        attempt(f"{column} {text[:20]!r}", plan_one)
