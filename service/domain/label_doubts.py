"""What label maps hold, and what is most likely wrong with those that can be read.

Shapes: C classes.
"""

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet

SAY_HOW = (
    "If label maps hold other values than class ids, say how they are read (--binary, --map 255=1, --colors); if all is as it "
    "should be, go on with --anyway."
)


class Census:
    """Counts of label maps: pixels of each class, maps that hold it, and pixels that are ignored."""

    def __init__(self, classes: ClassSet) -> None:
        self.classes = classes
        self.pixels_C, self.images_C = (np.zeros(len(classes), np.int64) for _ in range(2))
        self.ignored = 0

    def add(self, counts_C: NDArray[np.int64], ignored: int) -> None:
        """Take a label map in, by its pixels of each class, (C,), and the number of those that are ignored."""
        self.pixels_C += counts_C
        self.images_C += counts_C > 0
        self.ignored += ignored

    @property
    def pixels(self) -> int:
        """All of them, ignored ones too."""
        return int(self.pixels_C.sum()) + self.ignored

    @property
    def share_ignored(self) -> float:
        """Of all pixels; 0 without any."""
        return self.ignored / max(1, self.pixels)

    def missing_classes(self) -> list[str]:
        """A sentence where classes are in no label map, else none."""
        pairs = zip(self.classes.classes, self.images_C.tolist(), strict=True)
        never = [each.name for each, images in pairs if not images]
        return [f"No label map holds {', '.join(never)}."] if never else []

    def too_much_ignored(self, most: float) -> list[str]:
        """A sentence where a larger share of pixels is ignored than should be at most, else none."""
        if self.share_ignored <= most:
            return []
        return [
            f"{self.share_ignored:.0%} of the label maps' pixels are ignored, more than {most:.0%}: is "
            f"{self.classes.ignore_id} a class there?"
        ]
