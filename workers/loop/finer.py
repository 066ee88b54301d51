"""Finer features of a frozen encoder, where labels show that heads on those are better."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.frozen import STRIDES, FrozenSegmenter
from service.domain.metrics import fell, mean_iou
from workers.chance import numpy_generator
from workers.training.building import with_fresh_head
from workers.training.judging import SHARE, Judge, confusions_of
from workers.training.refitting import MOST_HELD, Key, LabelledCells

# So many labelled images are needed for a comparison, and it is made on no more.
LEAST_IMAGES, MOST_IMAGES = 8, 96
# Of mIoU: finer features take longer, so they have to be better by more than this.
LEAST_GAIN = 0.01
# Numbers that are held of an image, and of all that is labelled, 2 bytes each: with more, features stay as coarse as they are.
MOST_OF_IMAGE, MOST_NUMBERS = 2**25, MOST_HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A segmenter, labelled cells as it sees them, and heads like its that judge them, fitted in so many steps."""

    segmenter: FrozenSegmenter
    cells: LabelledCells
    judges: Sequence[Judge]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """mIoU in [0, 1] of heads at two strides on labelled images that they had not seen, and whether the finer is better."""

    strides: tuple[int, int]
    mious: tuple[float, float]
    better: bool


def finer(
    now: Looked,
    look: Callable[[FrozenSegmenter, Sequence[Key], int], Looked],
    label_map_of: Callable[[Key], NDArray[np.uint8]],
    first_steps: int,
    seed: int,
) -> tuple[Looked, list[Comparison]]:
    """What is looked at from now on, and the comparisons behind it: finer by a step, and another, as long as that is better.

    `look` gives what a segmenter makes of some labelled images by judges of so many steps, `label_map_of` an image's label map,
    IGNORE where it is not labelled. A first fit takes `first_steps`.
    """
    found: list[Comparison] = []
    images = now.cells.images()
    if len(images) < LEAST_IMAGES:
        return now, found
    some = sorted(images[n] for n in numpy_generator(seed, "finer images").permutation(len(images))[:MOST_IMAGES])
    best = now
    for stride in sorted((each for each in STRIDES if each < now.segmenter.stride), reverse=True):
        segmenter = with_fresh_head(now.segmenter, seed, stride=stride)
        if not _has_room(segmenter, now.cells):
            break
        # To the finest features windows show little: heads take all the steps.
        steps = max(1, first_steps // (SHARE if stride > min(STRIDES) else 1))
        if best.steps != steps or best.cells.images() != some:
            best = look(best.segmenter, some, steps)
        other = look(segmenter, some, steps)
        comparison = compared(best, other, label_map_of, seed)
        found.append(comparison)
        if not comparison.better:
            break
        best = other
    return best, found


def _has_room(segmenter: FrozenSegmenter, cells: LabelledCells) -> bool:
    """Whether what it sees of all that is labelled can be held."""
    sizes = {cells.source(key).size(key[1]) for key in cells.images()}
    most = max(math.prod(segmenter.seen_shape(size)) for size in sizes)
    return most <= MOST_OF_IMAGE and cells.numbers_with(segmenter) <= MOST_NUMBERS


def compared(one: Looked, other: Looked, label_map_of: Callable[[Key], NDArray[np.uint8]], seed: int) -> Comparison:
    """By a paired bootstrap over images: the other is better where it is by more than LEAST_GAIN, and than chance explains."""
    confusions = [
        {key: each for judge in looked.judges for key, each in confusions_of(judge, label_map_of).items()}
        for looked in (one, other)
    ]
    keys = sorted(confusions[0].keys() & confusions[1].keys())
    first_ICC, second_ICC = (np.stack([of_key[key] for key in keys]) for of_key in confusions)
    rng = numpy_generator(seed, "finer", other.segmenter.stride)
    return Comparison(
        strides=(one.segmenter.stride, other.segmenter.stride),
        mious=(mean_iou(first_ICC.sum(0)), mean_iou(second_ICC.sum(0))),
        better=fell(second_ICC, first_ICC, rng, least=LEAST_GAIN),
    )


def told(found: Sequence[Comparison]) -> str:
    """What is said of a step to finer features, by the comparisons behind it; nothing where none was better."""
    better = [each for each in found if each.better]
    if not better:
        return ""
    mious = "; ".join(
        f"{100 * after:.1f} % mIoU with {fine}, {100 * before:.1f} with {coarse}"
        for (coarse, fine), (before, after) in ((each.strides, each.mious) for each in better)
    )
    return (
        f"Features of every {better[-1].strides[1]} pixels instead of {better[0].strides[0]} from now on. On labelled images "
        f"that they had not seen, heads reached {mious}."
    )
