"""Whether label maps of one region by several annotators agree, and what most of them say of each pixel."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import LabelMap

# Shapes: HW height x width of a region. Label maps are uint8, all of ids or all of indices. Ignored pixels are a class of
# their own: who ignores what another has labelled does not agree.

Rule = Literal["miou", "majority"]
"""miou: each pair of label maps has that much mIoU; majority: so many of the pixels have one class in more than half of them."""


def agree(maps: Sequence[LabelMap], rule: Rule, threshold: float) -> bool:
    """Whether label maps of one shape agree by the rule; a single one agrees with itself. `threshold` is from 0 to 1."""
    if rule == "miou":
        return all(pair_miou(a_HW, b_HW) >= threshold for a_HW, b_HW in combinations(maps, 2))
    _, strict_HW = majority(maps)
    return float(strict_HW.mean()) >= threshold


def pair_miou(a_HW: LabelMap, b_HW: LabelMap) -> float:
    """Mean over the classes that are in either map of their intersection over their union: 1 for the same maps.

    Raises ValueError where the shapes differ, or there is no pixel.
    """
    if a_HW.shape != b_HW.shape or not a_HW.size:
        raise ValueError(f"Label maps of {a_HW.shape} and {b_HW.shape} cannot be compared.")
    in_a, in_b = (np.bincount(each.ravel(), minlength=256) for each in (a_HW, b_HW))
    both = np.bincount(a_HW[a_HW == b_HW], minlength=256)
    either = in_a + in_b - both
    there = either > 0
    return float((both[there] / either[there]).mean())


def majority(maps: Sequence[LabelMap]) -> tuple[LabelMap, NDArray[np.bool_]]:
    """(label map, where there is one): the class that more than half of the maps have at a pixel; elsewhere the last map's.

    Raises ValueError without a map, or where their shapes differ.
    """
    if not maps or any(each.shape != maps[0].shape for each in maps):
        raise ValueError("A majority is of one label map or more, all of one shape.")
    found_HW, strict_HW = maps[-1].copy(), np.zeros(maps[0].shape, np.bool_)
    for each_HW in maps:
        votes_HW = np.sum([each_HW == other_HW for other_HW in maps], axis=0)
        won_HW = 2 * votes_HW > len(maps)
        found_HW[won_HW] = each_HW[won_HW]
        strict_HW |= won_HW
    return found_HW, strict_HW
