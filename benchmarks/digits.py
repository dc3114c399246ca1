"""`python -m benchmarks.digits`: which family predicts moving digits best, after the same time of training?

All rest on one tokenizer, which learns the digits first, and predict ten frames from ten, as published work
does. MNIST's test images alone are needed: most are trained on, the others make the clips that are predicted.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import kineograph
from benchmarks.command import run
from benchmarks.mnist import images_in
from kineograph import catalog
from kineograph.canvas import Canvas, continue_canvas
from kineograph.compare.contest import MAIN, entrant
from kineograph.data import latents, shards, world
from kineograph.data.shards import INDEX, Parts, Shards
from kineograph.errors import DataError, RequestError
from kineograph.evaluation import cost
from kineograph.evaluation.making import fill
from kineograph.evaluation.metrics import ssim
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.models.family import Model
from kineograph.models.flow import FlowLoss
from kineograph.models.gan import GANLoss
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import Tokenizer, to_frames, to_signal
from kineograph.provenance import mark
from kineograph.provenance.claim import GENERATED, Claim
from kineograph.training import log
from kineograph.training.events import Event, Stepped
from kineograph.training.family_recipe import FamilyRecipe, tokenizer_of
from kineograph.training.presets import playground
from kineograph.training.recipe import Recipe, lasting, with_minutes
from kineograph.training.runs import run_of
from kineograph.video import Frames, Video
from kineograph.worlds.digits import FILE, Pixels, moving_digits

SIZE, GRID, WINDOW = 64, (5, 4, 4), 17
FRAMES, GIVEN = 20, 10  # of a clip, and of these the first
CAPTION = "two digits move"
TRAINED = 8000  # images to train on; the others are for the clips that are predicted
KEPT, ENCODED = 1024, 16_384  # clips as pixels, and as latents, for MINUTES of training or more
MINUTES, TOKENIZER, PART = 30.0, 10.0, 64
SEED, UNSEEN = 1, 90_001
BEGUN = 1 - FlowLoss.text - FlowLoss.independent  # of what diffusion learns from
SHOWN, PICTURE = 2, "digits.png"
SCORES, TERMS, NAME, MODELS = "scores.json", "terms.json", "tokenizer", "models"
PUBLISHED = (  # OpenSTL, docs/en/model_zoos/video_benchmarks.md, 200 epochs
    ("ConvLSTM-S", "15.0 M", 29.80, 90.64, 0.9288),
    ("PredRNN", "23.8 M", 23.97, 72.82, 0.9462),
    ("PredRNN++", "38.6 M", 22.06, 69.58, 0.9509),
    ("PhyDNet", "3.1 M", 28.19, 78.64, 0.9374),
    ("PredRNN v2", "23.9 M", 24.13, 73.73, 0.9453),
    ("SimVP", "58.0 M", 32.15, 89.05, 0.9268),
    ("TAU", "44.7 M", 24.60, 71.93, 0.9454),
)


@dataclass(frozen=True)
class Scores:
    """Squared and absolute errors of pixels in [0, 1], summed over a frame, and SSIM; means over clips and
    frames."""

    mse: float
    mae: float
    ssim: float


@dataclass(frozen=True)
class Entry:
    """A way to predict; of a model its parameters, steps of training, and seconds for a clip."""

    name: str
    scores: Scores
    parameters: int = 0
    steps: int = 0
    seconds: float = 0.0


# The clips


def parts(images: Pixels, count: int) -> Parts:
    """Clips (N, T, H, W, 3) to train on, a part at a time; each part has a seed of its own."""
    for start in range(0, count, PART):
        clips = moving_digits(images, min(PART, count - start), SEED + start, WINDOW, size=SIZE)
        yield {"frames": torch.from_numpy(_coloured(clips))}, [CAPTION] * len(clips)


def _coloured(clips: Pixels) -> Frames:
    return np.repeat(clips[..., None], 3, axis=-1)


# Training


def _told(events: Iterator[Event], name: str) -> None:
    """Follow a run and say now and then how far it is."""
    for event in events:
        if isinstance(event, Stepped) and event.step.step % 100 == 0:
            left = f"{event.step.remaining / 60:.1f} min left"
            print(f"{name}: {event.stage} {event.step.step}, {left}", file=sys.stderr, flush=True)


def tokenizer_recipe(minutes: float, out: Path) -> Recipe:
    """A tokenizer for digits; the model around it learns nothing."""
    whole = playground()
    denoiser = replace(whole.denoiser, grid=GRID)
    stage = lasting(replace(whole.tokenizer_stage, crop=0, batch=16), minutes)
    rest = {name: lasting(whole.stages[name], 0) for name in ("flow", "decoder")}
    return replace(
        whole,
        name=NAME,
        data=str(out),
        denoiser=denoiser,
        tokenizer_stage=stage,
        flow_stage=rest["flow"],
        decoder_stage=rest["decoder"],
        sheets=0,
    )


def family_recipe(preset: str, minutes: float, out: Path) -> FamilyRecipe:
    """A family's preset on digits, in the latents of their tokenizer.

    Raises:
        RequestError: it is of no small family.
    """
    recipe = entrant(preset)
    network = replace(recipe.network, grid=GRID, tokenizer_of=str((out / MODELS / NAME).resolve()))
    timed = with_minutes(replace(recipe, data=str(out), network=network, sheets=0), minutes)
    assert isinstance(timed, FamilyRecipe)
    return timed


def prepare(images: Pixels, minutes: float, shared: float, out: Path) -> None:
    """Clips, their tokenizer, trained for `shared` minutes, and latents of these clips and of many more; what
    is there is not made again."""
    kept, encoded = (math.ceil(count * min(1.0, minutes / MINUTES)) for count in (KEPT, ENCODED))
    if not (out / "clips" / INDEX).exists():
        shards.write(out / "clips", parts(images, kept), world.FPS)
    _told(run_of(tokenizer_recipe(shared, out), out / NAME, out).events(), NAME)
    _beside_others(NAME, out)
    if len(Shards(out / "latents")) < encoded:  # its run has made those of the clips that are kept
        tokenizer = tokenizer_of(family_recipe(MAIN[0], minutes, out).network)
        shards.write(out / "latents", latents.encode_parts(tokenizer, parts(images, encoded)), world.FPS)


def _beside_others(name: str, out: Path) -> Path:
    """A copy of a run's model in the folder of all: one may rest only on another that lies beside it."""
    copied = out / MODELS / name
    shutil.copytree(out / name / "model", copied, dirs_exist_ok=True)
    return copied


# Measuring


def canvases_of(clips: Pixels) -> list[Canvas]:
    """The given frames of clips (N, T, H, W), but for the first: models of latents see nine, whole groups."""
    seen = [Video(_coloured(clip[1:GIVEN]), world.FPS) for clip in clips]
    return [continue_canvas(CAPTION, video, FRAMES - GIVEN) for video in seen]


def predicted(model: Model, clips: Pixels) -> NDArray[np.float64]:
    """The frames (N, 10, H, W) that a model predicts, levels of 0 to 255; unguided: all captions are one."""
    found = []
    for start in range(0, len(clips), PART):
        made = fill(canvases_of(clips[start : start + PART]), model, seed=start, guidance=1.0).frames
        found.append(made[:, GIVEN - 1 :].mean(axis=-1))
    return np.concatenate(found)


def scores_of(made: NDArray[Any], clips: Pixels) -> Scores:
    """Predictions (N, 10, H, W) against clips (N, T, H, W), in the published convention."""
    true = clips[:, GIVEN:].astype(float)
    apart = (made - true) / 255
    pairs = zip(np.rint(made).astype(np.uint8), clips[:, GIVEN:], strict=True)
    likeness = [ssim(_coloured(one), _coloured(other)) for one, other in pairs]
    sums = (np.square(apart).sum(axis=(2, 3)).mean(), np.abs(apart).sum(axis=(2, 3)).mean())
    return Scores(float(sums[0]), float(sums[1]), float(np.mean(likeness)))


def entered(preset: str, clips: Pixels, minutes: float, out: Path) -> Entry:
    """Train a preset and measure it; what is done is not done again."""
    recipe, folder = family_recipe(preset, minutes, out), out / preset
    _told(run_of(recipe, folder, out).events(), preset)
    model_folder, kept = _beside_others(preset, out), folder / SCORES
    if kept.exists():
        known = json.loads(kept.read_text())
        return Entry(**known | {"scores": Scores(**known["scores"])})
    model = catalog.load(str(model_folder))
    price = cost.cost(model, model_folder)
    steps = len(log.read(folder / [*recipe.stages][-1]))
    found = Entry(preset, scores_of(predicted(model, clips), clips), price.parameters, steps, price.seconds)
    with replacing(kept) as part:
        part.write_text(json.dumps(asdict(found)))
    return found


def keep_terms(out: Path, **terms: float) -> None:
    """Keep what a contest was begun with.

    Raises:
        RequestError: the folder holds one of other terms.
        DataError: what it holds is damaged.
    """
    path = out / TERMS
    try:
        begun = json.loads(path.read_text()) if path.exists() else terms
    except ValueError as error:
        raise DataError(f"{path} is damaged: begin again in another folder.") from error
    if begun != terms:
        raise RequestError(f"{out} holds a contest on other terms: keep them, or give another folder.")
    out.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(json.dumps(terms))


def held(clips: Pixels) -> Entry:
    """Who says that nothing moves any more."""
    still = clips[:, GIVEN - 1 : GIVEN].repeat(FRAMES - GIVEN, axis=1).astype(float)
    return Entry("holding the last frame", scores_of(still, clips))


@torch.inference_mode()
def rebuilt(tokenizer: Tokenizer, clips: Pixels) -> Entry:
    """What the tokenizer makes of the truth: no model that works in its latents is likely to come nearer."""
    found = []
    for part in torch.split(torch.from_numpy(_coloured(clips[:, -WINDOW:])), PART):
        with autocast(torch.device("cpu")):
            again = to_frames(tokenizer.decode(tokenizer.encode(to_signal(part))).float())
        found.append(again[:, GIVEN - FRAMES :].numpy().mean(axis=-1))
    return Entry("the truth, through the tokenizer", scores_of(np.concatenate(found), clips))


# The page


def draw(presets: Sequence[str], clips: Pixels, out: Path, path: Path) -> None:
    """A sheet of what is to come in some clips, and below each what the models predict."""
    models = [catalog.load(str(out / MODELS / preset)) for preset in presets]
    made = [np.rint(predicted(model, clips)).astype(np.uint8) for model in models]
    shown = [frames for each in zip(clips[:, GIVEN:], *made, strict=True) for frames in each]
    labels = ["the truth", *presets] * len(clips)
    claim = Claim(f"kineograph {kineograph.__version__}", GENERATED, model=", ".join(presets))
    videos = [Video(_coloured(frames), world.FPS) for frames in shown]
    mark.save_sheet(videos, labels, FRAMES - GIVEN, claim, path)


def _verdict(models: Sequence[Entry]) -> str:
    best, *others = sorted(models, key=lambda entry: entry.scores.mse)
    if not others:
        return ""
    less = 1 - best.scores.mse / others[0].scores.mse
    return f"{best.name} comes nearest, with {less:.0%} less squared error than {others[0].name}."


def page(models: Sequence[Entry], others: Sequence[Entry], count: int, minutes: float, shared: float) -> str:
    """The figures of models, and of what is no model, as a page in Markdown."""
    machine = cost.machine()
    rows = [
        [
            entry.name,
            f"{entry.scores.mse:.1f}",
            f"{entry.scores.mae:.1f}",
            f"{entry.scores.ssim:.3f}",
            f"{entry.parameters / 1e6:.2f} M" if entry.parameters else "",
            f"{entry.steps:,}" if entry.steps else "",
            f"{entry.seconds:.2f}" if entry.seconds else "",
        ]
        for entry in sorted((*models, *others), key=lambda entry: entry.scores.mse)
    ]
    head = ("", "MSE", "MAE", "SSIM", "parameters", "steps", "seconds a window")
    theirs = [[name, f"{a:.1f}", f"{b:.1f}", f"{c:.3f}", size] for name, size, a, b, c in PUBLISHED]
    options = f"--minutes {minutes:g} --tokenizer-minutes {shared:g} --clips {count}"
    return f"""# Moving digits

    python -m benchmarks.digits --digits FOLDER {options} --report docs/digits.md

printed this page with kineograph {kineograph.__version__} on {machine.processor}, {machine.cores} cores, \
{machine.precision}.

Two digits of MNIST move over {SIZE}x{SIZE} pixels; ten frames are given, ten are predicted
(arXiv 1502.04681). Of the ten, our models are told the last nine, which are whole groups of their tokenizer.
FOLDER holds MNIST's `{FILE}`, as it is or as `.gz`; `--download` gets it. {TRAINED:,} of its
10,000 images are trained on, the others make the {count} clips that are predicted. All families work in the
latents of one tokenizer, which learnt the digits for {shared:g} minutes, and each was trained for
{minutes:g} minutes. Errors are of pixels in [0, 1], summed over a frame, and means over clips and frames.
Seconds are of 17 frames from a prompt, at the setting that each ships with.

{table(head, rows)}

{_verdict(models)}

A model that draws one of the ways in which a clip may go on is measured like one that draws their mean, which
has the smaller squared error. All clips have the same caption: nothing is guided. Presets are made for clips
from prompts: of the rows without a canvas, diffusion is shown a given beginning in {BEGUN:.0%}, the GAN in
{GANLoss.begun:.0%}; the others learn every latent frame from those before it.

![What is to come in some clips, and what each model predicts](images/{PICTURE})

Published figures, beside these for scale alone: 200 epochs on other hardware, trained on clips of the 60,000
training images, and in pixels (OpenSTL, docs/en/model_zoos/video_benchmarks.md).

{table(("", "MSE", "MAE", "SSIM", "parameters"), theirs)}
"""


def main(
    *,
    digits: Path,
    download: bool = False,
    minutes: float = MINUTES,
    tokenizer_minutes: float = TOKENIZER,
    clips: int = 512,
    presets: tuple[str, ...] = MAIN,
    out: Path = Path("runs/digits"),
    report: Path | None = None,
) -> None:
    """Train families on moving digits for the same time, and measure what they predict.

    Parameters
    ----------
    digits
        The folder with MNIST's t10k-images-idx3-ubyte, as it is or as .gz.
    download
        Fetch it into that folder if it isn't there.
    minutes
        Of training for each.
    tokenizer_minutes
        Of training for the tokenizer that all rest on.
    clips
        How many to predict.
    presets
        What to train; one of each family unless given.
    out
        The folder for the runs; what is done there is not done again.
    report
        Write the page into this file too, and a picture into images/ beside it.
    """
    if not presets:
        raise RequestError("Nothing is to be trained: name a preset.")
    if clips < 1:
        raise RequestError(f"clips must be a whole number from 1, not {clips}.")
    images = images_in(digits, download=download)
    with ExitStack() as stack:
        part = report and stack.enter_context(replacing(report))
        keep_terms(out, minutes=minutes, tokenizer_minutes=tokenizer_minutes, clips=clips)
        prepare(images[:TRAINED], minutes, tokenizer_minutes, out)
        unseen = moving_digits(images[TRAINED:], clips, UNSEEN, FRAMES, size=SIZE)
        models = [entered(preset, unseen, minutes, out) for preset in presets]
        tokenizer = tokenizer_of(family_recipe(presets[0], minutes, out).network)
        others = [rebuilt(tokenizer, unseen), held(unseen)]
        text = page(models, others, clips, minutes, tokenizer_minutes)
        if part is not None:
            part.write_text(text, encoding="utf-8")
            picture = part.parent / "images" / PICTURE
            picture.parent.mkdir(exist_ok=True)
            draw(presets, unseen[:SHOWN], out, picture)
    print(text)


if __name__ == "__main__":
    run(main)
