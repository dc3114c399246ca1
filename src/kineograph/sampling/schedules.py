"""Where on the way from noise (0) to data (1) the steps fall."""

from __future__ import annotations


def times(steps: int, shift: float = 1.0) -> list[float]:
    """`steps` + 1 rising times from 0 to 1; `shift` > 1 spends more of them near the noise.

    The shift of Esser et al. 2024 (arXiv 2403.03206, equation 23), with time running from noise to data.
    """
    even = [step / steps for step in range(steps + 1)]
    return [t / (t + shift * (1 - t)) for t in even]
