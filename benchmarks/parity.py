"""`python -m benchmarks.parity`: do our recurrent cells compute what OpenSTL's do, and as fast?

OpenSTL's own code runs, from a clone of https://github.com/chengtan9907/OpenSTL that the user gives. Both
networks are as its models are: cells over patches of frames, a convolution of kernel 1 back to patches, and
reverse scheduled sampling. Ours gets the weights of theirs, and both see the same clips and masks.

    B clips, T frames; h x w patches of C pixels
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple, cast

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import kineograph
from benchmarks.command import run
from benchmarks.mnist import images_in
from benchmarks.timing import Effort, in_turn
from kineograph.errors import RequestError
from kineograph.evaluation import cost
from kineograph.evaluation.report import table
from kineograph.media.atomic import replacing
from kineograph.models.cells import Cell, StLstm, stack_of
from kineograph.models.exposure import draw_shown, feed_back, reverse_schedule
from kineograph.models.precision import autocast, compute_dtype
from kineograph.worlds.digits import SIDE, Pixels, moving_digits

LAYERS, CHANNELS, KERNEL = 4, 32, 5
SIZE, PATCH, GIVEN, FRAMES = 64, 4, 10, 20  # pixels, of them in a patch; frames that are given, and all
STEPS, BATCH, RATE, DECOUPLE = 200, 8, 5e-4, 0.1  # the last two as OpenSTL trains on moving digits
COMPARED, BLOCK = 20, 5  # steps whose losses are compared, and those of a block that is timed
MIXED = 6  # blocks in bfloat16
LAST_BIT = 1 + 2**-23  # of a number of float32, which has 23 bits after the first
NUMBERS, OUTPUTS, LOSSES, FASTER = 0.01, 1e-5, 1e-4, 1.5  # the aims
OURS, THEIRS, SOURCE = "ours", "OpenSTL", "https://github.com/chengtan9907/OpenSTL"


@dataclass(frozen=True)
class Kind:
    """A network: what our cell is called, and where OpenSTL has its own."""

    title: str
    cell: str
    file: str
    model: str
    normed: bool = False

    def __str__(self) -> str:
        return f"{self.title} with layer norm" if self.normed else self.title

    def files(self, clone: Path) -> tuple[Path, Path]:
        """Those of its cell and of its model."""
        package = clone / "openstl"
        return package / "modules" / f"{self.file}_modules.py", package / "models" / f"{self.file}_model.py"


PLAIN = (
    Kind("ConvLSTM", "convlstm", "convlstm", "ConvLSTM_Model"),
    Kind("PredRNN v2", "predrnn", "predrnnv2", "PredRNNv2_Model"),
)
KINDS = tuple(replace(kind, normed=normed) for kind in PLAIN for normed in (False, True))


# The networks


class Ours(nn.Module):
    """Our cells, called as the models of OpenSTL are."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        normed = (SIZE // PATCH, SIZE // PATCH) if kind.normed else None
        self.stack = stack_of(kind.cell, PATCH**2, CHANNELS, LAYERS, KERNEL, normed)
        self.head = nn.Conv2d(CHANNELS, PATCH**2, 1, bias=False)

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """frames (B, T, h, w, C) and where they are shown (B, T - 2, h, w, C), but for the first, to those
        that are predicted (B, T - 1, h, w, C) and the loss."""
        x = frames.movedim(-1, 2).contiguous()
        shown = nn.functional.pad(mask[..., 0, 0, 0].bool(), (1, 0), value=True)
        overlaps = []

        def step(
            maps: Tensor, _: int, states: list[tuple[Tensor, ...]]
        ) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
            states = self.stack.step(maps, states)
            overlaps.append(self.stack.overlap(states))
            return self.head(states[-1][0]), states

        fed = feed_back(x[:, :-1], shown, step, self.stack.begin(x[:, 0]))
        made = torch.stack([maps for maps, _ in fed], dim=1).movedim(2, -1)
        error = (made - frames[:, 1:]).square().mean()
        return made, error + DECOUPLE * torch.stack(overlaps).mean()


def theirs(kind: Kind, clone: Path) -> nn.Module:
    """OpenSTL's model, without its package: that needs much that these networks don't.

    What a model imports as `openstl.modules` is the one file that has its cell.
    """
    cell, model = kind.files(clone)
    loaded("openstl.modules", cell)
    configs = SimpleNamespace(
        in_shape=(GIVEN, 1, SIZE, SIZE),
        patch_size=PATCH,
        filter_size=KERNEL,
        stride=1,
        layer_norm=kind.normed,
        pre_seq_length=GIVEN,
        aft_seq_length=FRAMES - GIVEN,
        total_length=FRAMES,
        reverse_scheduled_sampling=1,
        decouple_beta=DECOUPLE,
    )
    made = getattr(loaded(model.stem, model), kind.model)
    return cast(nn.Module, made(LAYERS, [CHANNELS] * LAYERS, configs))


def loaded(name: str, path: Path) -> ModuleType:
    """The module in a file, under a name by which others can import it."""
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(clone: Path) -> None:
    """Look for OpenSTL's files.

    Raises:
        RequestError: one isn't there.
    """
    for path in (path for kind in PLAIN for path in kind.files(clone)):
        if not path.is_file():
            missing = path.relative_to(clone)
            raise RequestError(f"{clone} is no clone of OpenSTL: it has no {missing}; clone {SOURCE} first.")


# The same weights

NAMES = {
    "enter": "conv_x",
    "recall": "conv_h",
    "recall_memory": "conv_m",
    "show": "conv_o",
    "leave": "conv_last",
}


@torch.no_grad()
def shake(network: nn.Module) -> None:
    """Move all weights a little, so that none is 0 or 1, by which a mistake could go unseen."""
    for parameter in network.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))


@torch.no_grad()
def copy(network: nn.Module, ours: Ours) -> None:
    """Give ours the weights of OpenSTL's."""
    _copy(network.get_submodule("conv_last"), ours.head)
    if hasattr(ours.stack, "adapter"):
        _copy(network.get_submodule("adapter"), ours.stack.get_submodule("adapter"))
    for number, cell in enumerate(ours.stack.layers):
        for name, layer in cell.named_children():
            _copy(network.get_submodule(f"cell_list.{number}.{NAMES[name]}"), layer)
        _open(cell)


def _copy(source: nn.Module, layer: nn.Module) -> None:
    """A convolution and the norm after it, if there is one. Biases that theirs lacks are 0 and stay so."""
    for one, other in zip(_leaves(source), _leaves(layer), strict=True):
        other.weight.copy_(one.weight.view_as(other.weight))
        if other.bias is not None:
            other.bias.copy_(torch.zeros_like(other.bias) if one.bias is None else one.bias)
            other.bias.requires_grad_(one.bias is not None)


def _leaves(layer: nn.Module) -> list[nn.Conv2d]:
    """Its parts that have no parts; that norms pass for convolutions does no harm."""
    return cast(list[nn.Conv2d], [part for part in layer.modules() if not list(part.children())])


def _open(cell: Cell) -> None:
    """OpenSTL adds 1 to the forget gates of PredRNN, and nothing to those of ConvLSTM; ours has it in its
    bias."""
    if isinstance(cell, StLstm):
        bias = cast(Tensor, _leaves(cell.enter)[-1].bias)
        torch.unflatten(bias, 0, (cell.entered, -1))[[1, 4]] += 1


# The same training


class Batch(NamedTuple):
    """Clips (B, T, H, W), and of which frames but the last the truth is shown (B, T - 1)."""

    clips: Tensor
    shown: Tensor

    def patched(self) -> tuple[Tensor, Tensor]:
        """Frames (B, T, h, w, C) from 0 to 1 and the mask (B, T - 2, h, w, C), as OpenSTL has them."""
        patches = rearrange(self.clips, "b t (h p) (w q) -> b t h w (p q)", p=PATCH, q=PATCH) / 255
        return patches, self.shown[:, 1:, None, None, None].expand_as(patches[:, 2:]).float()


def batches(images: Pixels, steps: int) -> list[Batch]:
    """So many, of moving images, and masks as at the beginning of a training."""
    draw, past = torch.Generator().manual_seed(0), torch.full((BATCH,), GIVEN)
    clips = torch.split(torch.from_numpy(moving_digits(images, steps * BATCH, 0, FRAMES, size=SIZE)), BATCH)
    return [Batch(each, draw_shown(past, FRAMES - 1, reverse_schedule(0), draw)) for each in clips]


def blobs(count: int = 100) -> Pixels:
    """Images (count, 28, 28) of five soft dots each, where there are no digits."""
    places = np.random.default_rng(0).uniform(6, SIDE - 6, (count, 5, 2, 1, 1))
    away: NDArray[np.float64] = np.square(np.mgrid[:SIDE, :SIDE] - places).sum(axis=2).min(axis=1)
    return (255 * np.exp(-away / 8)).astype(np.uint8)


class Training:
    """A network, its Adam, and the losses of the steps so far, in float32 or under `autocast`."""

    def __init__(self, name: str, network: nn.Module, data: Sequence[Batch], mixed: bool = False) -> None:
        self.name, self.network, self.data = name, network, data
        self.dtype = None if mixed else torch.float32
        self.adam = torch.optim.Adam(network.parameters(), RATE)
        self.losses: list[float] = []

    def go(self, steps: int) -> None:
        """Train on the next batches."""
        for batch in self.data[len(self.losses) :][:steps]:
            self.adam.zero_grad()
            with autocast(torch.device("cpu"), self.dtype):
                _, loss = self.network(*batch.patched())
            loss.backward()
            self.adam.step()
            self.losses.append(loss.item())
        told = f"{self.name}: step {len(self.losses)} of {len(self.data)}, loss {self.losses[-1]:.5f}"
        print(told, file=sys.stderr, flush=True)


# The comparison


class Two(NamedTuple):
    """A figure of both."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


@dataclass(frozen=True)
class Compared:
    """What was found of a network.

    `numbers` are those that learn, `idle` those of OpenSTL that nothing uses. `outputs` and `losses` are the
    largest differences, `rounding` is what `LAST_BIT` changes in outputs, `rates` are the steps a second,
    `mixed` the same where products are of bfloat16, None if this machine doesn't multiply it natively.
    `convolving` is the share of the time of a step of ours that convolutions take.
    """

    kind: Kind
    numbers: Two
    idle: int
    outputs: float
    losses: float
    rounding: float
    rates: Two
    mixed: Two | None
    convolving: float

    @property
    def alike(self) -> bool:
        """Whether parity is reached."""
        apart = abs(self.numbers.ratio - 1)
        return apart <= NUMBERS and self.outputs <= OUTPUTS and self.losses <= LOSSES


def compared(kind: Kind, clone: Path, data: Sequence[Batch]) -> Compared:
    """Train both, first one after the other and then in turn."""
    torch.manual_seed(0)
    network, copied = theirs(kind, clone), Ours(kind)
    shake(network)
    copy(network, copied)
    outputs, rounding = difference(copied, network, data[0]), sensitivity(network, data[0])
    ours, other = Training(f"{kind}, {OURS}", copied, data), Training(f"{kind}, {THEIRS}", network, data)
    ours.go(COMPARED)
    other.go(COMPARED)
    copied.requires_grad_()  # so that its speed is that of a cell in use
    used = sum(parameter.numel() for parameter in network.parameters() if parameter.grad is not None)
    return Compared(
        kind,
        numbers=Two(_count(copied), used),
        idle=_count(network) - used,
        outputs=outputs,
        losses=float(np.abs(np.subtract(ours.losses, other.losses)).max()),
        rounding=rounding,
        rates=rates(ours, other),
        mixed=mixed(kind, copied, network, data),
        convolving=convolving(copied, data),
    )


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, batch: Batch) -> float:
    """The largest in what two networks predict."""
    (made, _), (expected, _) = one(*batch.patched()), other(*batch.patched())
    return float((made - expected).abs().max())


@torch.no_grad()
def sensitivity(network: nn.Module, batch: Batch) -> float:
    """The largest change in what a network predicts if pixels change by the last bit of their numbers."""
    frames, mask = batch.patched()
    (made, _), (other, _) = network(frames, mask), network(LAST_BIT * frames, mask)
    return float((made - other).abs().max())


def rates(ours: Training, other: Training) -> Two:
    """Steps a second: medians of the blocks that are left, of which the first doesn't count."""
    blocks = (len(ours.data) - len(ours.losses)) // BLOCK - 1
    jobs = {OURS: lambda: ours.go(BLOCK), THEIRS: lambda: other.go(BLOCK)}
    spent = in_turn(jobs, Effort(least=blocks, most=blocks, seconds=0, matrix=0))
    return Two(*(BLOCK / statistics.median(spent[name]) for name in (OURS, THEIRS)))


def mixed(kind: Kind, network: nn.Module, other: nn.Module, data: Sequence[Batch]) -> Two | None:
    """Steps a second of both, trained further as all is trained here: under `autocast`."""
    if compute_dtype(torch.device("cpu")) == torch.float32:
        return None
    part, of = data[: BLOCK * MIXED], f"{kind}, bfloat16"
    return rates(
        Training(f"{of}, {OURS}", network, part, mixed=True),
        Training(f"{of}, {THEIRS}", other, part, mixed=True),
    )


def convolving(network: nn.Module, data: Sequence[Batch]) -> float:
    """The share of the time of a step of training, the second one, that convolutions take. The profiler slows
    the many small operations down more than these, so it is rather too low."""
    training = Training("profiled", network, data[:2])
    training.go(1)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        training.go(1)
    spent = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    return float(sum(time for key, time in spent.items() if "conv" in key) / sum(spent.values()))


# The page

PARITY = ("network", "weights", "OpenSTL's", "apart", "outputs", "rounding", "losses", "parity")
SPEED = ("network", "steps/s", "OpenSTL's", "times theirs", "convolutions", "at most")


def page(found: Sequence[Compared], digits: bool, steps: int, minutes: float) -> str:
    """The figures as a page in Markdown; `digits` says whether digits moved, or blobs in place of them."""
    machine, moving = cost.machine(), "moving digits" if digits else "blobs that move as digits do"
    options = " --digits FOLDER" * digits + f" --steps {steps}" * (steps != STEPS)
    idle = [f"{each.kind}: {each.idle:,}" for each in found if each.idle]
    unused = f"\nWeights that OpenSTL makes and never uses aren't counted ({'; '.join(idle)})." * bool(idle)
    return f"""# Beside OpenSTL

    python -m benchmarks.parity --openstl FOLDER{options} --report docs/parity.md

printed this page in {minutes:.0f} minutes with kineograph {kineograph.__version__} and torch \
{machine.torch} on {machine.processor}, {machine.cores} cores, float32.

Our recurrent cells beside the models of [OpenSTL]({SOURCE}), whose own code
runs from a clone: {LAYERS} layers of {CHANNELS} channels, kernels of {KERNEL}, frames of {SIZE}x{SIZE} pixels
in patches of {PATCH}, {GIVEN} frames given and {FRAMES - GIVEN} predicted, in batches of {BATCH} clips of \
{moving}.

## The same figures

Ours gets the weights of theirs. `outputs` is the largest difference of what both predict, `losses` that of
the first {COMPARED} training losses, with the same Adam, clips and masks of reverse scheduled sampling;
biases that theirs lacks don't learn meanwhile. `rounding` is what becomes of a last bit: how far the
outputs of OpenSTL's own network move if all pixels are 1 + 2^-23 times as bright. Differences of
that size are no sign of another computation.{unused}

{table(PARITY, [*map(_parity, found)])}

The aim is weights within {NUMBERS:.0%}, outputs within {OUTPUTS:g}, losses within {LOSSES:g}: \
{_verdict([each for each in found if not each.alike])}.

## Speed

Steps of training a second: medians of blocks of {BLOCK} steps that take turns, all of our weights learning.
`convolutions` is their share of a step of ours, as a profiler has it, which is rather too low. Both call the
same ones of torch: if all else took no time, ours would be `at most` so many times as fast as OpenSTL's.

{table(SPEED, [*map(_speed, found)])}
{_in_bfloat16(found)}
The aim is {FASTER} times their speed, float32 beside float32:
{_verdict([each for each in found if each.rates.ratio < FASTER])}.
"""


def _parity(found: Compared) -> list[str]:
    return [
        str(found.kind),
        f"{found.numbers.ours:,}",
        f"{found.numbers.theirs:,}",
        f"{found.numbers.ratio - 1:+.2%}",
        f"{found.outputs:.1e}",
        f"{found.rounding:.1e}",
        f"{found.losses:.1e}",
        "yes" if found.alike else "no",
    ]


def _speed(found: Compared) -> list[str]:
    return [
        str(found.kind),
        *_rates(found.rates),
        f"{found.convolving:.0%}",
        f"{found.rates.ratio / found.convolving:.2f}",
    ]


def _in_bfloat16(found: Sequence[Compared]) -> str:
    """What both do where products are of bfloat16, as all is trained here if the processor has it."""
    rows = [
        [str(each.kind), *_rates(each.mixed), f"{each.mixed.ours / each.rates.theirs:.2f}"]
        for each in found
        if each.mixed
    ]
    if not rows:
        return ""
    head = ("network", "steps/s", "OpenSTL's", "times theirs", "times theirs in float32")
    return f"""
This project trains with products of bfloat16 where the processor has them, OpenSTL in float32. Both in
bfloat16:

{table(head, rows)}
"""


def _rates(both: Two) -> list[str]:
    return [*(f"{rate:.3f}" for rate in both), f"{both.ratio:.2f}"]


def _verdict(failing: Sequence[Compared]) -> str:
    return f"missed by {', '.join(str(each.kind) for each in failing)}" if failing else "met"


def main(
    *,
    openstl: Path,
    digits: Path | None = None,
    download: bool = False,
    steps: int = STEPS,
    report: Path | None = None,
) -> None:
    """Compare our ConvLSTM and PredRNN v2 with those of OpenSTL and print a page.

    All of it takes about an hour on two processor cores.

    Parameters
    ----------
    openstl
        A clone of https://github.com/chengtan9907/OpenSTL.
    digits
        A folder with MNIST's t10k-images-idx3-ubyte, as it is or as .gz; unless given, blobs move.
    download
        Fetch the images into that folder if they aren't there.
    steps
        How many each network is trained.
    report
        Write the page into this file too.
    """
    started, least = time.monotonic(), COMPARED + 2 * BLOCK
    if steps < least:
        raise RequestError(f"steps must be a whole number from {least}, not {steps}.")
    check(openstl)
    data = batches(blobs() if digits is None else images_in(digits, download=download), steps)
    with ExitStack() as stack:  # where nothing can be written, nothing is measured
        part = report and stack.enter_context(replacing(report))
        found = [compared(kind, openstl, data) for kind in KINDS]
        text = page(found, digits is not None, steps, (time.monotonic() - started) / 60)
        if part is not None:
            part.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    run(main)
