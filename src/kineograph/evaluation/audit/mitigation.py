"""Two remedies at sampling: what a prompt leaves open of a group is drawn by the target for each clip.

Completion writes it into the prompt. Re-weighting leaves the prompt open and turns a share of what guidance
pushes towards over to the prompt that is completed, as fair diffusion does with an editing prompt
(arXiv 2302.10893): v0 + scale ((1 - weight) v_open + weight v_completed - v0).

Both need no training. The remedy in training is batches that are balanced by an attribute, see
`kineograph.data.balance`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from kineograph.canvas import Canvas, guided_canvas
from kineograph.evaluation.audit.plan import Plan, filled
from kineograph.evaluation.making import text_canvases
from kineograph.models.family import Spec

REWEIGHTING = "walk"  # the ability that it needs: to stand between two prompts


@dataclass(frozen=True)
class Asked:
    """A prompt for each seed and, if guidance is re-weighted, another for each and its `weight`, 0 to 1."""

    prompts: tuple[str, ...]
    towards: tuple[str, ...] = ()
    weight: float = 0.0

    def canvases(self, start: int, stop: int, spec: Spec) -> list[Canvas]:
        """Of some of the seeds."""
        canvases = text_canvases(self.prompts[start:stop], spec)
        if not self.towards:
            return canvases
        pairs = zip(canvases, self.towards[start:stop], strict=True)
        return [guided_canvas(canvas, walk=(prompt, self.weight)) for canvas, prompt in pairs]


def completed(template: str, plan: Plan, group: str, count: int) -> Asked:
    """The template with a value of the group in its slot, drawn by the target for each of `count` seeds."""
    return Asked(tuple(_completion(template, plan, group, seed) for seed in range(count)))


def reweighted(template: str, plan: Plan, group: str, count: int, weight: float) -> Asked:
    """The open prompt, led towards the same completions with this weight."""
    return Asked((filled(template, ""),) * count, completed(template, plan, group, count).prompts, weight)


def _completion(template: str, plan: Plan, group: str, seed: int) -> str:
    values = plan.groups[group]
    draw = random.Random(f"{group}/{template}/{seed}")
    return filled(template, draw.choices(values, plan.shares(group))[0])
