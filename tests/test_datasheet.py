"""Data sheets: sources and licences, duplicates, balance, and Croissant that its own library accepts."""

import json
import shutil
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_clips import moving
from media_clips import write as write_clip

from kineograph.data import datasheet, duplicates, sources, world
from kineograph.data.croissant import UNKNOWN
from kineograph.data.datasheet import CROISSANT, OPEN, SHEET, balance_of
from kineograph.data.folder import Folder
from kineograph.data.shards import Shards, write
from kineograph.data.sources import Source
from kineograph.errors import DataError, ModelError
from kineograph.evaluation import learnt
from kineograph.training import datasheets
from kineograph.training.presets import PRESETS
from kineograph.training.runs import run_of
from kineograph.worlds.world import SMALL

SOURCES = [
    {"files": "a*", "licence": "CC-BY-4.0", "consent": "nobody is shown", "url": "https://example.org/a"},
    {"files": "*.mkv", "licence": "CC0-1.0", "consent": "the signers agreed"},
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four clips: b and d are one, c is that once more with less range; a is another."""
    clips = tmp_path_factory.mktemp("clips") / "own"
    clips.mkdir()
    write_clip(clips / "a_red kite.mkv", moving(10)[:, ::-1], fps=Fraction(8))
    write_clip(clips / "b_kite.mkv", moving(10), fps=Fraction(8))
    write_clip(clips / "c_kite.mkv", moving(10) // 2 * 2, fps=Fraction(8))
    shutil.copy(clips / "b_kite.mkv", clips / "d_kite.mkv")
    (clips / sources.FILE).write_text(json.dumps(SOURCES))
    return clips


@pytest.fixture
def folder(clips, tmp_path):
    return Path(shutil.copytree(clips, tmp_path / "own"))


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory):
    """The shards of these clips, and their sheet."""
    out, own = tmp_path_factory.mktemp("shards") / "clips", Folder(clips, 9, 32, 8.0)
    return out, datasheets.describe_folder(write(out, own.parts(), own.fps), own)


@pytest.fixture
def unknown(whole, tmp_path):
    """The same where no source is known of three of the four."""
    out, sheet = whole
    shutil.copytree(out, tmp_path / "unknown")
    names = ("b_kite.mkv", "c_kite.mkv", "d_kite.mkv")
    return tmp_path / "unknown", replace(sheet, used=sheet.used[:1], unlicensed=names)


def test_the_sheet_of_own_clips(whole):
    out, sheet = whole
    assert (sheet.files, sheet.clips, sheet.compared) == (4, 8, 8)
    assert [(used.source.licence, used.files) for used in sheet.used] == [("CC-BY-4.0", 1), ("CC0-1.0", 3)]
    assert sheet.exact == (("b_kite.mkv", "d_kite.mkv"),)
    pairs = {(pair.first, pair.second) for pair in sheet.near}
    assert pairs == {("b_kite.mkv", "c_kite.mkv"), ("c_kite.mkv", "d_kite.mkv")}
    assert sheet.balance["word"]["kite"] == sheet.clips
    assert sheet.unlicensed == ()
    assert datasheet.read(out) == sheet


def test_of_the_world_attributes_are_counted(tmp_path):
    clips = write(tmp_path, world.clips(8, 1, 9, 32, SMALL), world.FPS)
    sheet = datasheets.describe_world(clips, "small")
    assert set(sheet.balance) == set(SMALL.values)
    assert all(sum(values.values()) == 8 for values in sheet.balance.values())
    assert (sheet.exact, sheet.near, sheet.compared) == ((), (), 8)
    captions = ["a red ball and a blue box over sand", "a ball"]
    assert balance_of(captions, SMALL)["color"] == {**dict.fromkeys(SMALL.colors, 0), "red": 1, OPEN: 1}


@pytest.mark.parametrize("own", [True, False], ids=["own", "world"])
def test_croissant_is_what_its_own_library_reads(own, whole, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    out = whole[0] if own else tmp_path
    if not own:
        datasheets.describe_world(write(out, world.clips(4, 1, 9, 32, SMALL), world.FPS), "small")
    found = mlcroissant.Dataset(jsonld=out / CROISSANT)
    assert not found.metadata.issues.errors
    values = found.metadata.to_json()
    assert values["rai:dataBiases"]
    assert values["rai:personalSensitiveInformation"]
    captions = [record["clips/caption"].decode() for record in found.records("clips")]
    assert captions == Shards(out).captions


def test_licence_consent_and_address_of_each_source_are_told(whole):
    values = json.loads((whole[0] / CROISSANT).read_text())
    assert values["license"] == ["CC-BY-4.0", "CC0-1.0"]
    assert [one["usageInfo"] for one in values["isBasedOn"]] == ["nobody is shown", "the signers agreed"]
    assert values["url"] == "https://example.org/a"


def test_what_is_not_known_is_said(unknown):
    out, sheet = unknown
    datasheet.write(out, sheet)
    assert json.loads((out / CROISSANT).read_text())["license"] == ["CC-BY-4.0", UNKNOWN]
    assert "3 of 4 clips no licence is known" in next(datasheets.notes_on(sheet))


# Sources


def test_the_first_pattern_counts():
    known = tuple(Source(**source) for source in SOURCES)
    assert [sources.source_of(name, known) for name in ("a.mkv", "b.mkv", "b.mp4")] == [*known, None]


BAD = ["{", "{}", "[3]", '[{"files": "*"}]', '[{"files": "*", "licence": "", "consent": "yes"}]']


@pytest.mark.parametrize("text", [*BAD, '[{"files": "*", "licence": "CC0", "consent": "x", "by": "me"}]'])
def test_wrong_sources_are_refused_in_one_sentence(text, tmp_path):
    (tmp_path / sources.FILE).write_text(text)
    with pytest.raises(DataError, match=r"^[^\n]*sources\.json[^\n]*\.$"):
        sources.read(tmp_path)


@pytest.mark.parametrize("preset", ["footage", "vae"])
def test_unlicensed_clips_are_refused(preset, folder, tmp_path):
    (folder / sources.FILE).write_text(json.dumps(SOURCES[:1]))
    recipe = replace(PRESETS[preset](), data=str(folder), clips=4, latents=4)
    with pytest.raises(DataError, match=r"3 of 4 clips .*\(b_kite\.mkv, .*add --allow-unlicensed\.$"):
        run_of(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run_of(replace(recipe, allow_unlicensed=True), tmp_path / "out")


# Duplicates


def test_planted_copies_are_found_and_nothing_else():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 255, (600, 48)).astype(np.float32)
    points[500:550] = points[:50] + rng.normal(0, 0.5, (50, 48))
    found = duplicates.near(points, [str(n) for n in range(600)])
    assert {(pair.first, pair.second) for pair in found} == {
        tuple(sorted((str(n), str(n + 500)))) for n in range(50)
    }


def test_windows_of_one_file_are_no_duplicates():
    points = np.zeros((4, 8), np.float32)
    found = duplicates.near(points, ["a", "a", "b", "b"])
    assert [(pair.first, pair.second, pair.apart) for pair in found] == [("a", "b", 0.0)]


@given(st.lists(st.integers(0, 5), max_size=20))
def test_equal_digests_are_grouped(digests):
    groups = duplicates.exact((str(number), str(digest)) for number, digest in enumerate(digests))
    assert sum(len(group) - 1 for group in groups) == len(digests) - len(set(digests))


# What the model tells


def test_the_model_tells_what_it_learnt_from(unknown, tmp_path):
    known = learnt.learnt_of(unknown[1])
    learnt.write(tmp_path, known, "mine")
    assert learnt.read(tmp_path) == known
    assert (known.unlicensed, known.exact) == (3, 1)
    card = (tmp_path / learnt.CARD).read_text()
    assert "licence CC-BY-4.0, https://example.org/a; consent: nobody is shown." in card
    assert "Of 3 files no licence and no consent is known" in card
    assert "--allow-unlicensed" in card
    assert "kite" not in json.dumps(asdict(known)) + card
    (tmp_path / learnt.FILE).write_text("{}")
    with pytest.raises(ModelError, match="damaged"):
        learnt.read(tmp_path)


def test_a_damaged_sheet_is_refused(tmp_path):
    assert datasheet.read(tmp_path) is None
    (tmp_path / SHEET).write_text("[]")
    with pytest.raises(DataError, match="damaged"):
        datasheet.read(tmp_path)


def test_latents_have_a_sheet_of_their_own(tmp_path):
    clips = write(tmp_path / "clips", world.clips(4, 1, 9, 32, SMALL), world.FPS)
    more = write(tmp_path / "latents", world.clips(8, 1, 9, 32, SMALL), world.FPS)
    assert datasheets.describe_latents(more, clips) is None
    datasheets.describe_world(clips, "small")
    sheet = datasheets.describe_latents(more, clips)
    assert (sheet.clips, sheet.compared, sum(sheet.balance["color"].values())) == (8, 4, 8)
    assert datasheet.read(tmp_path / "latents") == sheet
