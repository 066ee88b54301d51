"""Gold regions, whose truth is known: which cells test anything, and the score that one is shown with."""

import numpy as np

from service.domain.classes import LabelMap

GOLD = "gold"
"""The state of gold regions, and of the round that holds them: nothing that looks at rounds or budgets looks at it."""

LEAST_SHARE = 0.02
"""Of a region's pixels: a class with fewer says nothing of the care that was taken."""
MOST_VOID = 0.5


def is_telling(truth_HW: LabelMap, void: int) -> bool:
    """Whether a truth (class ids, H x W) tests anything: two classes of some size at least, and no more than half of it void."""
    counts = np.bincount(truth_HW.ravel(), minlength=256)
    if counts[void] > MOST_VOID * truth_HW.size:
        return False
    counts[void] = 0
    return int((counts >= LEAST_SHARE * truth_HW.size).sum()) >= 2


def turns_wished(size: int, share: float) -> int:
    """How many gold regions one annotator is given on average who labels all of a round of `size`, and half as many again."""
    return int(np.ceil(1.5 * size * share / (1 - share))) if share > 0 else 0


def score_between(score: float, below: float | None) -> float:
    """A score from `score` down to the next, `below`, that looks like those that a network gives.

    Equal where those are; a little lower where there is no other.
    """
    if below is None:
        below = score - abs(score) / 32
    single = float(np.float32(score)) == score and float(np.float32(below)) == below
    middle = (score + below) / 2
    return float(np.float32(middle)) if single else middle
