"""The families against one another: equal terms, and a page that tells what was found."""

import json
import re
import signal
import subprocess
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from command import KINEO, kineo, refusal
from media_clips import moving, write
from tiny_models import CAPTIONS, CLIPS, WINDOW, save_shaken

from kineograph.compare import contest, page
from kineograph.compare.columns import COST, FILLING, LIKENESS, NONE, follows
from kineograph.compare.contest import CLIPS as SHOWN
from kineograph.compare.contest import (
    ENTRANTS,
    MAIN,
    PROMPTS,
    TERMS,
    Entry,
    Terms,
    compare,
    recipe_of,
)
from kineograph.errors import DataError, RequestError
from kineograph.evaluation import facts, release, suite
from kineograph.evaluation.adherence import CELLS
from kineograph.evaluation.facts import Facts, Stage
from kineograph.evaluation.filling import TASKS
from kineograph.evaluation.own import Own
from kineograph.evaluation.release import sheet_claim
from kineograph.models import diffusion
from kineograph.provenance import mark
from kineograph.training import log
from kineograph.video import Chunk
from kineograph.worlds.world import FULL, SMALL

CURVE = ((0.0, 2.0), (10.0, 1.0))


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """One tiny model that was measured, as two entries: of the second less is known."""
    folder = tmp_path_factory.mktemp("contest")
    save_shaken(folder / "tiny")
    config = json.loads((folder / "tiny" / "config.json").read_text())
    able = {"abilities": ["inpainting", "prediction", "text"]}
    (folder / "tiny" / "config.json").write_text(json.dumps(config | able))
    stage = Stage("flow", 0.1, 11, 5.0, "loss", CURVE)
    facts.write(folder / "tiny", Facts("tiny", 4, 4, 1, "a slow machine", (stage,), world="small"))
    model = diffusion.load(folder / "tiny")
    *_, report = suite.evaluate(model, folder / "tiny", 4)
    clip = np.zeros((2, 16, 16, 3), np.uint8)
    for number in range(len(PROMPTS["small"])):
        mark.save([Chunk(clip, 0)], sheet_claim(model.spec), folder / f"{number}.mp4", 8.0)
    shown = tuple(sorted(folder.glob("*.mp4"))), PROMPTS["small"]
    whole = json.loads(report.to_json())
    less = whole | {"filling": [], "horizon": None, "diversity": None}
    return [Entry("one", whole, *shown), Entry("less", less, *shown)]


def test_all_learn_the_same_clips_for_the_same_time():
    made = [recipe_of(preset, Terms(minutes=3, seed=5)) for preset in ENTRANTS]
    assert len({(r.world, r.data, r.clips, r.latents, r.seed, r.grid) for r in made}) == 1
    for recipe in made:
        assert sum(stage.train.minutes for stage in recipe.stages.values()) == pytest.approx(3)
    short = Terms(minutes=1.2).in_proportion()
    assert (short.clips, short.latents) == (103, 820)
    assert Terms(minutes=30).in_proportion() == Terms(minutes=30)


def test_only_small_families_are_compared():
    with pytest.raises(RequestError, match="footage can't be compared on equal terms: choose from"):
        recipe_of("footage", Terms())


def test_a_folder_keeps_to_its_terms(tmp_path):
    terms = Terms(presets=(), minutes=1)
    assert list(compare(terms, tmp_path)) == []
    assert list(compare(terms, tmp_path)) == []
    with pytest.raises(RequestError, match="holds a comparison on other terms: keep them"):
        next(compare(replace(terms, seed=2), tmp_path))
    (tmp_path / TERMS).write_text("[]")
    with pytest.raises(DataError, match="damaged: begin again in another folder"):
        next(compare(terms, tmp_path))


def test_each_column_has_a_figure_or_says_that_there_is_none(entries):
    one, less = entries
    for column in (*follows(SMALL), *LIKENESS, *FILLING, *COST):
        assert re.match(r"-?\d", column.cell(one)), column.name
    assert [column.cell(less) for column in FILLING] == [NONE] * len(FILLING)
    assert next(c for c in LIKENESS if c.name == "diversity").cell(less) == NONE


def test_the_page_needs_nothing_beside_itself(entries, tmp_path):
    pytest.importorskip("matplotlib")
    names = {path.name for path in page.write(entries, Terms(presets=("one", "less")), tmp_path)}
    assert {
        "README.md",
        "comparison.html",
        "comparison.json",
        "clips.png",
        "quality.png",
        "drift.png",
    } <= names
    text = (tmp_path / "comparison.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', text)
    assert len(sources) == len(PROMPTS["small"]) * 2 + 4
    assert all(source.startswith(("data:image/png", "data:video/mp4")) for source in sources)
    assert json.loads((tmp_path / "comparison.json").read_text())["less"]["diversity"] is None
    card = (tmp_path / "README.md").read_text()
    assert "| one " in card
    assert "kineo compare one less --budget 12 --clips 64" in card


def test_a_row_shows_what_trivial_rules_reach(entries):
    card = page.markdown(entries[::-1], Terms(presets=("less", "one")), [])
    (row,) = re.findall(r"\| no model +\|.*", card)
    (prediction,) = [one for one in entries[0].report["filling"] if one["task"] == "prediction"]
    assert f"{prediction['rules']['hold']['psnr']['value']:.1f} dB" in row
    course = entries[0].report["horizon"]["held"]["psnr"]
    assert f"{course[0] - course[-1]:.1f} dB" in row


def test_each_world_has_its_own_attributes_and_prompts():
    small, full = ({column.name for column in follows(world)} for world in (SMALL, FULL))
    assert full - small == {"weather", "style", "camera"}
    assert {"kind", "count", "ground", "time", "held out", "two things"} <= small
    assert not set(PROMPTS["small"]) & set(PROMPTS["full"])
    names = {cell.name for cell in CELLS if cell.world == FULL}
    report = {"adherence": [{"cell": name, "model": {"all": {"value": 0.5}}} for name in names]}
    assert [column.read(report) for column in follows(FULL)][-3:] == [50.0] * 3


def test_a_page_says_how_to_print_it_again(entries):
    terms = Terms(("one",), 3, "full", seed=7, data="there", allow_unlicensed=True)
    card = page.markdown(entries[:1], terms, [])
    options = "--world full --seed 7 --data CLIPS --allow-unlicensed --report DIR"
    assert f"kineo compare one --budget 3 --clips 64 {options}" in card


def test_a_family_stands_for_its_main_preset():
    assert contest.entrants(["rnn", "convlstm", "mingru"]) == ("convlstm", "mingru")
    assert contest.entrants(["diffusion", "unet"]) == ("diffusion-small", "unet")
    assert contest.entrants([]) == MAIN
    assert contest.entrants(["nothing"]) == ("nothing",)


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["footage"], ["--budget", 0], ["--budget", "nan"], ["--clips", 2], ["--world", "flat"]],
)
def test_what_can_not_be_compared_is_refused(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kineo("compare", *arguments) == 2
    refusal(capsys)


# Somebody's own clips


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The report of a tiny model on eight clips of its size, of four captions."""
    folder = tmp_path_factory.mktemp("own")
    save_shaken(folder)
    model = diffusion.load(folder)
    long = np.concatenate([CLIPS, CLIPS[:, ::-1]])[:, np.arange(Own.length_of(WINDOW)) % WINDOW]
    *_, report = suite.evaluate(model, folder, 8, own=Own(long, CAPTIONS * 2))
    return report


def test_by_own_clips_all_is_measured_that_needs_no_detectors(measured):
    assert measured.adherence == measured.editing == measured.control == ()
    assert {one.task for one in measured.filling} == set(TASKS)
    assert all(one.better.count == 8 for one in measured.filling)
    assert measured.horizon.clips == 8
    assert (measured.fidelity.clips, measured.diversity.prompts) == (4, len(CAPTIONS))
    assert measured.memorisation is None
    json.loads(measured.to_json())


def test_the_floor_of_own_clips_is_that_of_the_two_halves(measured):
    """Of the clips, the second four are the first backwards: as sets of frames they are alike."""
    found = measured.fidelity
    assert found.floor < found.frozen
    assert found.floor < found.model


def test_a_page_of_own_clips_says_so(measured, tmp_path):
    entry = Entry("one", json.loads(measured.to_json()), (), ("a", "b"))
    terms = Terms(("one",), data="somewhere")
    card = page.markdown([entry], terms, [])
    assert "every fifth was kept from training" in card
    assert "--data CLIPS" in card
    assert "somewhere" not in card
    assert re.search(r"\| model +\| Fréchet", card)


@pytest.mark.parametrize(("count", "halves"), [(3, None), (4, (2, 2)), (7, (3, 3))])
def test_own_clips_are_halved_without_an_overlap(count, halves):
    own = Own(np.arange(count).astype(np.uint8)[:, None, None, None, None], [str(n) for n in range(count)])
    found = own.halves
    assert (found and tuple(len(half.clips) for half in found)) == halves
    if found:
        one, other = ({*half.captions} for half in found)
        assert not one & other


def test_every_fifth_of_own_clips_is_kept_from_training(tmp_path):
    for number in range(11):
        (tmp_path / f"clip-{number:02d}.mkv").touch()
    folders = contest.folders_of(Terms(("unet",), data=str(tmp_path), allow_unlicensed=True))
    learnt, held = ([path.stem[-2:] for path in folder.files] for folder in folders.values())
    assert held == ["04", "09"]
    assert sorted(learnt + held) == [f"{number:02d}" for number in range(11)]


def test_one_clip_is_too_few_to_compare_by(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "only.mkv").touch()
    assert kineo("compare", "unet", "--data", tmp_path / "clips", "--report", tmp_path / "report") == 2
    assert "holds one clip: give two at least" in refusal(capsys)
    assert kineo("compare", "unet", "--data", tmp_path / "none", "--report", tmp_path / "report") == 2
    assert "There is no folder" in refusal(capsys)
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_models_are_compared_by_own_clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for number in range(6):
        write(tmp_path / "clips" / f"thing-{number}.mkv", moving(60), fps=Fraction(8))
    report = tmp_path / "report"
    options = ("--budget", 0.05, "--clips", 4, "--data", tmp_path / "clips", "--allow-unlicensed")
    options = (*options, "--report", report)
    assert kineo("compare", "unet", "gan", *options) == 0
    found = json.loads((report / "comparison.json").read_text())
    assert found["gan"]["horizon"]["clips"] == 4
    assert found["unet"]["adherence"] == []
    assert "data:video/mp4" in (report / "comparison.html").read_text()
    assert kineo("compare", "unet", "gan", *options) == 0


@pytest.mark.slow
def test_a_comparison_that_was_killed_goes_on(tmp_path, capsys):
    asked = ["compare", "unet", "diffusion", "--budget", "0.05", "--clips", "4", "--report", str(tmp_path)]
    with subprocess.Popen([KINEO, *asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        while process.poll() is None and not (tmp_path / "diffusion-small" / "flow" / log.LOG).exists():
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    kept = (tmp_path / "unet" / release.FIGURES).read_bytes()
    assert kineo(*asked) == 0
    assert (tmp_path / "unet" / release.FIGURES).read_bytes() == kept
    assert len(list((tmp_path / "diffusion-small" / SHOWN).glob("*.mp4"))) == len(PROMPTS["small"])
    assert "diffusion-small" in (tmp_path / "comparison.html").read_text()


def test_unless_asked_otherwise_one_of_each_family_is_compared():
    families = [ENTRANTS[preset] for preset in MAIN]
    assert len(families) == len(set(families))
    assert set(families) == set(ENTRANTS.values())
