"""Which weights were best so far by a held-out figure, and whether it is time to stop. It measures and saves nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "l1": False,
    "psnr": True,
    "ssim": True,
    "line_f": True,
    "lab_intersection": True,
    "cycle_l1": False,
    "identity_l1": False,
}
"""The figures that can be watched. Those of `figures.py` that are missing here are neither good nor bad."""


@dataclass(frozen=True)
class Best:
    """The best value of a figure so far.

    Attributes:
        images: Where it was measured, in images of the run.
        stale: Validations since then, none of them better.
    """

    metric: str
    value: float
    images: int
    stale: int = 0

    def is_exhausted(self, patience: int) -> bool:
        """Whether `patience` validations in a row brought nothing better; 0 waits for ever."""
        return 0 < patience <= self.stale


def judged(best: Best | None, metric: str, value: float, images: int) -> Best | None:
    """The best after one more validation; one by another figure counts no longer, and no number is never better."""
    if best is None or best.metric != metric:
        return None if math.isnan(value) else Best(metric, value, images)
    is_better = value > best.value if HIGHER_IS_BETTER[metric] else value < best.value
    return Best(metric, value, images) if is_better else replace(best, stale=best.stale + 1)
