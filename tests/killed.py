"""A tiny training, and how a child process that runs it is killed."""

import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from kineograph.sampling.noise import Noise
from kineograph.training import checkpoint, log
from kineograph.training.loop import TrainConfig, Trainer
from kineograph.training.optim import OptimConfig

STEPS, EVERY = 100, 2
CONFIG = TrainConfig(STEPS, optim=OptimConfig(rate=0.02, warmup=10), checkpoint_every=EVERY)
TOUCHES = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
)  # of files, as the interpreter audits them


class Net(nn.Module):
    """Matrices for Muon, vectors for AdamW, and a buffer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.register_buffer("seen", torch.zeros(()))


class Fit:
    """A loss that depends on the batch, on random draws and on a buffer; not finite from step `bad` on."""

    def __init__(self, bad=None):
        self.module, self.bad = Net(), bad
        self.objectives, self.hot = [self], []

    def parameters(self):
        return list(self.module.named_parameters())

    def loss(self, batch, draw):
        y = batch["x"] + 0.1 * torch.randn(batch["x"].shape, generator=draw)
        for block in self.module.blocks:
            y = torch.tanh(block(y))
        self.module.seen += 1
        loss = (y - batch["x"].flip(1)).square().mean() + 1e-3 * self.module.seen.sqrt()
        if self.bad is not None and batch["step"] >= self.bad:
            loss = loss * float("nan")
        return loss, {"size": y.detach().abs().mean()}


class Draws:
    """A batch for each step."""

    def batch(self, step):
        return {"x": Noise(5).normal("x", step, (8, 6)), "step": torch.tensor(step)}


def trainer(out, config=CONFIG, bad=None):
    torch.set_num_threads(1)
    return Trainer(Fit(bad), Draws(), config, out)


def train(out, touches=None, steps=STEPS):
    """Resume and train to the end, or until so many times a file has been touched: then die at once."""
    if touches is not None:
        die_after(touches, str(out))
    resumed = trainer(out, replace(CONFIG, steps=steps))
    resumed.resume()
    for _ in resumed.run():
        pass


def die_after(touches, out):
    left = touches

    def hook(event, arguments):
        nonlocal left
        if event in TOUCHES and (event != "open" or str(arguments[0]).startswith(out)):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def child(out, touches=None, steps=STEPS):
    """A process that trains; torch is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kineograph.training.loop", "torch._dynamo"])  # which optimizers import
    process = context.Process(target=train, args=(out, touches, steps))
    process.start()
    return process


def truncate_newest(out):
    """Cut the weights of the newest checkpoint in half."""
    weights = sorted(out.glob("step-*"))[-1] / "weights.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def outcome(out: Path):
    """All that must not depend on interruptions: the log but for its times, and the last weights."""
    lines = [{name: value for name, value in line.items() if name != "seconds"} for line in log.read(out)]
    groups = checkpoint.newest(out).tensors
    return lines, {group: {name: value.tolist() for name, value in groups[group].items()} for group in groups}
