"""What it costs to label a region: its pixels, the clicks that draw its classes, or the seconds that those take.

Shapes: L labels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

CostName = Literal["pixels", "clicks", "seconds"]

FEWEST_LABELS = 20
"""Seconds are fitted to this many labels or more."""

_STEPS = 100
_HUBER = 1.345  # deviations beyond which a label counts less: 95% as efficient as least squares where errors are normal


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingCost:
    """The cost of a region that takes some polygon clicks (outlines.py): fixed + per_click * clicks."""

    fixed: float
    per_click: float

    def of(self, clicks: ArrayLike) -> NDArray[np.float64]:
        """The costs of regions by their clicks."""
        return np.asarray(self.fixed + self.per_click * np.asarray(clicks, np.float64))


CLICKS = DrawingCost(fixed=0.0, per_click=1.0)
ASSUMED_SECONDS = DrawingCost(fixed=5.0, per_click=1.75)
"""Until a project's own labels say otherwise. An assumption: four clicks on an object took annotators 7 seconds (Papadopoulos et
al., ICCV 2017); to look at a region is guessed to take 5.
"""


def drawing_cost(name: CostName) -> DrawingCost | None:
    """The cost of this name before anything is known of its annotators; None for pixels."""
    return {"pixels": None, "clicks": CLICKS, "seconds": ASSUMED_SECONDS}[name]


def fitted_seconds(clicks_L: ArrayLike, seconds_L: ArrayLike) -> DrawingCost:
    """What labels say that clicks take: seconds = fixed + per_click * clicks, neither below 0, by Huber's loss.

    Huber (1964), by least squares of which labels count the less the further off they are, in 1.4826 times the median of all
    distances; so a break in between hardly counts. Labels without a click or a second say nothing. ASSUMED_SECONDS where fewer
    than FEWEST_LABELS say anything; that at their pace where all took as many clicks.
    """
    clicks, seconds = np.asarray(clicks_L, np.float64), np.asarray(seconds_L, np.float64)
    telling = (clicks > 0) & (seconds > 0)
    clicks, seconds = clicks[telling], seconds[telling]
    if len(clicks) < FEWEST_LABELS:
        return ASSUMED_SECONDS
    if np.ptp(clicks) == 0:
        pace = float(np.median(seconds / ASSUMED_SECONDS.of(clicks)))
        return DrawingCost(fixed=pace * ASSUMED_SECONDS.fixed, per_click=pace * ASSUMED_SECONDS.per_click)
    line = 0.0, float(np.median(seconds / clicks))
    for _ in range(_STEPS):
        off = np.abs(seconds - line[0] - line[1] * clicks)
        # Half of the labels may lie on a line, those of one number of clicks, and the others still count.
        allowed = max(_HUBER * 1.4826 * float(np.median(off)), 1e-6 * float(np.median(seconds)))
        before, line = line, _line(clicks, seconds, allowed / np.maximum(off, allowed))
        if np.allclose(before, line, rtol=1e-9, atol=1e-12):
            break
    return DrawingCost(fixed=line[0], per_click=line[1])


def _line(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """The weighted least squares of y = a + b x with a and b of 0 or more, where x and y are above 0."""
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    square, product = np.average(x * x, weights=weights), np.average(x * y, weights=weights)
    spread = square - mean_x * mean_x
    if spread > 1e-9 * square:
        slope = (product - mean_x * mean_y) / spread
        if slope >= 0 and mean_y >= slope * mean_x:
            return float(mean_y - slope * mean_x), float(slope)
    # One of them is 0. What is left unexplained is the mean of y * y less what either explains.
    if product * product / square >= mean_y * mean_y:
        return 0.0, float(product / square)
    return float(mean_y), 0.0
