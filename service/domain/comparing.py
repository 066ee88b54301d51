"""Label maps held against each other: intersections and unions by class, and the figures that are pooled from many of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import LabelMap

# Shapes: H, W height and width of a label map of class ids.

Overlaps = Mapping[int, tuple[int, int]]
"""By class id the pixels of both maps, and those of either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How two label maps of a region agree. `miou` and `pixel_accuracy` are in [0, 1]."""

    by_class: Overlaps
    miou: float
    pixel_accuracy: float


def against_truth(label_HW: LabelMap, truth_HW: LabelMap, void: int) -> Compared | None:
    """A label held against the truth. Pixels whose truth is `void` are left out; `void` elsewhere is a miss of its class.

    None where no pixel is left.
    """
    return _compared(label_HW, truth_HW, truth_HW != void, void)


def between(label_HW: LabelMap, other_HW: LabelMap, void: int) -> Compared | None:
    """The labels of two people, in any order. Pixels that either has left `void` are left out. None where no pixel is left."""
    return _compared(label_HW, other_HW, (label_HW != void) & (other_HW != void), void)


def _compared(label_HW: LabelMap, other_HW: LabelMap, counted_HW: NDArray[np.bool_], void: int) -> Compared | None:
    if label_HW.shape != other_HW.shape:
        raise ValueError(f"Label maps of {label_HW.shape} and {other_HW.shape} differ in shape.")
    label_N, other_N = label_HW[counted_HW], other_HW[counted_HW]
    if not label_N.size:
        return None
    both = np.bincount(label_N[label_N == other_N], minlength=256)
    either = np.bincount(label_N, minlength=256) + np.bincount(other_N, minlength=256) - both
    either[void] = 0
    by_class = {int(id): (int(both[id]), int(either[id])) for id in np.flatnonzero(either)}
    return Compared(by_class=by_class, miou=mean_iou(by_class), pixel_accuracy=float(both.sum() / label_N.size))


def mean_iou(by_class: Overlaps) -> float:
    """The mean over the classes of intersection over union; classes that are nowhere are left out. NaN without any."""
    values = [both / either for both, either in by_class.values() if either]
    return float(np.mean(values)) if values else float("nan")


@dataclass(slots=True)
class Pooled:
    """Figures of many comparisons: intersections and unions are summed before they are divided; means are over comparisons."""

    sums: dict[int, tuple[int, int]] = field(default_factory=dict)
    regions: dict[int, int] = field(default_factory=dict)
    """By class id the comparisons in which it is."""
    mious: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, compared: Iterable[Compared]) -> Self:
        """All of these."""
        pooled = cls()
        for each in compared:
            pooled.add(each)
        return pooled

    def add(self, compared: Compared) -> None:
        """One more."""
        for id, (both, either) in compared.by_class.items():
            before = self.sums.get(id, (0, 0))
            self.sums[id] = (before[0] + both, before[1] + either)
            self.regions[id] = self.regions.get(id, 0) + 1
        self.mious.append(compared.miou)
        self.accuracies.append(compared.pixel_accuracy)

    @property
    def count(self) -> int:
        """How many comparisons there are."""
        return len(self.mious)

    @property
    def miou(self) -> float | None:
        """The mean over classes of the pooled IoU; None without a comparison."""
        return mean_iou(self.sums) if self.sums else None

    @property
    def mean_miou(self) -> float | None:
        """The mean of the comparisons' own mIoU; None without one."""
        return float(np.mean(self.mious)) if self.mious else None

    @property
    def pixel_accuracy(self) -> float | None:
        """The mean of the comparisons' share of pixels that agree; None without one."""
        return float(np.mean(self.accuracies)) if self.accuracies else None

    def iou(self, id: int) -> float | None:
        """The pooled IoU of a class; None where it is nowhere."""
        both, either = self.sums.get(id, (0, 0))
        return both / either if either else None
