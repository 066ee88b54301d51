"""What generated data sets have in common: pairs of image and label map, drawn by number when asked for."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping

from workers.datasets.base import Pixels

KEPT = 8  # drawn pairs that a source remembers: an image and its label map are mostly asked for together
STRIDE = 1_000_000  # numbers set apart for each split


def counts_of(what: str, defaults: Mapping[str, int], counts: Mapping[str, int] | None) -> dict[str, int]:
    """How many images each split has, the rest as in `defaults`. Raises ValueError for a split that is not there."""
    if unknown := sorted(set(counts or {}) - set(defaults)):
        raise ValueError(f"{what} have no split {', '.join(unknown)}; there are {', '.join(defaults)}.")
    return {**defaults, **(counts or {})}


class Drawn:
    """Scenes 0 to count-1, numbered from `first` on where they are drawn. Scene n is the same whatever was drawn before."""

    def __init__(
        self,
        count: int,
        size: tuple[int, int],
        draw: Callable[[int], tuple[Pixels, Pixels]],
        *,
        prefix: str,
        first: int = 0,
    ) -> None:
        """`draw` gives the image and the label map of a number, by that number alone, in arrays that are nobody else's.

        Raises ValueError for a count below 0 or above STRIDE, and for no pixels.
        """
        if not 0 <= count <= STRIDE:
            raise ValueError(f"The count of drawn scenes cannot be negative, or above {STRIDE:,}; got {count}.")
        if min(size) < 1:
            raise ValueError(f"Drawn scenes need a height and width of at least one pixel, got {size[0]} x {size[1]}.")
        self._count, self._size, self._draw, self._prefix, self._first = count, size, draw, prefix, first
        self._kept: OrderedDict[int, tuple[Pixels, Pixels]] = OrderedDict()
        self._digests: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def name(self, number: int) -> str:
        """What they are scenes of, and the number."""
        return f"{self._prefix}_{self._first + self._index(number):07d}"

    def size(self, number: int) -> tuple[int, int]:
        """(height, width), the same for all."""
        self._index(number)
        return self._size

    def digest(self, number: int) -> str:
        """Of the drawn pixels: how scenes are drawn may change."""
        if number not in self._digests:
            self._digests[number] = hashlib.sha256(self.image(number).tobytes()).hexdigest()
        return self._digests[number]

    def image(self, number: int) -> Pixels:
        """The photograph, uint8, height x width x 3."""
        return self._pair(number)[0]

    def label_map(self, number: int) -> Pixels:
        """Class indices, uint8, height x width; IGNORE for what is in no class."""
        return self._pair(number)[1]

    def _index(self, number: int) -> int:
        if not 0 <= number < self._count:
            raise IndexError(f"There is no scene {number} among {self._count}.")
        return number

    def _pair(self, number: int) -> tuple[Pixels, Pixels]:
        key = self._index(number)
        if key not in self._kept:
            drawn = self._draw(self._first + key)
            for pixels in drawn:
                pixels.flags.writeable = False  # what a caller changed here would be another caller's scene
            self._kept[key] = drawn
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]
