"""A recipe from clips to a model: interrupted, with pictures, from a model, on somebody's own clips."""

import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from media_clips import moving
from media_clips import write as write_clip

from kineograph.config import override
from kineograph.data.shards import Shards
from kineograph.errors import DataError, RequestError
from kineograph.evaluation import facts
from kineograph.models.diffusion import FOLDED, load_networks
from kineograph.models.tokenizer import TokenizerConfig
from kineograph.provenance.verify import verify
from kineograph.text.vocabulary import Vocabulary
from kineograph.training import log
from kineograph.training.events import Finished, Note, Prepared, Shown, Stepped
from kineograph.training.presets import playground
from kineograph.training.recipes import kept
from kineograph.training.run import spread
from kineograph.training.runs import run_of

# The settings of a recipe that is done in seconds.
TINY = {
    "clips": "6",
    "latents": "8",
    "sheets": "0",
    "tokenizer.channels": "8",
    "tokenizer.widths": "32,32,32",
    "tokenizer.encoder_depths": "1,1,1",
    "tokenizer.decoder_depths": "1,1,1",
    "denoiser.channels": "8",
    "denoiser.grid": "4,2,2",
    "denoiser.canvas_width": "4",
    "denoiser.text_width": "16",
    "denoiser.width": "24",
    "denoiser.hidden": "32",
    "denoiser.depth": "1",
    "denoiser.heads": "2",
    "tokenizer_stage.batch": "2",
    "tokenizer_stage.train.steps": "6",
    "tokenizer_stage.train.checkpoint_every": "4",
    "text_stage.batch": "4",
    "text_stage.train.steps": "3",
    "text_stage.train.minutes": "60",
    "flow_stage.batch": "4",
    "flow_stage.canvas": "1",
    "flow_stage.guided": "2",
    "flow_stage.played": "0",
    "flow_stage.train.steps": "6",
    "flow_stage.train.compile": "false",
    "decoder_stage.batch": "2",
    "decoder_stage.train.steps": "2",
}
RECIPE = override(playground(), TINY)
RESTING = {f"{name}_stage.train.steps": "0" for name in RECIPE.stages}


def follow(run):
    """All events of a run, the last of which is Finished."""
    events = list(run.events())
    assert isinstance(events[-1], Finished)
    return events


def notes_of(events):
    return [event.text for event in events if isinstance(event, Note)]


def steps_of(out):
    """The logged steps of all stages but for their times."""
    logs = {path.parent.name: log.read(path.parent) for path in out.glob(f"*/{log.LOG}")}
    return {
        stage: [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
        for stage, lines in logs.items()
    }


def weights_of(out):
    return {path.name: path.read_bytes() for path in (out / "model").glob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in one go that shows itself all the time, and its events."""
    out = tmp_path_factory.mktemp("whole")
    return out, follow(run_of(replace(RECIPE, sheets=1e-6), out))


def test_what_a_run_tells_and_leaves(whole):
    out, events = whole
    stages = {"tokenizer": 6, "text": 3, "flow": 6, "decoder": 2}
    stepped = [event for event in events if isinstance(event, Stepped)]
    assert list(dict.fromkeys(event.stage for event in stepped)) == list(stages)
    assert {name: len(lines) for name, lines in steps_of(out).items()} == stages
    prepared = [event for event in events if isinstance(event, Prepared)]
    assert [(p.doing, p.done, p.total) for p in prepared[:2]] == [("Rendering clips", n, 6) for n in (0, 6)]
    assert (prepared[-1].done, prepared[-1].total) == (8, 8)
    assert kept(out) == replace(RECIPE, sheets=1e-6)
    assert events[-1] == Finished(out / "model", Shards(out / "clips").captions[0])
    networks, spec = load_networks(out / "model")
    assert networks.config.denoiser == RECIPE.denoiser
    assert (spec.name, spec.window, spec.width) == ("playground", 13, 32)


def test_pictures(whole):
    out, events = whole
    shown = {event.path.relative_to(out).as_posix() for event in events if isinstance(event, Shown)}
    assert all((out / path).read_bytes().startswith(b"\x89PNG") for path in shown)
    assert {f"{stage}/loss.png" for stage in ("tokenizer", "text", "flow", "decoder")} <= shown
    sheets = ("tokenizer-00000001", "tokenizer-00000006", "flow-00000006", "decoder-00000002")
    assert {f"sheets/{name}.png" for name in sheets} <= shown
    assert {verify(out / f"sheets/{name}.png").signed.signature for name in sheets} == {"trusted"}


def test_interruptions_and_pictures_leave_no_trace_in_numbers(whole, tmp_path):
    """Closed in every stage and resumed, without pictures: the same losses and model, bit for bit."""
    for stage, step in (("tokenizer", 2), ("tokenizer", 4), ("text", 1), ("flow", 3), ("decoder", 0)):
        events = run_of(RECIPE, tmp_path).events()
        for event in events:
            if isinstance(event, Stepped) and (event.stage, event.step.step) == (stage, step):
                events.close()
                break
        assert (tmp_path / stage / f"step-{step + 1:08d}").is_dir()
    resumed = follow(run_of(RECIPE, tmp_path))
    assert Note("Resuming decoder at step 1") in resumed
    assert not [event for event in resumed if isinstance(event, Prepared)]
    out, _ = whole
    assert steps_of(tmp_path) == steps_of(out)
    assert weights_of(tmp_path) == weights_of(out)


def test_no_path_needs_pyav_once_the_clips_are_there(whole, tmp_path):
    """Only the contact sheets are left out, and that is said."""
    out, _ = whole
    shutil.copytree(out / "clips", tmp_path / "clips")
    code = f"""
import sys
from pathlib import Path
sys.modules["av"] = None  # importing it fails
from kineograph.config import override
from kineograph.training.presets import playground
from kineograph.training.events import Note
from kineograph.training.runs import run_of
recipe = override(playground(), {TINY | {"sheets": "1", "text_stage.train.steps": "0"}})
for event in run_of(recipe, Path(sys.argv[1])).events():
    if isinstance(event, Note):
        print(event.text)
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    says = "There are no contact sheets: import of av halted; None in sys.modules"
    assert done.stdout.splitlines() == [says] * 3
    assert (tmp_path / "model" / "config.json").exists()
    assert not (tmp_path / "sheets").exists()


# Starting from a model


@pytest.fixture(scope="module")
def init(whole):
    """A folder with a model, and its networks."""
    folder = whole[0] / "model"
    return folder, load_networks(folder)[0]


def from_model(init, recipe=RECIPE):
    folder, networks = init
    return replace(recipe.starting_from(networks.config), init=str(folder))


def test_a_run_that_only_rests_makes_the_model_that_it_starts_from(whole, init, tmp_path):
    out, _ = whole
    shutil.copytree(out / "clips", tmp_path / "clips")
    events = follow(run_of(override(from_model(init), RESTING), tmp_path))
    assert not [event for event in events if isinstance(event, Stepped)]
    assert weights_of(tmp_path) == weights_of(out)
    assert load_networks(tmp_path / "model")[1].sampling == FOLDED
    before, after = (facts.read(folder / "model") for folder in (out, tmp_path))
    assert (after.stages, after.init) == (before.stages, "playground")


def test_on_the_world_the_tokenizer_and_its_scale_stay(whole, init, tmp_path):
    out, _ = whole
    shutil.copytree(out / "clips", tmp_path / "clips")
    follow(run_of(from_model(init), tmp_path))
    assert set(steps_of(tmp_path)) == {"flow"}
    before, after = weights_of(out), weights_of(tmp_path)
    assert before["tokenizer.safetensors"] == after["tokenizer.safetensors"]
    assert before["flow.safetensors"] != after["flow.safetensors"]
    names = [stage.name for stage in facts.read(tmp_path / "model").stages]
    assert names == ["tokenizer", "text", "flow", "decoder", "flow, continued"]


def test_of_a_training_that_is_not_wholly_known_nothing_is_told(whole, init, tmp_path):
    folder, networks = init
    shutil.copytree(whole[0] / "clips", tmp_path / "clips")
    shutil.copytree(folder, tmp_path / "unknown", ignore=shutil.ignore_patterns(facts.FILE))
    recipe = from_model((tmp_path / "unknown", networks))
    follow(run_of(override(recipe, RESTING), tmp_path))
    assert facts.read(tmp_path / "model") is None


def test_networks_that_are_not_those_of_the_model_to_start_from(init, tmp_path):
    recipe = replace(from_model(init), tokenizer=TokenizerConfig(8, (32, 32, 64)))
    with pytest.raises(RequestError, match="has other networks"):
        run_of(recipe, tmp_path)


def test_a_model_to_start_from_that_has_changed_since(whole, init, tmp_path):
    """Its weights are known by their hash, which the run keeps when it begins."""
    folder, networks = init
    shutil.copytree(whole[0] / "clips", tmp_path / "out" / "clips")
    shutil.copytree(folder, tmp_path / "first")
    recipe = from_model((tmp_path / "first", networks))
    events = run_of(recipe, tmp_path / "out").events()
    next(events)
    events.close()
    begun = kept(tmp_path / "out")
    assert begun == replace(recipe, init_hash=load_networks(folder)[1].weights_hash)
    run_of(begun, tmp_path / "out")
    (tmp_path / "first" / "more.safetensors").write_bytes(b"other weights")
    with pytest.raises(RequestError, match=r"first has changed since .*--out\.$"):
        run_of(begun, tmp_path / "out")


def test_two_runs_in_one_folder(whole, tmp_path):
    shutil.copytree(whole[0] / "clips", tmp_path / "clips")
    events = run_of(RECIPE, tmp_path).events()
    next(events)
    with pytest.raises(RequestError, match="at work"):
        next(run_of(RECIPE, tmp_path).events())
    events.close()
    again = run_of(RECIPE, tmp_path).events()
    next(again)
    again.close()


@pytest.mark.parametrize(
    "damaged", ["clips/index.json", "clips/captions.jsonl", "clips/clips-00000.safetensors"]
)
def test_damaged_clips_are_refused(whole, tmp_path, damaged):
    shutil.copytree(whole[0] / "clips", tmp_path / "clips")
    (tmp_path / damaged).write_text('"a"\n')
    with pytest.raises(DataError, match=r"'clips' .* damaged: remove that folder"):
        follow(run_of(RECIPE, tmp_path))


# Somebody's own clips


def test_own_clips_bring_words_and_those_that_were_known_keep_their_meaning(init, tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for name, height in {"somebody_waves": 32, "a red ball falls": 48}.items():
        write_clip(clips / f"{name}.mkv", moving(16, height, 40), fps=Fraction(8))
    (clips / "broken.mp4").write_text("no clip")
    (clips / "a red ball falls.txt").write_text("a red ball falls " + "again and " * 25)
    own = replace(RECIPE, data=str(clips), allow_unlicensed=True)
    recipe = replace(from_model(init, own), name="footage")
    notes = notes_of(follow(run_of(override(recipe, RESTING), out)))
    assert notes[0].startswith("Skipped: 'broken.mp4' ")
    assert notes[1] == "Of 2 of 2 clips no licence is known, which was allowed."
    assert notes[2].startswith("Captions are read up to word 44; longer are 1, such as: a red ball falls")
    made, spec = load_networks(out / "model")
    assert facts.read(out / "model") is None
    _, init = init
    assert {*init.config.words, "somebody", "waves", "again"} == {*spec.vocabulary}
    assert spec.name == "footage"
    old, new = Vocabulary(init.config.words), Vocabulary(made.config.words)
    for word in ("ball", "red", "", "unheard-of"):
        rows = [n.text.embedding.weight[v.encode(word, 1)] for n, v in ((init, old), (made, new))]
        assert torch.equal(*rows)
    shutil.rmtree(clips)  # which are not needed any more
    follow(run_of(override(recipe, RESTING | {"flow_stage.train.steps": "2"}), out))
    assert set(steps_of(out)) == {"flow"}


def test_a_recipe_that_needs_clips(tmp_path):
    with pytest.raises(RequestError, match="learns from your own clips"):
        run_of(replace(RECIPE, data="", name="footage"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_spread():
    assert spread("abcdefg", 3) == ["a", "d", "g"]
    assert spread("ab", 3) == ["a", "b"]
    assert spread("abcdefgh", 1) == ["a"]
