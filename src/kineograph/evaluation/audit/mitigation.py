"""Prompt completion: what a prompt leaves open is named, as often as the target says, before a clip is made.

It needs no training, and the prompt that is made is in the open. The other remedy is in training: batches
that are balanced by an attribute, see `kineograph.data.balance`.
"""

from __future__ import annotations

import random

from kineograph.evaluation.audit.plan import Plan, filled


def completed(template: str, plan: Plan, group: str, seed: int) -> str:
    """The template with a value of the group in its slot, drawn by the target; the same for the same seed."""
    values = plan.groups[group]
    draw = random.Random(f"{group}/{template}/{seed}")
    return filled(template, draw.choices(values, plan.shares(group))[0])
