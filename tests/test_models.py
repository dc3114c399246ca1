"""The contract that every family of models keeps, shown with tiny models made on the spot."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, VARIANTS
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_models import CAPTIONS, CLIPS, FPS, SIDE, WINDOW, diffusion_networks, latents_and_captions, shaken

from kineograph import canvas as canvases
from kineograph.errors import ModelError
from kineograph.evaluation.frechet import features
from kineograph.evaluation.making import fill as evaluated
from kineograph.evaluation.making import rebuild
from kineograph.generation import fill, generate_batch
from kineograph.guiding import guides_for
from kineograph.models import MODELS
from kineograph.models.cells import CELLS
from kineograph.models.family import Step
from kineograph.models.flow import PUSH, Drawn, FlowLoss, FlowObjective
from kineograph.models.folding import clean_groups, draw_known, fold_canvas, partly_known
from kineograph.models.guides import KINDS, TELL_OF, fold_guides, untold
from kineograph.models.windows import Window
from kineograph.request import Request, Walk
from kineograph.sampling.noise import Noise
from kineograph.sampling.settings import Sampling
from kineograph.sampling.travel import shares
from kineograph.training.loop import TrainConfig, Trainer
from kineograph.video import Chunk, Video

EVERY = FAMILIES | VARIANTS
every_family = pytest.mark.parametrize("name", FAMILIES)
every_variant = pytest.mark.parametrize("name", EVERY)


def family_of(name):
    """That of a variant, whose name has more words."""
    return next(family for family in MODELS if name.startswith(family))


def load(name, folder, dtype=None):
    return MODELS[family_of(name)].load(folder, dtype)


def test_every_family_and_every_variant_is_held_to_the_contract():
    assert set(map(family_of, FAMILIES)) == set(MODELS)
    networks = [family.networks() for name, family in EVERY.items() if family_of(name) == "rnn"]
    assert {network.config.cell for network in networks} == set(CELLS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a model with random weights, by family. Its tokenizer is as it begins: shaken, it makes
    nearly all pixels black or white, which hides what differs."""
    root = tmp_path_factory.mktemp("models")
    for name, family in EVERY.items():
        networks = family.networks()
        for part, module in networks.named_children():
            if part != "tokenizer":
                shaken(module)
        family.save(root / name, networks)
    return {name: root / name for name in EVERY}


@pytest.fixture(scope="module")
def models(folders):
    return {name: load(name, folder, torch.float32) for name, folder in folders.items()}


def made(items):
    """The frames of all chunks, which must follow one another without a gap, and the steps."""
    items = list(items)
    chunks = [item for item in items if isinstance(item, Chunk)]
    ends = np.cumsum([0, *(len(chunk.frames) for chunk in chunks)])
    assert [chunk.start for chunk in chunks] == ends[:-1].tolist()
    return np.concatenate([chunk.frames for chunk in chunks]), [
        item for item in items if isinstance(item, Step)
    ]


def frames_of(model, canvas, **fields):
    fields = {"prompt": canvas.prompt or "a red ball", "steps": 2} | fields
    return made(fill(canvas, Request(**fields), model))[0]


def blank(frames=WINDOW, width=SIDE, height=SIDE, prompt="a red ball"):
    return canvases.text_canvas(prompt, frames=frames, width=width, height=height, fps=FPS)


# Learning


@every_variant
def test_a_gradient_reaches_every_parameter_within_three_steps(name):
    networks = EVERY[name].networks()
    untouched = {id(parameter): path for path, parameter in networks.named_parameters()}
    for learner, data, _ in EVERY[name].stages(networks):
        for objective in learner.objectives:
            moved = [parameter for _, parameter in objective.parameters()]
            optimizer = torch.optim.SGD(moved, lr=0.01)
            for step in range(3):
                optimizer.zero_grad()
                objective.loss(data.batch(step), torch.Generator().manual_seed(100 + step))[0].backward()
                reached = [p for p in moved if p.grad is not None and bool((p.grad != 0).any())]
                untouched = {key: path for key, path in untouched.items() if key not in map(id, reached)}
                optimizer.step()
    assert not untouched.values()


@pytest.mark.slow
@every_variant
def test_four_clips_are_learnt_by_heart(name, tmp_path):
    family = EVERY[name]
    networks = family.networks()
    for number, (learner, data, steps) in enumerate(family.stages(networks)):
        if number == 1 and family.by_features:
            before = by_heart(name, networks, tmp_path / "before")
        config = TrainConfig(steps=steps, optim=learner.optim, ema=0.97, checkpoint_every=steps)
        trainer = Trainer(learner, data, config, tmp_path / f"stage {number}")
        assert len(list(trainer.run())) == steps
        learner.module.load_state_dict(trainer.ema.average.state_dict())
    made = by_heart(name, networks, tmp_path / "model")
    if family.by_features:
        assert apart(made, CLIPS) < 0.5 * apart(before, CLIPS)
    else:
        assert ((made - CLIPS.astype(float)) ** 2).mean() < 0.1 * CLIPS.astype(float).var()


def by_heart(name, networks, folder):
    """The clips (4, T, H, W, 3) that are made for the four captions."""
    EVERY[name].save(folder, networks)
    videos = generate_batch([Request(caption, guidance=1.0) for caption in CAPTIONS], load(name, folder))
    return np.stack([video.frames for video in videos])


def apart(made, clips):
    """The mean distance of clips to those of the same captions, in what a network sees in them."""
    return np.linalg.norm(features(made) - features(clips), axis=1).mean()


# Files


@every_variant
def test_what_is_saved_is_what_is_loaded(name, folders, models, tmp_path):
    EVERY[name].save(tmp_path / "again", models[name].networks)
    again = load(name, tmp_path / "again", torch.float32)
    assert again.spec.weights_hash == models[name].spec.weights_hash
    assert np.array_equal(frames_of(again, blank()), frames_of(models[name], blank()))
    pairs = zip(lasting(models[name].networks), lasting(again.networks), strict=True)
    assert all(one == other and torch.equal(value, loaded) for (one, value), (other, loaded) in pairs)


def lasting(networks):
    """All parameters but those of modules that aren't shipped, such as a discriminator."""
    modules = {child for child, _ in networks.named_children()}
    kept = {*networks.shipped(), "tokenizer"} if hasattr(networks, "shipped") else modules
    left_out = tuple(f"{child}." for child in modules - kept)
    return [(name, value) for name, value in networks.named_parameters() if not name.startswith(left_out)]


@every_variant
def test_the_description_survives(name, models):
    spec = models[name].spec
    assert (spec.name, spec.family) == ("tiny", family_of(name))
    assert (spec.width, spec.height, spec.window, spec.fps) == (SIDE, SIDE, WINDOW, FPS)
    assert spec.abilities <= {*canvases.TASKS, *canvases.GUIDES}
    assert len(spec.weights_hash) == 64


def rewrite(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return damage


def first_matrix(tensors):
    return next(key for key, value in tensors.items() if value.ndim > 1)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut to its beginning": lambda path: path.write_bytes(path.read_bytes()[:5]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "missing": Path.unlink,
    "not a number": rewrite(lambda tensors: tensors[first_matrix(tensors)][0].fill_(torch.nan)),
    "infinite": rewrite(lambda tensors: tensors[first_matrix(tensors)][0].fill_(torch.inf)),
    "wrong shape": rewrite(
        lambda tensors: tensors.update({(k := first_matrix(tensors)): tensors[k][1:].clone()})
    ),
    "a tensor short": rewrite(lambda tensors: tensors.pop(first_matrix(tensors))),
    "a tensor long": rewrite(lambda tensors: tensors.update(more=torch.zeros(1))),
}
CONFIGS = {
    "missing": Path.unlink,
    "truncated": lambda path: path.write_text(path.read_text()[:-20]),
    "a list": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("3"),
    "not text": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "incomplete": lambda path: path.write_text(json.dumps({"networks": {}, "family": "diffusion"})),
    "of another version": lambda path: path.write_text(
        path.read_text().replace('"networks": {', '"networks": {"x": 1,')
    ),
    "of no solver": lambda path: path.write_text(
        re.sub(r'"solver": "\w+"', '"solver": "magic"', path.read_text())
    ),
    "of no shift": lambda path: path.write_text(
        re.sub(r'"shift": [\d.]+', '"shift": 1e-17', path.read_text())
    ),
    "of another window": lambda path: path.write_text(
        re.sub(r'"window": \d+', '"window": 9', path.read_text())
    ),
    "of no size": lambda path: path.write_text(
        re.sub(r'"text_width": \d+', '"text_width": -1', path.read_text())
    ),
}


def refusal(name, folder):
    """The one sentence with which the model in `folder` is refused."""
    with pytest.raises(ModelError) as refused:
        load(name, folder)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ". " not in sentence
    assert folder.name in sentence
    return sentence


@every_family
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(name, damage, folders, tmp_path):
    for weights in sorted(folders[name].glob("*.safetensors")):
        folder = shutil.copytree(folders[name], tmp_path / weights.stem)
        DAMAGES[damage](folder / weights.name)
        assert weights.name in refusal(name, folder)


@every_family
@pytest.mark.parametrize("damage", CONFIGS)
def test_a_damaged_config_is_refused(name, damage, folders, tmp_path):
    folder = shutil.copytree(folders[name], tmp_path / "damaged")
    CONFIGS[damage](folder / "config.json")
    assert "config" in refusal(name, folder)


# Sampling


@every_variant
def test_seed_and_prompt_decide_over_the_pixels(name, models):
    one = frames_of(models[name], blank(), seed=5)
    assert np.array_equal(one, frames_of(models[name], blank(), seed=5))
    assert not np.array_equal(one, frames_of(models[name], blank(), seed=6))
    assert not np.array_equal(one, frames_of(models[name], blank(prompt="a blue star"), seed=5))
    assert one.std() > 10


@every_variant
def test_a_clip_does_not_depend_on_the_others_in_its_batch(name, models):
    requests = [Request(text, seed=seed, frames=WINDOW + 4, steps=3) for seed, text in enumerate(CAPTIONS)]
    together = generate_batch(requests, models[name])
    for request, video in zip(requests, together, strict=True):
        (alone,) = generate_batch([request], models[name])
        assert np.abs(alone.frames.astype(int) - video.frames).max() <= 1


@every_variant
def test_nor_on_what_is_known_of_the_others(name, models):
    model, noises = models[name], [Noise(seed) for seed in range(3)]
    prompts = [replace(TASKS[task], prompt="a red ball") for task in ("text", "image", "inpainting")]

    def clips(chosen):
        conditions = model.condition([prompts[i] for i in chosen])
        items = model.sample(conditions, [noises[i] for i in chosen], Sampling(3, 2.0))
        (chunks,) = (model.decode(item) for item in items if not isinstance(item, Step))
        return [chunk.frames.astype(int) for chunk in chunks]

    for number, clip in enumerate(clips([0, 1, 2])):
        assert np.abs(clip - clips([number])[0]).max() <= 1


FOOTAGE = Video(CLIPS[0], FPS)
CUT = Video(CLIPS[0, :, :, 8:24], FPS)
BOX = np.zeros(CLIPS[0].shape[:3], bool)
BOX[:, 8:20, 8:24] = True
TASKS = {
    "text": blank(),
    "image": canvases.keyframes_canvas("", {0: CLIPS[0, 0]}, frames=WINDOW, fps=FPS),
    "keyframes": canvases.keyframes_canvas("", {0: CLIPS[0, 0], 20: CLIPS[0, 12]}, frames=21, fps=FPS),
    "prediction": canvases.continue_canvas("", FOOTAGE, 9),
    "precede": canvases.precede_canvas("", FOOTAGE, 9),
    "interpolation": canvases.interpolation_canvas("", FOOTAGE, 2),
    "inpainting": canvases.inpainting_canvas("", FOOTAGE, BOX),
    "edit": canvases.edit_canvas("a green box", canvases.Source(CLIPS[0], 0.8), FPS),
    "removal": canvases.edit_canvas("nothing", canvases.Source(CLIPS[0]), FPS, "removal"),
    "insertion": canvases.edit_canvas("a green box", canvases.Source(CLIPS[0]), FPS, "insertion"),
    "outpainting": canvases.outpainting_canvas("", CUT, width=32, height=32),
}


@every_variant
@pytest.mark.parametrize("task", canvases.TASKS)
def test_known_pixels_are_kept(name, task, models):
    canvas = TASKS[task]
    if task not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't do {task}")
    frames = frames_of(models[name], canvas)
    assert frames.shape == canvas.frames.shape
    assert np.array_equal(frames[canvas.known], canvas.frames[canvas.known])


@every_family
def test_known_pixels_steer_the_rest(name, models):
    if "keyframes" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't do keyframes")
    pictures = [canvases.keyframes_canvas("", {6: CLIPS[clip, 0]}, frames=WINDOW, fps=FPS) for clip in (0, 1)]
    one, other = (frames_of(models[name], canvas) for canvas in pictures)
    assert not np.array_equal(one[:6], other[:6])
    assert not np.array_equal(one[7:], other[7:])


@every_family
@pytest.mark.parametrize("length", [WINDOW, WINDOW + 2, 3 * WINDOW])
def test_windows_of_which_all_is_known_cost_nothing(name, length, models):
    if "inpainting" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't do inpainting")
    clip = Video(np.resize(CLIPS[0], (length, *CLIPS.shape[2:])), FPS)
    hole = np.zeros(clip.frames.shape[:3], bool)
    whole = canvases.inpainting_canvas("a red ball", clip, hole)
    hole[: WINDOW - 1, 8:20, 8:24] = True
    begun = canvases.inpainting_canvas("a red ball", clip, hole)
    for canvas, windows in ((whole, 0), (begun, 1)):
        frames, steps = made(fill(canvas, Request("a red ball", steps=1), models[name]))
        assert np.array_equal(frames[canvas.known], clip.frames[canvas.known])
        alone = made(fill(blank(), Request("a red ball", steps=1), models[name]))[1]
        assert [(step.done, step.total) for step in steps] == [(s.done, s.total) for s in windows * alone]


@every_family
@settings(max_examples=8, deadline=None)
@given(length=st.integers(1, 3 * WINDOW))
def test_clips_of_any_length_have_that_length(name, length, models):
    frames, steps = made(fill(blank(length), Request("a red ball", steps=1), models[name]))
    assert len(frames) == length
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    assert len({step.total for step in steps}) == 1


@every_variant
def test_a_longer_clip_begins_like_a_shorter_one(name, models):
    long, short = (frames_of(models[name], blank(length)) for length in (3 * WINDOW, WINDOW))
    assert np.array_equal(long[:WINDOW], short)


@every_family
def test_the_footage_steers_even_the_farthest_of_what_precedes_it(name, models):
    if "precede" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't do precede")
    footage = [canvases.precede_canvas("", Video(CLIPS[clip], FPS), 3 * WINDOW) for clip in (0, 1)]
    one, other = (frames_of(models[name], canvas) for canvas in footage)
    assert not np.array_equal(one[0], other[0])


@every_family
@pytest.mark.parametrize("size", [(16, 16), (18, 26), (32, 20)])
def test_smaller_sizes(name, size, models):
    width, height = size
    assert frames_of(models[name], blank(17, width, height)).shape == (17, height, width, 3)


@every_family
def test_what_is_wholly_known_costs_no_evaluation(name, models):
    nothing = np.zeros_like(BOX)
    frames, steps = made(
        fill(canvases.inpainting_canvas("", FOOTAGE, nothing), Request("a", steps=2), models[name])
    )
    assert np.array_equal(frames, FOOTAGE.frames)
    assert steps == []


@every_family
def test_continuing_known_windows_costs_only_the_new_ones(name, models):
    footage = Video(np.concatenate([CLIPS[0], CLIPS[0, ::-1]]), FPS)
    _, steps = made(fill(canvases.continue_canvas("", footage, 4), Request("a", steps=2), models[name]))
    _, whole = made(fill(blank(len(footage) + 4), Request("a", steps=2), models[name]))
    assert 0 < steps[-1].done == steps[-1].total < whole[-1].total


# Edits


def edit(strength, frames=CLIPS[0], prompt="a green box"):
    return canvases.edit_canvas(prompt, canvases.Source(frames, strength), FPS)


@every_family
def test_a_stronger_edit_goes_farther(name, models):
    if "edit" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't edit")
    rebuilt = rebuild(CLIPS[:1], models[name])[0].astype(int)
    edited = (frames_of(models[name], edit(strength), steps=24) for strength in (0.1, 0.9))
    far = [np.abs(frames - rebuilt).mean() for frames in edited]
    assert 0 < far[0] < far[1]


@every_family
def test_long_clips_can_be_edited(name, models):
    if "edit" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't edit")
    long = np.concatenate([CLIPS[0], CLIPS[0, ::-1], CLIPS[0]])[:30]
    assert frames_of(models[name], edit(0.5, long)).shape == long.shape


# Guides

AWAY = np.full((WINDOW, 2), np.nan, np.float32)
TRACK = np.stack([np.linspace([0.1, 0.2], [0.8, 0.6], WINDOW, dtype=np.float32), AWAY, AWAY], axis=1)
MAP = (CLIPS[0].mean(axis=-1) / 255).astype(np.float16)
TOLD = {
    "tracks": TRACK,
    "boxes": np.concatenate([TRACK, TRACK + 0.2], axis=-1),
    "pose": np.repeat(TRACK[:, :, None], 9, axis=2) + np.linspace(0, 0.2, 9, dtype=np.float32)[:, None],
    "depth": MAP,
    "edges": MAP,
    "camera": np.linspace([0, 1], [0.2, 1.2], WINDOW, dtype=np.float32),
    "actions": ("none", *["left", "right", "jump"] * 4),
    "style": (CLIPS[1], CLIPS[2]),
}


def guided(guides, frames=WINDOW):
    return replace(blank(frames), prompt="a red ball", guides=guides)


@every_family
@pytest.mark.parametrize("kind", TOLD)
def test_each_guide_counts(name, kind, models):
    model = models[name]
    if kind not in model.spec.abilities:
        pytest.skip(f"the {name} family can't follow {kind}")
    assert not np.array_equal(frames_of(model, guided({kind: TOLD[kind]})), frames_of(model, guided({})))


@every_family
def test_a_clip_is_the_same_beside_others_that_are_guided_otherwise(name, models):
    model = models[name]
    kinds = [kind for kind in TOLD if kind in model.spec.abilities]
    several = [guided({}), *(guided({kind: TOLD[kind]}) for kind in kinds)]
    for seed, (canvas, beside) in enumerate(zip(several, evaluated(several, model, 0).frames, strict=True)):
        alone = evaluated([canvas], model, seed).frames[0]
        assert np.abs(alone.astype(int) - beside).max() <= 1


@every_family
def test_what_is_told_of_later_windows_leaves_the_first_as_it_is(name, models):
    model = models[name]
    if "tracks" not in model.spec.abilities:
        pytest.skip(f"the {name} family can't follow tracks")
    long = 2 * WINDOW
    late = np.full((long, 3, 2), np.nan, np.float32)
    late[WINDOW + 1 :] = 0.5
    plain, told = (frames_of(model, guided(guides, long)) for guides in ({}, {"tracks": late}))
    assert np.array_equal(plain[:WINDOW], told[:WINDOW])
    assert not np.array_equal(plain[WINDOW:], told[WINDOW:])


@every_family
def test_of_two_styles_what_lies_between_is_taken(name, models):
    model = models[name]
    if "style" not in model.spec.abilities:
        pytest.skip(f"the {name} family can't follow a style")
    twice = frames_of(model, guided({"style": (CLIPS[1], CLIPS[1])}))
    assert np.array_equal(twice, frames_of(model, guided({"style": (CLIPS[1],)})))
    assert not np.array_equal(twice, frames_of(model, guided({"style": (CLIPS[1], CLIPS[2])})))


# Prompts that change on the way


def travelling(way, frames=WINDOW):
    return replace(blank(frames), prompt="a red ball", guides={"travel": way})


@every_family
def test_on_the_way_from_a_prompt_to_itself_nothing_changes(name, models):
    if "travel" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't travel")
    stays = frames_of(models[name], travelling((("a red ball", 6.0), ("a red ball", 20.0)), 21))
    plain = frames_of(models[name], replace(blank(21), prompt="a red ball"))
    assert np.abs(stays.astype(int) - plain).max() <= 1


@every_family
def test_prompts_of_the_past_and_of_the_future_count_alone(name, models):
    if "travel" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't travel")
    later = frames_of(models[name], travelling((("a green box", 1e6),)))
    plain = frames_of(models[name], replace(blank(), prompt="a red ball"))
    assert np.abs(later.astype(int) - plain).max() <= 1
    past = frames_of(models[name], travelling((("a green box", 1e-6),)))
    assert not np.array_equal(past, plain)


@every_family
def test_a_walk_begins_at_one_clip_and_ends_at_another(name, models):
    if "walk" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't walk")

    def at(share):
        request = Request("a red ball", seed=1, walk=Walk("a green box", 2, share))
        canvas = replace(blank(), guides=guides_for(request, blank()))
        return made(fill(canvas, request, models[name]))[0].astype(int)

    first, _ = made(fill(blank(), Request("a red ball", seed=1), models[name]))
    last, _ = made(fill(blank(prompt="a green box"), Request("a green box", seed=2), models[name]))
    assert np.abs(at(0) - first).max() <= 1
    assert np.abs(at(1) - last).max() <= 1
    assert np.abs(at(0.5) - at(0.55)).mean() < np.abs(at(0) - at(1)).mean()


@every_family
def test_a_clip_is_the_same_beside_others_that_travel_otherwise(name, models):
    if "travel" not in models[name].spec.abilities:
        pytest.skip(f"the {name} family can't travel")
    ways = [(), (("a green box", 9.0),), (("a blue star", 3.0), ("a green box", 6.0), ("a red ball", 9.0))]
    together = made_together([travelling(way) for way in ways], models[name])
    for seed, (way, beside) in enumerate(zip(ways, together, strict=True)):
        (alone,) = made_together([travelling(way)], models[name], seed)
        assert np.abs(alone.astype(int) - beside).max() <= 1


def made_together(several, model, seed=0):
    return evaluated([replace(canvas, prompt="a red ball") for canvas in several], model, seed).frames


@settings(max_examples=60)
@given(st.lists(st.sampled_from([1.0, 2.0, 2.00000001, 3.5, 50.0]), max_size=5).map(sorted))
def test_shares_of_prompts_add_up_and_each_counts_alone_at_its_stop(later):
    stops = torch.tensor([0.0, *later])  # some of them equal, as where a batch is filled up
    found = shares(stops[:, None], torch.tensor([[*stops, 0.5, 1.7, 1e6]]))[:, 0]
    assert found.min() >= 0
    assert torch.allclose(found.sum(dim=0), torch.ones(len(stops) + 3))
    for number, stop in enumerate(stops):
        assert found[stops == stop, number].sum() == pytest.approx(1, abs=1e-5)
    assert found[-1, -1] == 1


# The canvas on the latent grid

masks = st.integers(0, 2**32).map(
    lambda seed: draw_known((6, WINDOW, 16, 32), torch.Generator().manual_seed(seed))
)


@settings(max_examples=20, deadline=None)
@given(masks)
def test_a_canvas_enters_without_loss(known):
    frames = torch.rand(*known.shape[:2], 3, *known.shape[2:]) * 2 - 1
    folded = fold_canvas(frames, known)
    assert folded.shape == (6, 4, 1, 2, 4096)
    cells = folded.reshape(6, 4, 1, 2, 4, 4, 16, 16)  # b t h w, then frame, channel, row, column
    pixels = cells.permute(0, 1, 4, 5, 2, 6, 3, 7).reshape(6, 16, 4, 16, 32)[:, 3:]
    assert torch.equal(pixels[:, :, 3].bool(), known)
    assert torch.equal(pixels[:, :, :3], frames * known[:, :, None])


def test_canvases_to_train_on_are_of_every_kind():
    known = draw_known((400, WINDOW, 32, 32), torch.Generator().manual_seed(0))
    frames = known.flatten(2)
    whole = frames.all(dim=2)
    box = (frames.any(dim=2) & ~whole).any(dim=1)
    moving = box & (known != known[:, :1]).flatten(1).any(dim=1)
    corners = known[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)
    island = box & ~moving & ~corners.any(dim=1)
    prefix = whole[:, -1] & ~whole[:, 0]
    sparse = ~box & ~prefix & whole.any(dim=1)
    for kind in (box & ~moving, moving, island, prefix, sparse):
        assert 0.02 < kind.float().mean() < 0.7
    assert not known.flatten(1).all(dim=1).any()


@pytest.mark.parametrize("guided", [0, 1, 4, 6])
def test_rows_with_a_canvas_may_be_more_than_those_with_guides(guided):
    networks = shaken(diffusion_networks())
    batch = latents_and_captions(networks, 2)  # 8 clips, 4 of them with frames
    if guided:
        truth = untold(guided, networks.grid, networks.channels)
        batch |= {kind: values.nan_to_num(0.5) for kind, values in truth.items()}
        batch["open"] = batch["caption"][-guided:, None].expand(-1, len(TELL_OF), -1)
    objective = FlowObjective(networks, FlowLoss(push=PUSH))
    loss, _ = objective.loss(batch, torch.Generator().manual_seed(0))
    assert loss.isfinite()


def test_captions_leave_open_what_guides_tell_in_a_part_of_the_rows():
    networks = shaken(diffusion_networks())
    batch = latents_and_captions(networks, 32)
    del batch["frames"]
    rows, length = batch["caption"].shape
    truth = untold(rows, networks.grid, networks.channels)
    truth["tracks"] = truth["tracks"].nan_to_num(0.5)
    marks = torch.arange(90, 90 + len(TELL_OF))[:, None].expand(rows, -1, length)
    objective = FlowObjective(networks, FlowLoss(silent=0.25, drop_guided=0.0))
    drawn = objective.drawn(batch | truth | {"open": marks}, torch.Generator().manual_seed(0))
    told = drawn.guides.signals[..., -len(KINDS) + KINDS.index("tracks")].any(dim=1)
    opened = (drawn.caption == 90 + list(TELL_OF).index("motion")).all(dim=1)
    assert not opened[~told].any()
    assert 0.45 < opened[told].float().mean() < 0.75
    assert torch.equal(drawn.caption[~opened], batch["caption"][~opened])


@dataclass
class Guided:
    """Makes `bare` of no caption, and of one what guidance makes of `bare` and `clean`."""

    clean: torch.Tensor
    bare: torch.Tensor
    guidance: float | torch.Tensor = 3.0
    text = staticmethod(torch.Tensor.float)

    def velocity(self, z, time, caption, canvas, guides):
        told = caption.any(dim=1)[:, None, None, None, None]
        return self.bare + self.guidance * told * (self.clean - self.bare), None


def test_what_guidance_makes_is_what_is_learnt_when_it_is_folded_in():
    batch = latents_and_captions(diffusion_networks(), 2)
    del batch["frames"]
    networks = Guided(batch["latents"], torch.randn_like(batch["latents"]))
    for push, right in ((PUSH, True), (PUSH / 2, False), (0.0, False)):
        loss, _ = FlowObjective(networks, FlowLoss(drop=0.0, push=push)).loss(batch, torch.Generator())
        assert (loss < 1e-6) == right


def test_less_guidance_is_folded_in_where_a_clip_is_to_be_changed():
    networks = diffusion_networks()
    batch = latents_and_captions(networks, 2)
    clean, caption = batch["latents"], batch["caption"]
    told = ((), ("source",), ("style",), ("source", "style"))  # the last rows
    truth = untold(len(told), networks.grid, networks.channels)
    for row, kinds in enumerate(told):
        for kind in kinds:
            truth[kind][row] = 0.5
    guidance = torch.full((len(clean), 1, 1, 1, 1), 3.0)
    guidance[len(clean) - len(told) + told.index(("source",))] = 1.5
    stub = Guided(clean, torch.randn_like(clean), guidance)
    made, _ = stub.velocity(None, None, caption, None, None)
    drawn = Drawn(clean, stub.bare, clean.new_zeros(clean.shape[:2]), caption, None, fold_guides(truth))
    aim = FlowObjective(stub, FlowLoss(push=PUSH))._aim(stub.bare, made, drawn)
    assert torch.allclose(aim, made, atol=1e-4)


def test_what_is_played_goes_on_from_any_frame():
    played = torch.arange(64) % 2 == 0
    known = draw_known((64, WINDOW, 4, 4), torch.Generator().manual_seed(0), played)[played].flatten(2)
    past = known.all(dim=2)
    assert torch.equal(known.any(dim=2), past)
    assert torch.equal(past, torch.arange(WINDOW) < past.sum(dim=1, keepdim=True))
    assert set(past.sum(dim=1).tolist()) >= set(range(5, 12))


@settings(max_examples=20, deadline=None)
@given(masks, st.floats(0, 10))
def test_a_clip_is_pushed_by_the_share_of_it_that_is_unknown(known, guidance):
    window = Window(0, 0, torch.zeros(*known.shape[:2], 3, *known.shape[2:]), known)
    pushed = window.guidance_scale(guidance)
    if guidance == 1:
        assert pushed is None
        return
    for row, scale in zip(known, pushed.tolist(), strict=True):
        assert scale == pytest.approx(1 + (guidance - 1) * (~row).double().mean().item(), abs=1e-5)
    nothing, all_of_it = (replace(window, known=torch.full_like(known, value)) for value in (False, True))
    assert nothing.guidance_scale(guidance).tolist() == pytest.approx([guidance] * len(known), abs=1e-5)
    assert all_of_it.guidance_scale(guidance).tolist() == [1.0] * len(known)


@settings(max_examples=20, deadline=None)
@given(masks)
def test_what_is_known_is_clean_or_on_the_canvas_and_never_both(known):
    clean = clean_groups(known)
    frames = clean.repeat_interleave(4, dim=1)[:, 3:, None, None].expand_as(known)
    rest = partly_known(known, clean)
    assert torch.equal(frames | rest, known)
    assert not (frames & rest).any()
    assert torch.equal(clean, clean.int().cumprod(dim=1).bool())  # never after a group that is not
