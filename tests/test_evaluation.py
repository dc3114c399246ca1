"""Evaluation: figures as computed by hand, trivial rules that do what they say, and checks that bite."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_model import PlainModel
from tiny_models import SIDE, WINDOW, diffusion_networks, save_shaken

from kineograph.canvas import TASKS as ALL_TASKS
from kineograph.canvas import inpainting_canvas, interpolation_canvas, keyframes_canvas
from kineograph.errors import ModelError
from kineograph.evaluation import facts as training_facts
from kineograph.evaluation.adherence import CELLS, MOST_FULL, captions_of, judge, of_ceiling, shares
from kineograph.evaluation.card import card
from kineograph.evaluation.diversity import apart, measure_diversity
from kineograph.evaluation.diversity import rendered as different_clips
from kineograph.evaluation.facts import Facts, continued, stage_of
from kineograph.evaluation.figures import bootstrap, share
from kineograph.evaluation.filling import TASKS, across, blend, compare, hold, nearness, seam_of
from kineograph.evaluation.horizon import measure_horizon
from kineograph.evaluation.horizon import rendered as horizon_clips
from kineograph.evaluation.making import draw, fill, rebuild, text_canvases
from kineograph.evaluation.memorisation import memorisation, nearest
from kineograph.evaluation.metrics import mse, psnr, ssim, thumbnails
from kineograph.evaluation.report import Report
from kineograph.evaluation.suite import Progress, _Plan, evaluate
from kineograph.generation import generate_batch
from kineograph.models import diffusion
from kineograph.models.tokenizer import to_frames, to_signal
from kineograph.request import Request
from kineograph.sampling.noise import Noise
from kineograph.sampling.settings import Sampling
from kineograph.video import Video
from kineograph.worlds.captions import canonical, describe, parse
from kineograph.worlds.holdout import is_held_out, training_scenes
from kineograph.worlds.renderer import render
from kineograph.worlds.scene import Scene, Thing
from kineograph.worlds.world import FULL, SMALL

RED_BALL = Scene((Thing("ball", "red", "large", "right", 0.3, 0.6),), "grass", "day")


def grey(*levels: int, side: int = 16) -> np.ndarray:
    """Frames (T, H, W, 3), each of one level."""
    return np.broadcast_to(
        np.array(levels, np.uint8)[:, None, None, None], (len(levels), side, side, 3)
    ).copy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model without training, and facts of the training that it never had."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    save_shaken(path)
    lines = [{"step": n, "loss": 1.0, "seconds": 0.5 * (n + 1), "psnr": 10.0 + n} for n in range(120)]
    stage = stage_of("tokenizer", lines, batch=8, metric="psnr")
    training_facts.write(path, Facts("playground", 6, 20, 1, "a slow machine", (stage,)))
    return path


@pytest.fixture(scope="module")
def model(folder):
    return diffusion.load(folder)


# Metrics


def test_error_of_one_level():
    assert mse(grey(100), grey(101)) == 1
    assert psnr(1) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(0) == math.inf
    assert ssim(grey(100, 50), grey(100, 50)) == pytest.approx(1)


def test_error_counts_only_where_it_is_asked():
    other = grey(100, 100)
    other[0, :8] = 104
    where = np.zeros((2, 16, 16), bool)
    where[:, :10] = True
    assert mse(grey(100, 100), other) == 16 / 4
    assert mse(grey(100, 100), other, where) == pytest.approx(16 * 8 / 20)
    assert math.isnan(mse(other, other, np.zeros((2, 16, 16), bool)))


def test_similarity_of_flat_frames_is_that_of_their_levels():
    a, b, c = 100, 150, (0.01 * 255) ** 2
    assert ssim(grey(a), grey(b)) == pytest.approx((2 * a * b + c) / (a * a + b * b + c), rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_metrics_are_symmetric_and_fall_with_noise(seed, strength):
    rng = np.random.default_rng(seed)
    clean = rng.integers(60, 196, (2, 16, 16, 3)).astype(np.uint8)
    noise = rng.choice([-1, 1], clean.shape)
    little, much = ((clean + k * noise).astype(np.uint8) for k in (strength // 2, strength))
    assert mse(clean, much) == mse(much, clean) == strength**2
    assert ssim(clean, much) == pytest.approx(ssim(much, clean))
    assert -1 <= ssim(clean, much) < ssim(clean, little) <= 1 + 1e-9


def test_thumbnails_average_and_take_first_and_last():
    clip = grey(*range(0, 170, 10), side=32)
    points = thumbnails(np.stack([clip, clip[::-1]])).reshape(2, 5, -1)
    np.testing.assert_allclose(points[0].mean(axis=1), [0, 40, 80, 120, 160])
    np.testing.assert_allclose(points[0], points[1][::-1])


# Figures


def test_wilson_interval():
    figure = share(8, 10)
    assert (figure.value, figure.count) == (0.8, 10)
    assert (figure.low, figure.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share(0, 5).low == pytest.approx(0, abs=1e-12)
    assert share(5, 5).high == pytest.approx(1)
    assert math.isnan(share(0, 0).value)


def test_bootstrap_holds_the_value_and_is_repeatable():
    values = np.random.default_rng(3).normal(5, 2, 400)
    figure = bootstrap(lambda rows: float(rows.mean()), values)
    assert figure == bootstrap(lambda rows: float(rows.mean()), values)
    assert figure.value == values.mean()
    half = 1.96 * values.std() / 20
    assert (figure.low, figure.high) == pytest.approx((figure.value - half, figure.value + half), abs=0.05)


# Adherence


def test_shares_count_the_named():
    verdicts = [{"kind": True, "all": True}, {"kind": False, "size": True, "all": False}]
    found = shares(verdicts)
    assert {name: (f.value, f.count) for name, f in found.items()} == {
        "kind": (0.5, 2),
        "all": (0.5, 2),
        "size": (1.0, 1),
    }


def test_share_of_the_ceiling():
    yes, no = {"all": True}, {"all": False}
    assert of_ceiling([yes, no, no, no], [yes, yes, no, no]).value == 0.5
    assert math.isnan(of_ceiling([no], [no]).value)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_scenes_of_a_cell(cell):
    scenes = cell.scenes(8)
    assert all(is_held_out(scene) == cell.held_out for scene in scenes)
    assert all(cell.objects in (None, len(scene.things)) for scene in scenes)
    assert cell.scenes(3) == scenes[:3]
    captions = captions_of(scenes, cell.world)
    assert captions[:3] == captions_of(scenes[:3], cell.world)
    said = [replace(parse(text, cell.world), relation=None) for text in captions]
    assert said == [describe(scene, cell.world) for scene in scenes]


def test_cells_of_the_full_world_are_smaller_and_named_after_it():
    assert [cell.name for cell in CELLS if cell.world == FULL] == [
        "full world, one thing",
        "full world, two things",
        "full world, three things",
        "full world, held-out combinations",
    ]
    assert {cell.clips(4) for cell in CELLS} == {4}
    assert all(cell.clips(4096) == (4096 if cell.world == SMALL else MOST_FULL) for cell in CELLS)


def test_detectors_tell_a_right_caption_from_a_wrong_one():
    clip = render([RED_BALL], size=64, truth=False).frames.numpy()
    right, wrong = (
        "a large red ball moves right over grass by day",
        "a large blue ball moves left over grass at night",
    )
    assert all(judge([right], clip, 8.0)[0].values())
    found = judge([wrong], clip, 8.0)[0]
    assert [name for name, good in found.items() if not good] == ["color", "motion", "time", "all"]
    snowy = replace(RED_BALL, weather="snowfall", style="cartoon", camera="pan left")
    clip = render([snowy], size=64, truth=False).frames.numpy()
    assert all(judge([canonical(snowy, FULL)], clip, 8.0, FULL)[0].values())
    found = judge([canonical(RED_BALL, FULL)], clip, 8.0, FULL)[0]
    assert [name for name, good in found.items() if not good] == ["weather", "style", "camera", "all"]


# Making


def test_clips_are_those_that_anybody_gets(model):
    prompts = ["a red ball", "a green box", "a blue star"]
    made = fill(text_canvases(prompts, model.spec), model, seed=4)
    videos = generate_batch([Request(text, seed=4 + i) for i, text in enumerate(prompts)], model)
    np.testing.assert_array_equal(made.frames, np.stack([video.frames for video in videos]))
    assert made.evaluations == model.spec.sampling.steps


def test_rebuilt_clips_went_through_the_latents(model):
    clip = render([RED_BALL], frames=WINDOW, size=SIDE, truth=False).frames.numpy()
    rebuilt = rebuild(clip, model)
    assert rebuilt.shape == clip.shape
    with torch.inference_mode():
        known = to_frames(model.decoded(model.encoded(to_signal(torch.from_numpy(clip)))))
    np.testing.assert_array_equal(rebuilt, known.numpy())


# Filling


def test_hold_and_blend():
    pictures = {0: grey(0)[0], 4: grey(100)[0]}
    canvas = keyframes_canvas("", pictures, frames=5, fps=8.0)
    np.testing.assert_array_equal(hold(canvas), grey(0, 0, 0, 100, 100))
    np.testing.assert_array_equal(blend(canvas), grey(0, 25, 50, 75, 100))


def test_across():
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None] * 10, (2, 16, 16, 3)).copy()
    hole = np.zeros((2, 16, 16), bool)
    hole[:, 4:12, 4:12] = True
    np.testing.assert_array_equal(across(inpainting_canvas("", Video(ramp, 8.0), hole)), ramp)


def test_an_exact_filling_has_no_error_and_a_known_one_a_known_error():
    canvas = interpolation_canvas("", Video(grey(0, 40), 2.0), 4)
    truth = grey(0, 10, 20, 30, 40)
    things = np.zeros(truth.shape[:3], bool)
    things[1, :2] = True
    assert nearness([compare(blend(canvas), truth, ~canvas.known, things)]).psnr.value == math.inf
    found = nearness([compare(hold(canvas), truth, ~canvas.known, things)] * 3)
    assert found.psnr.value == pytest.approx(psnr((100 + 400 + 100) / 3))
    assert found.things.value == pytest.approx(psnr(100))
    assert found.seam.value == pytest.approx(psnr((100 + 100) / 2))
    assert found.psnr.count == 3
    assert found.mean_psnr.value == pytest.approx(found.psnr.value)
    black = compare(grey(*[0] * 5), truth, ~canvas.known, things)
    apart = nearness([compare(hold(canvas), truth, ~canvas.known, things), black])
    assert apart.mean_psnr.value > apart.psnr.value


def test_the_seam_is_what_lies_close_to_what_is_known():
    unknown = np.zeros((5, 20, 20), bool)
    unknown[2:] = True
    np.testing.assert_array_equal(seam_of(unknown).any(axis=(1, 2)), [False, False, True, False, False])
    unknown = np.zeros((1, 20, 20), bool)
    unknown[:, 2:18, 2:18] = True
    seam = seam_of(unknown)
    assert seam.sum() == 16**2 - 8**2
    assert not seam[~unknown].any()
    assert not seam_of(np.ones((2, 20, 20), bool)).any()


@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_what_it_knows(name):
    assert name in ALL_TASKS
    clip = Video(np.random.default_rng(0).integers(0, 256, (17, 16, 16, 3), dtype=np.uint8), 8.0)
    canvas = TASKS[name].canvas("a ball", clip)
    assert (canvas.task, canvas.prompt, canvas.fps, len(canvas)) == (name, "a ball", 8.0, 17)
    for frames in (canvas.frames, *(rule(canvas) for rule in TASKS[name].rules)):
        np.testing.assert_array_equal(frames[canvas.known], clip.frames[canvas.known])
    assert 0 < canvas.known.mean() < 1


# Memorisation


def test_a_continuation_that_holds_the_last_frame_is_as_near_as_holding_it():
    """The plain model gives every chunk one colour; of what it makes, each frame is judged by itself."""
    horizon = finished(measure_horizon(*horizon_clips(3, PlainModel().spec), PlainModel(), 2))
    assert (horizon.clips, horizon.past) == (3, 5)
    assert len(horizon.model.psnr) == len(horizon.held.ssim) == 12
    assert np.mean(horizon.held.psnr) > np.mean(horizon.model.psnr)
    assert horizon.held.psnr[0] > horizon.held.psnr[-1]


class OneClip(PlainModel):
    """It makes the same clip whatever the seed."""

    def sample(self, canvases, noises, sampling):
        yield from super().sample(canvases, [Noise(0)] * len(noises), sampling)


def test_who_makes_always_the_same_clip_has_no_diversity():
    true = different_clips(PlainModel().spec)
    assert finished(measure_diversity(*true, OneClip())).share.value == 0
    several = finished(measure_diversity(*true, PlainModel()))
    assert several.share.low > 0
    assert several.share.value == pytest.approx(several.made / several.rendered)


def test_points_apart():
    assert apart(np.array([[0, 0], [3, 3], [3, 3]], np.float32)) == pytest.approx(2)


def finished(work):
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_a_model_of_the_small_world_is_measured_on_it_alone(tmp_path):
    known = Facts("gan", 4, 4, 1, "a machine", world="small")
    small, full = (
        _Plan.of(PlainModel().spec, facts, 8, None) for facts in (known, replace(known, world="full"))
    )
    assert {cell.world for cell in small.cells} == {SMALL}
    assert {cell.world for cell in full.cells} == {SMALL, FULL}
    assert {edit.world for edit in small.edits} <= {SMALL}
    assert {ground.world for ground in small.grounds} == {SMALL}
    assert {ground.world for ground in full.grounds} == {FULL}


def test_nearest_distance_is_in_levels():
    points = np.array([[0, 0, 0, 0], [10, 10, 10, 10]], np.float32)
    np.testing.assert_allclose(nearest(points + 3, points), [3, 3])
    assert nearest(points, points).max() == 0


def test_planted_copies_are_found_and_new_clips_are_not():
    rng = np.random.default_rng(0)
    training, unseen, fresh = (rng.uniform(0, 255, (n, 64)).astype(np.float32) for n in (300, 200, 200))
    copies = np.concatenate([training[:100] + 1, fresh[:100]])
    honest, caught = (memorisation(made, unseen, training) for made in (fresh, copies))
    assert honest.ratio.low < 1 < honest.ratio.high
    assert honest.nearer.value < 0.04
    assert caught.nearer.value >= 0.5
    assert caught.ratio.value < honest.ratio.low
    assert memorisation(training[:200], unseen, training).ratio.value == pytest.approx(0, abs=1e-6)


def test_planted_clips_are_found_among_rendered_ones(model):
    trained, unseen = (
        thumbnails(draw(training_scenes(24, seed), model.spec).frames.numpy()) for seed in (1, 2)
    )
    assert memorisation(trained[:12], unseen[:12], trained).nearer.value == 1
    assert memorisation(unseen[12:], unseen[:12], trained).nearer.value <= 0.25


# Facts, report and card


def test_facts_of_a_training(folder):
    facts = training_facts.read(folder)
    (stage,) = facts.stages
    assert (stage.steps, stage.minutes, stage.clips_per_second) == (120, 1.0, 16.0)
    assert (len(stage.curve), stage.curve[0], stage.curve[-1]) == (60, (0.5, 10.5), (118.5, 128.5))
    assert training_facts.read(folder.parent) is None


def test_damaged_facts_are_refused(tmp_path):
    (tmp_path / "training.json").write_text('{"preset": 3}')
    with pytest.raises(ModelError, match="damaged"):
        training_facts.read(tmp_path)


def test_facts_of_a_training_that_went_on_from_a_model(folder):
    """The stages of both, the later ones told apart, and the minutes of all."""
    first = training_facts.read(folder)
    (tokenizer,) = first.stages
    flow = replace(tokenizer, name="flow", minutes=2.0)
    second = continued("tiny", first, replace(first, stages=(tokenizer, flow), seed=2))
    third = continued("second", second, replace(first, stages=(flow,)))
    assert [s.name for s in third.stages] == [
        "tokenizer",
        "tokenizer, continued",
        "flow",
        "flow, continued",
    ]
    assert (second.seed, second.init, second.minutes, third.minutes) == (2, "tiny", 4.0, 6.0)
    training_facts.write(folder.parent, third)
    assert training_facts.read(folder.parent) == third
    (folder.parent / training_facts.FILE).unlink()


PLENTY = frozenset({"edit", "insertion", "style", "tracks", "boxes", "pose", "depth", "edges", "actions"})


def allow(folder, abilities):
    """Rewrite what the model in the folder says that it can do."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"abilities": sorted(abilities)}))


@pytest.fixture(scope="module")
def items(folder, tmp_path_factory):
    """An evaluation of a model that makes flat clips, which are soon read, with an edit and a guide."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    networks = diffusion_networks()
    diffusion.save(path, networks, diffusion.spec_of("tiny", networks.config, Sampling(3, 2.0)))
    allow(path, diffusion.ABILITIES - PLENTY)
    training_facts.write(path, training_facts.read(folder))
    return list(evaluate(diffusion.load(path), path, clips=2, batch=2))


def test_progress_ends_at_the_whole(items):
    *steps, report = items
    assert isinstance(report, Report)
    assert all(isinstance(step, Progress) for step in steps)
    done = [step.done / step.total for step in steps]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)


def test_everything_is_measured(items, model, folder):
    report = items[-1]
    networks = model.networks
    assert report.cost.parameters == sum(v.numel() for v in networks.state_dict().values())
    assert report.cost.evaluations == 3
    assert [found.cell for found in report.adherence] == [cell.name for cell in CELLS]
    assert all(found.model["all"].count == 2 for found in report.adherence)
    assert {found.task for found in report.filling} == set(TASKS)
    assert report.memorisation.training_clips == 6
    assert report.fidelity.clips == 2 * sum(not cell.held_out for cell in CELLS)
    assert [found.edit for found in report.editing] == ["removal", "removal, the rest told"]
    assert all(found.copy.changed.value == 0 for found in report.editing)
    assert [found.guide for found in report.control] == ["camera"]
    assert report.facts == training_facts.read(folder)
    values = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert values["adherence"][0]["truth"]["all"]["count"] == 2


def test_without_facts_or_abilities_less_is_measured(tmp_path):
    save_shaken(tmp_path)
    allow(tmp_path, {"image"})
    *_, report = evaluate(diffusion.load(tmp_path), tmp_path, clips=4)
    assert (report.adherence, report.memorisation, report.tokenizer) == ((), None, None)
    assert (report.editing, report.control, report.fidelity) == ((), (), None)
    assert [found.task for found in report.filling] == ["image"]
    assert report.filling[0].ceiling is None
    assert "Not known" in card(report)


def test_the_card_names_all_that_it_should(items):
    report = items[-1]
    text = card(report, ["sheet.png"])
    for words in (
        "# tiny",
        "3 euler steps",
        "a slow machine",
        "1.0 minutes in all",
        "held-out",
        "two things, held-out combinations (2 clips)",
        "kineo evaluate tiny",
        "![Clips of fixed prompts, a row each](sheet.png)",
        "ball purple",
        "robot pink",
        "up to 3 things",
        "swings",
        "snowfall",
        "full world, three things (2 clips)",
        "| removal",
        "| camera",
        "seed 90001",
    ):
        assert words.lower() in text.lower(), words
    assert "went on" not in text
    text = card(replace(report, facts=continued("first", report.facts, report.facts)))
    assert "It went on from `first`" in text
    assert "tokenizer, continued" in text
    assert "2.0 minutes in all" in text
    assert "curves.png" not in text
    assert "nan" not in text.split()
    assert all(len(line) < 300 for line in text.splitlines() if not line.startswith("- It knows"))
