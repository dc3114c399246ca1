"""The benchmark beside OpenSTL, as far as that goes without OpenSTL: refusals, its data, its page, and what
it finds of a network that stands in for one of OpenSTL's."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import parity
from benchmarks.parity import KINDS, PLAIN, Compared, Two
from kineograph.errors import RequestError
from kineograph.models.precision import compute_dtype

FOUND = Compared(
    KINDS[0],
    numbers=Two(1005, 1000),
    idle=4321,
    outputs=2e-6,
    losses=3e-5,
    rounding=4e-7,
    rates=Two(0.75, 0.5),
    mixed=Two(1.25, 0.75),
    convolving=0.8,
)


def cells(page, title):
    """The rows of a network in the tables of a page, that of its figures and that of its speed."""
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith(f"| {title} ")]
    return [[cell.strip() for cell in row] for row in rows]


# What is refused


def test_another_folder_is_refused_in_a_sentence(tmp_path):
    call = [sys.executable, "-m", "benchmarks.parity", "--openstl", str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path} is no clone of OpenSTL: it has no openstl/modules/")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", range(4))
def test_half_a_clone_is_refused(tmp_path, number):
    files = [path for kind in PLAIN for path in kind.files(tmp_path)]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    parity.check(tmp_path)
    files[number].unlink()
    with pytest.raises(RequestError, match=files[number].name):
        parity.check(tmp_path)


def test_too_few_steps_are_refused(tmp_path):
    with pytest.raises(RequestError, match="steps must be a whole number from 30, not 29"):
        parity.main(openstl=tmp_path, steps=29)


# The data


def test_blobs_are_seen_whole():
    images = parity.blobs(20)
    edge = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)])
    assert images.shape == (20, 28, 28)
    assert (images.max(axis=(1, 2)) > 200).all()
    assert edge.max() < 30


def test_patches_and_masks_are_those_of_the_clips():
    (first, second) = parity.batches(parity.blobs(), 2)
    patches, mask = first.patched()
    assert not torch.equal(first.clips, second.clips)
    assert torch.equal(patches[1, 2, 3, 5] * 255, first.clips[1, 2, 12:16, 20:24].flatten().float())
    assert mask.shape == (8, 18, 16, 16, 16)
    assert torch.equal(mask[:, :, 3, 5, 7].bool(), first.shown[:, 1:])
    assert first.shown[:, 0].all()


# What is found

CELL = """
from torch import nn


def gates(channels_in, channels_out, kernel, normed):
    conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, *([nn.LayerNorm([channels_out, *normed])] if normed else []))


class ConvLSTMCell(nn.Module):
    def __init__(self, channels_in, channels, kernel, normed):
        super().__init__()
        self.conv_x = gates(channels_in, 4 * channels, kernel, normed)
        self.conv_h = gates(channels, 4 * channels, kernel, normed)
        self.unused = nn.Linear(3, 1)

    def forward(self, x, shown, kept):
        take, keep, new, show = (self.conv_x(x) + self.conv_h(shown)).chunk(4, dim=1)
        kept = keep.sigmoid() * kept + take.sigmoid() * new.tanh()
        return show.sigmoid() * kept.tanh(), kept
"""
MODEL = """
import torch
from openstl.modules import ConvLSTMCell
from torch import nn


class ConvLSTM_Model(nn.Module):
    def __init__(self, layers, channels, configs):
        super().__init__()
        side = configs.in_shape[-1] // configs.patch_size
        inputs = [configs.patch_size**2, *channels[:-1]]
        rest = configs.filter_size, (side, side) if configs.layer_norm else None
        self.cell_list = nn.ModuleList(ConvLSTMCell(*both, *rest) for both in zip(inputs, channels))
        self.conv_last = nn.Conv2d(channels[-1], inputs[0], 1, bias=False)

    def forward(self, frames, mask):
        x, shown = frames.movedim(-1, 2), mask.movedim(-1, 2)
        nothing = x.new_zeros(len(x), self.conv_last.in_channels, *x.shape[-2:])
        states, made = [(nothing, nothing) for _ in self.cell_list], []
        for step in range(x.shape[1] - 1):
            maps = torch.where(shown[:, step - 1] > 0, x[:, step], made[-1]) if made else x[:, 0]
            for number, cell in enumerate(self.cell_list):
                states[number] = cell(maps, *states[number])
                maps = states[number][0]
            made.append(self.conv_last(maps))
        predicted = torch.stack(made, dim=1).movedim(2, -1)
        return predicted, (predicted - frames[:, 1:]).square().mean()
"""
SMALL = {"LAYERS": 2, "CHANNELS": 4, "SIZE": 32, "PATCH": 8, "GIVEN": 3, "FRAMES": 6, "BATCH": 2}


def found_of(kind, cell, folder, monkeypatch):
    """What is found of a network that stands in for OpenSTL's, of this cell, at a small size."""
    for name, value in SMALL.items():
        monkeypatch.setattr(parity, name, value)
    for path, text in zip(kind.files(folder), (cell, MODEL), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return parity.compared(kind, folder, parity.batches(parity.blobs(), 30))


@pytest.mark.parametrize("normed", [False, True])
def test_a_network_that_computes_the_same_is_found_alike(normed, tmp_path, monkeypatch):
    found = found_of(replace(PLAIN[0], normed=normed), CELL, tmp_path, monkeypatch)
    assert found.alike
    assert found.idle == SMALL["LAYERS"] * (3 + 1)
    assert min(found.rates) > 0
    assert 0 < found.rounding < 1e-3
    assert (found.mixed is None) == (compute_dtype(torch.device("cpu")) == torch.float32)
    assert 0 < found.convolving < 1


def test_another_gate_is_noticed(tmp_path, monkeypatch):
    other = CELL.replace("keep.sigmoid()", "(keep + 1).sigmoid()")
    assert not found_of(PLAIN[0], other, tmp_path, monkeypatch).alike


# The page


def test_the_page_holds_what_was_found():
    page = parity.page([FOUND], digits=True, steps=200, minutes=61.4)
    assert cells(page, "ConvLSTM") == [
        ["ConvLSTM", "1,005", "1,000", "+0.50%", "2.0e-06", "4.0e-07", "3.0e-05", "yes"],
        ["ConvLSTM", "0.750", "0.500", "1.50", "80%", "1.88"],
        ["ConvLSTM", "1.250", "0.750", "1.67", "2.50"],
    ]
    assert "--openstl FOLDER --digits FOLDER --report" in page
    assert "in 61 minutes" in page
    assert "moving digits" in page
    assert "aren't counted (ConvLSTM: 4,321)" in page
    assert len(re.findall(r":\s+met\.", page)) == 2


@pytest.mark.parametrize(
    "change", [{"numbers": Two(1020, 1000)}, {"outputs": 2e-5}, {"losses": 2e-4}, {"losses": np.nan}]
)
def test_what_is_not_alike_is_said(change):
    page = parity.page([replace(FOUND, idle=0, **change)], digits=False, steps=40, minutes=1)
    assert cells(page, "ConvLSTM")[0][-1] == "no"
    assert "losses within 0.0001: missed by ConvLSTM." in page
    assert "blobs that move as digits do" in page
    assert "FOLDER --steps 40 --report" in page
    assert "aren't counted" not in page


def test_what_is_slower_is_named():
    slow = replace(FOUND, kind=KINDS[3], rates=Two(0.7, 0.5))
    page = parity.page([FOUND, slow], digits=True, steps=200, minutes=61)
    assert "float32 beside float32:\nmissed by PredRNN v2 with layer norm." in page


def test_where_bfloat16_is_no_faster_nothing_is_said_of_it():
    assert "bfloat16" not in parity.page([replace(FOUND, mixed=None)], digits=True, steps=200, minutes=61)
