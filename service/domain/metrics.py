"""Metrics of a segmentation and of a selection: confusion, IoU, class counts, their entropy, area under a curve."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, LabelMap

# Shapes: H, W height and width of a label map; C classes. A confusion matrix is C x C, its rows the truth.

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

_AT_ONCE = 1 << 21


def confusion_matrix(truth_HW: LabelMap, prediction_HW: LabelMap, classes: int) -> Counts:
    """Pixels of each true class (rows) predicted as each class (columns): int64, C x C.

    Both maps hold class indices of any one shape; pixels whose truth is IGNORE are left out.
    Raises ValueError where the shapes differ or a counted pixel holds no class.
    """
    if truth_HW.shape != prediction_HW.shape:
        raise ValueError(f"Truth of {truth_HW.shape} and prediction of {prediction_HW.shape} differ in shape.")
    # Every pair of bytes is counted and the ignored rows dropped after: faster than picking out the pixels first.
    every = np.zeros((256, 256), np.int64)
    for truth_N, prediction_N in zip(_pieces(truth_HW), _pieces(prediction_HW), strict=True):
        pairs_N = truth_N.astype(np.uint16) * np.uint16(256) + prediction_N.astype(np.uint16)
        every += np.bincount(pairs_N, minlength=256 * 256).reshape(256, 256)
    _require_classes(every.sum(axis=1), classes)
    _require_classes(every[:classes].sum(axis=0), classes, ignored=False)
    return every[:classes, :classes].astype(np.int64)


def _pieces(label_map_HW: LabelMap) -> list[LabelMap]:
    """Some pixels at a time: to be counted each takes 8 bytes."""
    pixels_N = label_map_HW.ravel()
    return [pixels_N[start : start + _AT_ONCE] for start in range(0, pixels_N.size, _AT_ONCE)]


def iou_per_class(confusion: Counts) -> Values:
    """Intersection over union of each class: float64, C values in [0, 1], NaN for a class absent from both maps."""
    hits = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    iou = np.full(len(hits), np.nan)
    np.divide(hits, union, out=iou, where=union > 0)
    return iou


def mean_iou(confusion: Counts) -> float:
    """Mean of the classes' IoU without those absent from both maps (docs/method.md, 8); NaN where no class is left."""
    iou = iou_per_class(confusion)
    present = iou[~np.isnan(iou)]
    return float(present.mean()) if present.size else float("nan")


def fell(
    before_RCC: Counts, after_RCC: Counts, rng: np.random.Generator, *, least: float = 0.0, draws: int = 400
) -> bool:
    """Whether mIoU over R images fell by more than `least`, and by more than the choice of images explains.

    Both hold one confusion for each of the same images. A paired bootstrap over the images: it fell where in 97.5 of a
    hundred draws it is lower afterwards.
    """
    images, classes = len(before_RCC), before_RCC.shape[-1]
    if mean_iou(after_RCC.sum(axis=0)) >= mean_iou(before_RCC.sum(axis=0)) - least:
        return False
    times_DR = rng.multinomial(images, np.full(images, 1 / images), size=draws)
    lower = [
        mean_iou(after.reshape(classes, classes)) < mean_iou(before.reshape(classes, classes))
        for before, after in zip(
            times_DR @ before_RCC.reshape(images, -1), times_DR @ after_RCC.reshape(images, -1), strict=True
        )
    ]
    return bool(np.mean(lower) >= 0.975)


def class_counts(label_map_HW: LabelMap, classes: int) -> Counts:
    """Pixels of each class in a map of indices: int64, C values. IGNORE is left out; ValueError for any other index."""
    every = np.zeros(256, np.int64)
    for piece_N in _pieces(label_map_HW):
        every += np.bincount(piece_N, minlength=256)
    _require_classes(every, classes)
    return every[:classes].astype(np.int64)


def distribution_entropy(counts: Counts | Values) -> float:
    """Shannon entropy, in nats, of the distribution that counts or other weights describe; 0 where all are 0.

    What Figure 3 of the paper shows, of the classes of the selected pixels.
    """
    weights = np.asarray(counts, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError("Counts are not negative.")
    total = weights.sum()
    if total == 0:
        return 0.0
    shares = weights[weights > 0] / total
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def area_under_curve(budgets: Sequence[float] | Values, values: Sequence[float] | Values) -> float:
    """Area under `values` over `budgets` by the trapezoid rule, over the span of the budgets: a mean value.

    Raises ValueError unless there are two points or more, as many of each, at increasing budgets.
    """
    x, y = np.asarray(budgets, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise ValueError("A curve has at least two budgets and one value for each.")
    if not (np.diff(x) > 0).all():
        raise ValueError("The budgets of a curve increase.")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def cost_to_reach(costs: Sequence[float], mious: Sequence[float], target: float) -> float:
    """Cost at which a curve first reaches the target, by linear interpolation; infinity where it does not.

    Where the first point is there already, its cost is returned, an upper bound. Raises ValueError unless there is one mIoU for
    each cost and costs do not fall.
    """
    if not costs or len(costs) != len(mious) or any(b < a for a, b in itertools.pairwise(costs)):
        raise ValueError("A curve has at least one cost, none below the one before, and one mIoU for each.")
    for n, (cost, miou) in enumerate(zip(costs, mious, strict=True)):
        if miou >= target:
            if n == 0:
                return cost
            share = (target - mious[n - 1]) / (miou - mious[n - 1])
            return costs[n - 1] + share * (cost - costs[n - 1])
    return math.inf


def _require_classes(counts: NDArray[np.intp], classes: int, *, ignored: bool = True) -> None:
    """Raise ValueError if any of these 256 counts of indices is of no class, nor (where allowed) of IGNORE."""
    if not 1 <= classes <= IGNORE:
        raise ValueError(f"There are 1 to {IGNORE} classes, not {classes}.")
    beyond = np.flatnonzero(counts[classes : IGNORE if ignored else None])
    if beyond.size:
        raise ValueError(f"Class index {classes + int(beyond[0])} is outside the {classes} classes.")
