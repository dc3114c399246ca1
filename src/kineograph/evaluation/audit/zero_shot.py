"""A scorer made of an image-text model that the user gives: which label fits the frames of a clip best.

The model is a local folder in the format of `transformers` (CLIP and its like), with safetensors. Nothing is
fetched, and no code of the folder is run. It reads only the groups that it is told to read: attributes of
people are never inferred unless somebody asks for just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kineograph.errors import ModelError
from kineograph.evaluation.figures import Values
from kineograph.video import Frames

FRAMES = 5  # of a clip that are looked at
PHRASE = "a clip of {}"


@dataclass(frozen=True, eq=False)
class ZeroShotScorer:
    """`groups` are what it may read; `model` and `processor` as `transformers` has them."""

    name: str
    groups: frozenset[str]
    model: Any
    processor: Any

    def reads(self, group: str, labels: Sequence[str]) -> bool:
        return group in self.groups

    @torch.inference_mode()
    def score(self, frames: Frames, labels: Sequence[str]) -> Values:
        """Softmax over the labels of the mean over frames of what the model finds alike."""
        chosen = np.linspace(0, frames.shape[1] - 1, FRAMES).round().astype(int)
        phrases = [PHRASE.format(label) for label in labels]
        rows = []
        for clip in frames[:, chosen]:
            inputs = self.processor(text=phrases, images=list(clip), return_tensors="pt", padding=True)
            alike = self.model(**inputs).logits_per_image.float()  # (frame, label)
            rows.append(alike.mean(dim=0).softmax(dim=0).double().numpy())
        return np.stack(rows)


def load(folder: Path, groups: Sequence[str]) -> ZeroShotScorer:
    """The model in a folder, to read these groups.

    Raises:
        ModelError: `transformers` isn't there, or the folder holds no such model in safetensors.
    """
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise ModelError(
            "A scorer in a folder needs transformers: run pip install 'transformers>=5'."
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"There is no model in safetensors in {folder}: name the folder of one.")
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, **safe).eval()
        processor = transformers.AutoProcessor.from_pretrained(folder, **safe)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(f"The scorer in {folder} can't be loaded, {reason}: give another.") from error
    if not hasattr(model, "logit_scale"):
        raise ModelError(f"The model in {folder} doesn't compare images with text: give one as CLIP is.")
    return ZeroShotScorer(folder.name, frozenset(groups), model, processor)
