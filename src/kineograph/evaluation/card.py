"""A model's card: what it is, what it learnt from, what it can and can't do, with every figure measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from kineograph.canvas import TASKS
from kineograph.evaluation.facts import Facts
from kineograph.evaluation.report import Report, percent, table, tables
from kineograph.models.family import Spec
from kineograph.worlds.captions import VALUES
from kineograph.worlds.holdout import HELD_OUT_KIND_COLOR, HELD_OUT_KIND_MOTION
