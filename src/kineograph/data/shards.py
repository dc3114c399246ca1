"""Shards: clips as tensors in safetensors files, captions beside them, random access by clip.

DIR/clips-00000.safetensors   one tensor a field, first axis the clip: frames, focus, latents …
DIR/captions.jsonl            one JSON string a clip, in order
DIR/index.json                {"fps": 8.0, "shards": [{"file": "clips-00000.safetensors", "count": 256}, …]}
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kineograph.errors import DataError
from kineograph.sampling.noise import Noise

INDEX = "index.json"
CAPTIONS = "captions.jsonl"

Parts = Iterable[tuple[Mapping[str, Tensor], list[str]]]


class Shards:
    """Read access to a folder of shards; `len` is the number of clips."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index = json.loads((folder / INDEX).read_text())
            self.fps = float(index["fps"])
            self._files = [folder / shard["file"] for shard in index["shards"]]
            self._ends = list(accumulate(int(shard["count"]) for shard in index["shards"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise self._damaged(INDEX) from error
        if not len(self):
            raise self._damaged(INDEX)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @cached_property
    def captions(self) -> list[str]:
        try:
            lines = (self.folder / CAPTIONS).read_text(encoding="utf-8").splitlines()
            captions = [str(json.loads(line)) for line in lines]
        except (OSError, ValueError) as error:
            raise self._damaged(CAPTIONS) from error
        if len(captions) != len(self):
            raise self._damaged(CAPTIONS)
        return captions

    @cached_property
    def _open(self) -> list[safe_open]:
        try:
            return [safe_open(path, framework="pt") for path in self._files]
        except (OSError, SafetensorError) as error:
            raise self._damaged("a shard") from error

    def _damaged(self, what: str) -> DataError:
        return DataError(
            f"In '{self.folder.name}' {what} is missing or damaged: remove that folder to make it again."
        )

    def clip(self, index: int, field: str, *parts: slice) -> Tensor:
        """One field of one clip, read from disk; of its first axes only the parts that are given."""
        shard = bisect_right(self._ends, index)
        row = index - (self._ends[shard - 1] if shard else 0)
        found: Tensor = self._open[shard].get_slice(field)[(row, *parts)]  # type: ignore[no-untyped-call]
        return found

    def fields(self) -> list[str]:
        return list(self._open[0].keys())  # type: ignore[no-untyped-call]


def write(folder: Path, parts: Parts, fps: float) -> Shards:
    """Write all of `writing`."""
    for _ in writing(folder, parts, fps):
        pass
    return Shards(folder)


def writing(folder: Path, parts: Parts, fps: float) -> Iterator[int]:
    """Write (fields, captions) parts, one shard each, into `folder`; yields the number of clips so far.

    The index comes last, so that a folder without one is unfinished. What an interrupted run has already
    written is written again.
    """
    shards: list[dict[str, str | int]] = []
    count = 0
    for number, (fields, texts) in enumerate(parts):
        assert all(len(value) == len(texts) for value in fields.values())
        if not number:
            _start(folder)
        name = f"clips-{number:05d}.safetensors"
        save_file({k: v.contiguous() for k, v in fields.items()}, folder / name)
        with (folder / CAPTIONS).open("a", encoding="utf-8") as captions:
            captions.writelines(json.dumps(text) + "\n" for text in texts)
        shards.append({"file": name, "count": len(texts)})
        count += len(texts)
        yield count
    assert shards, "there is nothing to write"
    aside = folder / f".{INDEX}.part"
    aside.write_text(json.dumps({"fps": fps, "shards": shards}))
    aside.rename(folder / INDEX)


def _start(folder: Path) -> None:
    """Make the folder, or remove what an interrupted run left in it and what would mislead a reader."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in (*folder.glob(".tmp*"), folder / INDEX, folder / CAPTIONS):
        leftover.unlink(missing_ok=True)


def order(count: int, epoch: int, seed: int) -> Tensor:
    """The order of `count` clips in an epoch, the same whenever it is asked for."""
    return torch.randperm(count, generator=Noise(seed).generator("epoch", epoch))


def indices(count: int, batch: int, step: int, seed: int) -> list[int]:
    """Which clips make up the batch of a step; epochs follow one another without a gap."""
    positions = range(step * batch, (step + 1) * batch)
    orders = {epoch: order(count, epoch, seed) for epoch in {p // count for p in positions}}
    return [int(orders[p // count][p % count]) for p in positions]


class FieldBatches:
    """Batches of the given fields, stacked, by step."""

    def __init__(self, shards: Shards, fields: tuple[str, ...], batch: int, seed: int = 0) -> None:
        self.shards, self.fields, self.size, self.seed = shards, fields, batch, seed

    def batch(self, step: int) -> dict[str, Tensor]:
        chosen = indices(len(self.shards), self.size, step, self.seed)
        return {f: torch.stack([self.shards.clip(i, f) for i in chosen]) for f in self.fields}
