"""Street scenes as image sources and as a data set with the splits of an experiment."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from service.domain.classes import CAMVID
from workers.datasets.base import Dataset, ImageSource, Pixels
from workers.datasets.streets.scene import draw_scene, plan_scene
from workers.datasets.streets.style import STYLES

STRIDE = 1_000_000  # scene numbers set apart for each split
KEPT = 8  # drawn scenes that a source remembers: an image and its label map are mostly asked for together
SPLIT_STYLES = {"source": "day", "state": "dusk", "train": "dusk", "reward": "dusk", "pool": "dusk", "test": "dusk"}
DEFAULT_COUNTS = {"source": 800, "state": 10, "train": 60, "reward": 40, "pool": 200, "test": 60}


class Streets:
    """Scenes 0 to count-1 of a seed and a style. Scene n is the same whatever was drawn before, and at any size."""

    def __init__(
        self, count: int, seed: int, height: int = 360, width: int = 480, style: str = "day", *, first: int = 0
    ) -> None:
        """Scene 0 here is the seed's scene `first`.

        Raises ValueError for an unknown style, a negative count or seed, or a size without pixels.
        """
        if style not in STYLES:
            raise ValueError(f"There is no street style {style!r}; there are {', '.join(STYLES)}.")
        if count < 0 or seed < 0:
            raise ValueError(f"The count and seed of street scenes cannot be negative, got {count} and {seed}.")
        if height < 1 or width < 1:
            raise ValueError(f"Street scenes need a height and width of at least one pixel, got {height} x {width}.")
        self._first = first
        self._count, self._seed, self._height, self._width = count, seed, height, width
        self._style = STYLES[style]
        self._kept: OrderedDict[int, tuple[Pixels, Pixels]] = OrderedDict()
        self._digests: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def name(self, number: int) -> str:
        """Style, seed and number."""
        return f"{self._style.name}_{self._seed}_{self._first + self._index(number):07d}"

    def size(self, number: int) -> tuple[int, int]:
        """(height, width), the same for all."""
        self._index(number)
        return self._height, self._width

    def digest(self, number: int) -> str:
        """Of the drawn pixels: how scenes are drawn may change."""
        if number not in self._digests:
            self._digests[number] = hashlib.sha256(self.image(number).tobytes()).hexdigest()
        return self._digests[number]

    def image(self, number: int) -> Pixels:
        """The photograph, uint8, height x width x 3."""
        return self._drawn(number)[0]

    def label_map(self, number: int) -> Pixels:
        """Indices into CAMVID, uint8, height x width; IGNORE for what is in no class."""
        return self._drawn(number)[1]

    def _index(self, number: int) -> int:
        if not 0 <= number < self._count:
            raise IndexError(f"There is no scene {number} among {self._count}.")
        return number

    def _drawn(self, number: int) -> tuple[Pixels, Pixels]:
        key = self._index(number)
        if key not in self._kept:
            scene = plan_scene(self._style, np.random.default_rng([self._seed, self._first + key]))
            drawn = draw_scene(scene, self._height, self._width)
            for pixels in drawn:
                pixels.flags.writeable = False  # what a caller changed here would be another caller's scene
            self._kept[key] = drawn
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def streets_dataset(
    seed: int = 0, height: int = 360, width: int = 480, counts: Mapping[str, int] | None = None
) -> Dataset:
    """Splits of scenes that never share one: `source` to pre-train on, in another style than the five of the target.

    `counts` says how many images each split has, the rest as in DEFAULT_COUNTS. Raises ValueError for an unknown split.
    """
    wanted = {**DEFAULT_COUNTS, **(counts or {})}
    unknown = sorted(set(wanted) - set(SPLIT_STYLES))
    if unknown:
        raise ValueError(f"Streets have no split {', '.join(unknown)}; there are {', '.join(SPLIT_STYLES)}.")
    splits: dict[str, ImageSource] = {
        split: Streets(wanted[split], seed, height, width, style, first=STRIDE * position)
        for position, (split, style) in enumerate(SPLIT_STYLES.items())
    }
    return Dataset(name="streets", classes=CAMVID, splits=splits)
