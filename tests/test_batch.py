"""A batch: what a table asks for, nothing made twice or lost however it ends, and rows that fail alone."""

import csv
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import die_after
from tiny_models import CAPTIONS, diffusion_networks, save_diffusion, shaken

from kineograph.batch.folder import digest
from kineograph.batch.orders import Order, Outcome, Summary
from kineograph.batch.run import run
from kineograph.batch.workers import make_all
from kineograph.cli import main
from kineograph.cli.table import Plan, Template, read_rows
from kineograph.errors import RequestError
from kineograph.lock import LOCK, locked
from kineograph.media.decode import read_video
from kineograph.media.encode import save_image
from kineograph.media.probe import probe
from kineograph.request import Request

KINEO = Path(sys.executable).with_name("kineo")
TEMPLATE = "a {color} {kind}"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A model with random weights: 13 frames of 32 x 32."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_diffusion(folder, shaken(diffusion_networks()))
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def batch(tiny, *arguments, steps=1):
    return main(["batch", *map(str, arguments), "--model", str(tiny), "--steps", str(steps)])


def jsonl(*rows):
    path = Path("jobs.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def summary(out="out"):
    return json.loads(Path(out, "summary.json").read_text())


def statuses(out="out"):
    return [row["status"] for row in summary(out)["rows"]]


def visible(out="out"):
    return {path.name for path in Path(out).iterdir() if path.name != LOCK}


def pixels(out="out"):
    return {path.name: read_video(path).frames for path in Path(out).glob("*.mp4")}


def assert_same(ones, others):
    """Of one number of threads; of several, see `assert_alike`."""
    assert ones.keys() == others.keys()
    for name, frames in ones.items():
        np.testing.assert_array_equal(frames, others[name])


def assert_alike(ones, others):
    """But for rounding, which depends on the number of threads: one value of a frame that falls to the other
    side of a half makes an encoder choose otherwise in the frames after it."""
    assert ones.keys() == others.keys()
    for name, frames in ones.items():
        assert np.abs(frames.astype(float) - others[name]).mean() < 1


# Templates

NAMES = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), min_size=1, max_size=6)
TEXTS = st.text(max_size=8)


@settings(max_examples=50)
@given(st.lists(st.tuples(TEXTS, NAMES)), TEXTS, st.data())
def test_a_template_is_its_text_with_values_put_in_as_they_are(pieces, end, data):
    """Whatever stands in them: braces of the text are doubled, those of values are not looked at."""
    values = {name: data.draw(TEXTS | st.integers()) for _, name in pieces}
    doubled = [text.replace("{", "{{").replace("}", "}}") for text in (*(text for text, _ in pieces), end)]
    template = "".join(f"{text}{{{name}}}" for text, (_, name) in zip(doubled, pieces, strict=False))
    whole = Template(template + doubled[-1])
    assert whole.columns == values.keys()
    assert whole.fill(values) == "".join(f"{text}{values[name]}" for text, name in pieces) + end
    assert whole.fill({**values, "{other}": 1}) == whole.fill(values)


@pytest.mark.parametrize("text", ["{", "}", "a {} ball", "a {b", "b} c", "{a{b}}", "{{}", "{}}"])
def test_lone_braces_are_refused(text):
    with pytest.raises(RequestError, match="brace"):
        Template(text)


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}])
def test_a_template_takes_text_and_numbers(value):
    with pytest.raises(RequestError, match=r"text or a number from \{x\}"):
        Template("a {x}").fill({"x": value})


# Tables

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=8)


@settings(max_examples=50)
@given(st.lists(st.tuples(CELLS, CELLS)), st.booleans(), st.booleans())
def test_a_csv_comes_back_whatever_its_quotes_and_empty_lines(tmp_path_factory, pairs, bom, gaps):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n\r\n" if gaps else "\n")
    writer.writerows([("id", "one", "two"), *((n, *pair) for n, pair in enumerate(pairs)), ("end", "", "")])
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
    *rows, end = (row.values for row in read_rows(path))
    assert [(row["one"], row["two"]) for row in rows] == pairs
    assert end == {"id": "end", "one": "", "two": ""}


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=8) | st.integers()), min_size=1))
def test_a_jsonl_comes_back(tmp_path_factory, rows):
    """Also with line separators of Unicode in its texts."""
    path = tmp_path_factory.mktemp("table") / "t.jsonl"
    text = "\n \n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode("utf-8", "replace")
    path.write_bytes(b"\xef\xbb\xbf" + text)
    read = read_rows(path)
    assert [row.number for row in read] == list(range(1, len(rows) + 1))
    expected = [json.loads(line) for line in text.decode().split("\n") if line.strip()]
    assert [row.values for row in read] == expected


MALFORMED = {
    "no table": ("t.txt", "prompt\na ball\n", "must be a table"),
    "nothing": ("t.csv", "", "no rows"),
    "header alone": ("t.csv", "prompt,seed\n\n", "no rows"),
    "empty jsonl": ("t.jsonl", "\n\n", "no rows"),
    "short row": ("t.csv", "prompt,seed\na ball,1\n\na box\n", "line 4, has 1 cells where the header has 2"),
    "long row": ("t.csv", "prompt,seed\na ball,1,2\n", "line 2, has 3 cells"),
    "open quote": ("t.csv", 'prompt\n"a ball\n', "not valid CSV"),
    "column twice": ("t.csv", "prompt,seed,seed\na,1,2\n", "column 'seed' twice"),
    "column without name": ("t.csv", "prompt,\na,1\n", "without a name"),
    "semicolons": ("t.csv", "prompt;seed\na;1\n", "separated by commas"),
    "bad line": ("t.jsonl", '{"prompt": "a"}\n\n{"prompt": \n', "line 3, is not valid JSON"),
    "no object": ("t.jsonl", '{"prompt": "a"}\n[1]\n', "line 2, must be a JSON object"),
    "key twice": ("t.jsonl", '{"seed": 1, "seed": 2}\n', "line 1, .* seed is given twice"),
    "no number": ("t.jsonl", '{"seed": NaN}\n', "NaN is not a number"),
    "too deep": ("t.jsonl", "[" * 100_000 + "\n", "line 1, is not valid JSON"),
    "not text": ("t.csv", "prompt\n\udcff\n", "not a text file"),
    "same name": ("t.csv", "prompt,name\na,x\nb,y\nc,x\n", "rows 1, 3 have the same name, x"),
    "name of another's": ("t.csv", "prompt,name\na ball,\nb,0001-a-ball\n", "have the same name"),
}


@pytest.mark.parametrize(("file", "text", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_table_is_refused_at_once(file, text, said, here, capsys):
    Path(file).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["batch", file, "-o", "out"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    with pytest.raises(RequestError, match=said):
        Plan(None, {}, here, ".mp4").orders(read_rows(Path(file)))
    assert [path.name for path in here.iterdir()] == [file]


@pytest.mark.parametrize(
    "options", [["--steps", 0], ["--workers", 0], ["--model", "none"], ["--frames", 9, "--seconds", 1]]
)
def test_options_are_refused_at_once(options, here, capsys):
    assert main(["batch", str(jsonl({"prompt": "a ball"})), "-o", "out", *map(str, options)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("out").exists()


def requests(rows, template=None, **common):
    plan = Plan(Template(template) if template else None, common, Path("/table"), ".mp4")
    return plan.orders([read for read in rows_of(rows)])


def rows_of(rows):
    return read_rows(jsonl(*rows))


def test_columns_override_options_and_name_files():
    one, two, three, four, five = requests(
        [
            {"color": "red", "seed": 7, "name": "first one"},
            {"prompt": "a blue {star}", "steps": "3", "seconds": 2, "fps": ""},
            {"color": "green", "image": "a.png; /b.png@1.5", "size": "32x16", "model": None},
            {"prompt": "", "color": 5, "image": ["a;b.png"], "mask": None},
            {"color": "x", "video": "v.mp4", "mask": "0,0,1,1", "fit": "pad"},
        ],
        "a {color} ball",
        steps=9,
        seed=1,
        frames=5,
    )
    assert one == Order(1, "first one", ".mp4", Request("a red ball", steps=9, seed=7, frames=5))
    assert two.name == "0002-a-blue-star"
    assert two.request == Request("a blue {star}", steps=3, seed=1, seconds=2)
    assert [(image.path, image.at) for image in three.request.images] == [
        ("/table/a.png", None),
        ("/b.png", 1.5),
    ]
    assert three.request.size == (32, 16)
    assert four.request.prompt == "a 5 ball"
    assert four.request.images[0].path == "/table/a;b.png"
    assert (five.request.video, five.request.mask) == ("/table/v.mp4", "0,0,1,1")
    assert (five.request.frames, five.request.fit) == (None, "pad")


def test_what_a_template_asks_for_is_no_field():
    (order,) = requests([{"size": "small", "name": "ann"}], "a {size} ball for {name}")
    assert (order.name, order.request) == ("ann", Request("a small ball for ann"))


BAD = {
    "no such column": ({"colour": "red"}, "no column: there are colour"),
    "no such file name": ({"prompt": "a", "name": "../x"}, "can't be a file's"),
    "hidden": ({"prompt": "a", "name": ".x"}, "can't be a file's"),
    "summary": ({"prompt": "a", "name": "summary"}, "can't be a file's"),
    "job": ({"prompt": "a", "name": "a.job"}, "can't be a file's"),
    "seed": ({"prompt": "a", "seed": "x"}, "seed must be a whole number"),
    "long number": ({"prompt": "a", "seed": "9" * 5000}, "seed must be a whole number"),
    "true": ({"prompt": "a", "steps": True}, "steps must be a whole number"),
    "size": ({"prompt": "a", "size": "big"}, "size must be WIDTHxHEIGHT"),
    "sizes": ({"prompt": "a", "size": [1, 2, 3]}, "size must be a width and a height"),
    "image": ({"prompt": "a", "image": 3}, "image must be FILE"),
    "model": ({"prompt": "a", "model": "none"}, "no model"),
    "line break": ({"prompt": "a\nb"}, "control characters"),
    "contradiction": ({"prompt": "a", "video": "v.mp4"}, "Say what to do with the video"),
}


@pytest.mark.parametrize(("row", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_row_is_told_in_one_sentence_and_stops_no_other(row, said):
    good, bad = requests([{"color": "red"}, row], "a {color} ball")
    assert isinstance(good, Order)
    assert isinstance(bad, Outcome)
    assert (bad.row, bad.status) == (2, "failed")
    assert said in bad.reason


# Making


def test_a_batch_its_records_and_what_is_printed(tiny, here, capsys):
    Path("tables").mkdir()
    Path("tables/jobs.csv").write_bytes(
        b'\xef\xbb\xbfcolor,kind,name,who\nred,"ball",one,x\n\nblue,star,,y\n'
    )
    assert batch(tiny, "tables/jobs.csv", "--template", TEMPLATE, "-o", "out", "--format", "gif") == 0
    out, err = capsys.readouterr()
    assert "note: columns that are not used: who" in err
    assert "2 of 2 rows" in err
    assert out.split()[:2] == ["made", "2"]
    two = "0002-a-blue-star"
    assert visible() == {
        f"{name}{end}" for name in ("one", two) for end in (".gif", ".json", ".job.json")
    } | {"summary.json"}
    manifest = json.loads(Path("out/one.json").read_text())
    assert (manifest["row"], manifest["request"]["prompt"], manifest["status"]) == (1, "a red ball", "made")
    assert manifest["sha256"] == digest(Path("out/one.gif"))
    assert (manifest["frames"], manifest["evaluations"]) == (13, 1)
    assert json.loads(probe("out/one.gif").metadata["comment"])["weights_hash"] == manifest["weights_hash"]
    assert main(["generate", "--from", f"out/{two}.job.json", "-o", "again.gif"]) == 0
    assert np.array_equal(read_video("again.gif").frames, read_video(f"out/{two}.gif").frames)


def test_only_what_has_changed_is_made_again_and_that_is_said(tiny, capsys):
    rows = [{"prompt": caption, "name": str(n), "image": "p.png"} for n, caption in enumerate(CAPTIONS[:2])]
    rows.append({"prompt": CAPTIONS[2], "name": "2"})
    save_image("p.png", np.zeros((32, 32, 3), np.uint8), {})
    assert batch(tiny, jsonl(*rows), "-o", "out") == 0
    assert statuses() == ["made"] * 3

    def again(*arguments, **options):
        assert batch(tiny, *arguments, "-o", "out", "--json", **options) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1]) == summary()
        return statuses()

    assert again(jsonl(*rows)) == ["skipped"] * 3
    rows[2]["seed"] = 4
    assert again(jsonl(*rows)) == ["skipped", "skipped", "made again"]
    Path("out/2.mp4").write_bytes(b"cut off")
    assert again(jsonl(*rows)) == ["skipped", "skipped", "made again"]
    save_image("p.png", np.full((32, 32, 3), 200, np.uint8), {})
    assert again(jsonl(*rows)) == ["made again", "made again", "skipped"]
    assert again(jsonl(*rows[:1])) == ["skipped"]
    assert summary()["others"] == ["1", "2"]
    assert again(jsonl(*rows), steps=2) == ["made again"] * 3


def test_bad_rows_are_told_at_the_end_and_the_others_made(tiny, capsys):
    rows = [
        {"color": "red"},
        {"prompt": "a red ball", "image": "none.png"},
        {"color": "blue", "kind": "star"},
    ]
    rows += [{"color": "red", "kind": "ball", "seed": -1}, {"color": "green"}]
    assert batch(tiny, jsonl(*rows), "--template", TEMPLATE, "-o", "out") == 2
    out, err = capsys.readouterr()
    assert statuses() == ["failed", "failed", "made", "failed", "failed"]
    assert "rows 1, 5: The template asks for {kind}, which is no column: there are color." in out
    assert "row 2: " in out
    assert "none.png" in out
    assert "row 4: seed must be" in out
    assert err.splitlines()[-1].startswith("error: 4 of 5 rows could not be made")
    assert visible() == {f"0003-a-blue-star{end}" for end in (".mp4", ".json", ".job.json")} | {
        "summary.json"
    }


def test_files_of_others_are_left_alone(tiny, capsys):
    Path("out").mkdir()
    Path("out/mine.json").write_text('{"a": 1}')
    assert batch(tiny, jsonl({"prompt": "a ball", "name": "mine"}), "-o", "out") == 2
    assert "mine.json is no manifest" in capsys.readouterr().out
    Path("out/summary.json").write_text("[]")
    assert batch(tiny, jsonl({"prompt": "a ball"}), "-o", "out") == 2
    assert "summary.json is not a batch's" in capsys.readouterr().err
    assert visible() == {"mine.json", "summary.json"}
    assert Path("out/mine.json").read_text() == '{"a": 1}'


def test_two_batches_in_one_folder_are_refused(tiny, capsys):
    with locked(Path("out"), "batch"):
        assert batch(tiny, jsonl({"prompt": "a ball"}), "-o", "out") == 2
    assert "Another batch is at work in out" in capsys.readouterr().err
    assert visible() == set()


# Endings

ROWS = [{"prompt": caption, "seed": seed} for seed, caption in enumerate(CAPTIONS)]


def orders(tiny, rows=ROWS):
    plan = Plan(None, {"model": str(tiny), "steps": 2}, Path(), ".mp4")
    return plan.orders(rows_of(rows))


def made(tiny, out, workers=1, tell=lambda row, share: None):
    *_, last = run(orders(tiny), Path(out), workers, tell)
    assert isinstance(last, Summary)
    return last


def _make_and_die(tiny, out, touches):
    torch.set_num_threads(1)
    if touches is not None:
        die_after(touches, str(out))
    made(tiny, out)


def _run_child(tiny, out, touches):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kineograph.batch.run", "tiny_models"])
    process = context.Process(target=_make_and_die, args=(tiny, out, touches))
    process.start()
    process.join()
    return process.exitcode


def done(out):
    """The clips that have a manifest, with what tells whether they were made anew."""
    names = [
        path.stem for path in out.glob("*.json") if not path.name.endswith((".job.json", "summary.json"))
    ]
    for name in names:
        manifest = json.loads((out / f"{name}.json").read_text())
        assert manifest["sha256"] == digest(out / manifest["file"])
    return {name: (out / f"{name}.mp4").stat().st_ino for name in names}


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_made_twice_or_lost(tiny, here):
    """A process that makes the batch dies at a random touch of the folder, again and again."""
    whole, out = here / "whole", here / "out"
    made(tiny, whole)
    draw = random.Random(3)
    before = {}
    for _ in range(12):
        code = _run_child(tiny, out, draw.randint(1, 60))
        assert code in (0, -signal.SIGKILL)
        now = done(out) if out.exists() else {}
        assert now.items() >= before.items()
        for clip in out.glob("*.mp4"):
            assert len(read_video(clip)) == 13  # whole, even where the manifest is not there yet
        before = now
    assert _run_child(tiny, out, None) == 0
    assert done(out).items() >= before.items()
    assert statuses(out).count("skipped") == len(before)
    assert_same(pixels(out), pixels(whole))
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}


def test_an_interrupt_keeps_what_is_finished(tiny, here):
    def interrupt(row, share):
        if row == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        made(tiny, "out", tell=interrupt)
    assert statuses() == ["made", "made", "not reached", "not reached"]
    assert len(visible()) == 2 * 3 + 1
    assert made(tiny, "out").skipped == 2


def test_closing_keeps_what_is_finished(tiny):
    with closing(run(orders(tiny), Path("out"), 1, lambda row, share: None)) as outcomes:
        assert next(outcomes).status == "made"
    assert statuses() == ["made"] + ["not reached"] * 3


# Several processes


def test_workers_make_the_same_though_one_is_interrupted_and_one_dies(tiny):
    """As a batch in one process."""
    kills = []

    def interrupt(row, share):
        os.kill(os.getpid(), signal.SIGINT)

    def kill(row, share):
        if not kills:
            kills.append(row)
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    with pytest.raises(KeyboardInterrupt):
        made(tiny, "two", workers=2, tell=interrupt)
    assert multiprocessing.active_children() == []
    assert statuses("two") == ["not reached"] * 4
    assert made(tiny, "two", workers=2, tell=kill).made == 4
    assert kills
    made(tiny, "undisturbed", workers=2)
    assert_same(pixels("undisturbed"), pixels("two"))
    made(tiny, "one")
    made_alone, made_by_two = pixels("one"), pixels("two")
    assert_alike(made_alone, made_by_two)
    with pytest.raises(AssertionError):  # of a clip and another one
        assert_alike(made_alone, dict(zip(made_by_two, reversed(made_by_two.values()), strict=True)))
    assert visible("one") == visible("two")


def test_a_row_whose_workers_die_is_tried_twice_and_then_told(tiny, here):
    deaths = []

    def kill(row, share):
        for worker in multiprocessing.active_children():  # none if this was said before it died
            if worker.pid not in deaths:
                deaths.append(worker.pid)
                worker.kill()

    (outcome,) = make_all(orders(tiny)[:1], here, 1, kill)
    assert len(deaths) == 2
    assert (outcome.status, outcome.row) == ("failed", 1)
    assert "SIGKILL" in outcome.reason


@pytest.mark.slow
def test_workers_end_with_their_parent(tiny, here):
    jobs = jsonl(*({"prompt": "a red ball", "frames": 2000, "seed": seed} for seed in range(4)))
    command = [KINEO, "batch", jobs, "-o", "out", "--workers", "2", "--model", tiny]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:  # noqa: S603
        assert b"left" in process.stderr.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        process.kill()
        process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.05)
    assert batch(tiny, jsonl({"prompt": "a red ball"}), "-o", "out") == 0
    assert {path.name for path in Path("out").iterdir() if path.name.startswith(".")} == {LOCK}
