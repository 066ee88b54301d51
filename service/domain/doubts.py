"""Decides what is worth a warning: of a round, of the course of a campaign, and of a policy. Work goes on whatever it says."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from service.domain.methods import OWN_POLICY, RANDOM

SEVERAL = 3
"""Rounds: the newest so many lie below the best before them where mIoU is said to fall over rounds."""
LEAST_FALL = 0.01
"""Of mIoU: less is not worth a word, however quiet its course is. Two fits of one head differ by half of it."""
FEW = 5
"""Rounds: of fewer it cannot be told how much of their course is noise."""


def of_round(before: float | None, after: float | None, *, fell: bool) -> str:
    """Of a round that `fell` by more than its noise: a sentence; else nothing. mIoU in [0, 1]."""
    if not fell or before is None or after is None:
        return ""
    return (
        f"mIoU on the reward images fell from {100 * before:.1f} to {100 * after:.1f}, more than chance explains: "
        "look at this round's labels for mistakes."
    )


def of_course(mious: Sequence[float]) -> str:
    """Of mIoU in [0, 1] after each round, first to last: a sentence where it falls over several rounds, else nothing.

    It falls where each of the newest rounds lies below the best before them, by LEAST_FALL and by three times the noise. The
    best is a median of neighbours, for one round may be high by chance; the noise is what neighbours do not explain of a
    round. Of few rounds the newest fall one after the other.
    """
    earlier, newest = mious[:-SEVERAL], mious[-SEVERAL:]
    if not earlier:
        return ""
    best = max(median(earlier[start : start + 3]) for start in range(max(1, len(earlier) - 2)))
    if any(best - each <= max(LEAST_FALL, 3 * _noise(mious)) for each in newest):
        return ""
    if len(mious) < FEW and list(newest) != sorted(newest, reverse=True):
        return ""
    return (
        f"mIoU on the reward images falls over rounds: it was {100 * best:.1f}, and was {100 * newest[-1]:.1f} after the newest, "
        f"and lower in each of the last {SEVERAL}. Look at their labels, or have another strategy ask."
    )


def _noise(mious: Sequence[float]) -> float:
    """The standard deviation of a round's mIoU about the line through its neighbours; 0 where there are few."""
    if len(mious) < FEW:
        return 0.0
    off = [abs(b - (a + c) / 2) for a, b, c in zip(mious, mious[1:], mious[2:], strict=False)]
    # Of normal noise the median of its size is 0.6745 deviations, and a difference to two neighbours' mean has 1.5 variances.
    return median(off) / (0.6745 * math.sqrt(1.5))


def of_policy(result: Mapping[str, Any]) -> str:
    """Of what a policy's training brought: a sentence where it gained nothing in its games or in held-out ones, else nothing.

    Where games begin with a head that knows nothing every game gains: what is told then are areas, which say nothing.
    """
    gains = result.get("returns") or []
    if "best_mean_return" in result and gains and max(gains) <= 0:
        return (
            f"mIoU fell, or stayed, in each of the {len(gains)} games that the policy learned from: it has learned little. Look "
            "at the segmenter first (GET /projects/{id} has its mIoU), or keep the encoder frozen."
        )
    areas = (result.get("compared") or {}).get("areas", {})
    if OWN_POLICY in areas and RANDOM in areas and areas[OWN_POLICY] <= areas[RANDOM]:
        return (
            f"In held-out games the policy had a mean mIoU of {areas[OWN_POLICY]:.1f}, and random had {areas[RANDOM]:.1f}: it "
            "has learned nothing that helps here. Label more images for its games, or ask by another strategy."
        )
    return ""


def of_order(later: Sequence[int]) -> str:
    """What is to be said of a round that was learned from after `later` ones, by their numbers; empty where there are none."""
    if not later:
        return ""
    named = ", ".join(map(str, later))
    return (
        f"Later rounds ({named}) were learned from before this one: their labels count in its mIoU before and after, and its "
        "gain is what it added to them."
    )


def said_of(description: Mapping[str, Any] | None) -> str:
    """The warning in a job's result or a network's description, which may be anybody's; empty where there is none."""
    warning = (description or {}).get("warning")
    return warning if isinstance(warning, str) else ""


def together(*warnings: str | None) -> str:
    """Warnings one after the other, each once."""
    found: list[str] = []
    for each in warnings:
        if each and not any(each in other for other in found):
            found.append(each)
    return " ".join(found)
