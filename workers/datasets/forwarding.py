"""Sources that show another one otherwise: at a size, out of a cache, with some of its classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from service.domain.classes import IGNORE
from workers.datasets.base import ImageSource, Pixels
from workers.datasets.decoded import DecodedCache


class Forwarding:
    """A source that is another one; subclasses change what they are about."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def name(self, number: int) -> str:
        return self._source.name(number)

    def size(self, number: int) -> tuple[int, int]:
        return self._source.size(number)

    def digest(self, number: int) -> str:
        return self._source.digest(number)

    def image(self, number: int) -> Pixels:
        return self._source.image(number)

    def label_map(self, number: int) -> Pixels:
        return self._source.label_map(number)


class Resized(Forwarding):
    """A source at another size: images are averaged down, label maps take the nearest pixel."""

    def __init__(self, source: ImageSource, height: int, width: int) -> None:
        super().__init__(source)
        self._size = (height, width)

    def size(self, number: int) -> tuple[int, int]:
        return self._size

    def digest(self, number: int) -> str:
        return f"{self._source.digest(number)}-{self._size[0]}x{self._size[1]}"

    def image(self, number: int) -> Pixels:
        return self._resample(self._source.image(number), Image.Resampling.BOX)

    def label_map(self, number: int) -> Pixels:
        return self._resample(self._source.label_map(number), Image.Resampling.NEAREST)

    def _resample(self, pixels: Pixels, how: Image.Resampling) -> Pixels:
        height, width = self._size
        if pixels.shape[:2] == self._size:
            return pixels
        return np.asarray(Image.fromarray(pixels).resize((width, height), how))


class Cached(Forwarding):
    """A source that keeps what it decoded: in a cache of its own, or under `name` in one that outlives it."""

    def __init__(self, source: ImageSource, kept: DecodedCache[Pixels] | None = None, name: str = "") -> None:
        super().__init__(source)
        self._kept: DecodedCache[Pixels] = kept or DecodedCache()
        self._prefix = name

    def image(self, number: int) -> Pixels:
        return self._kept.get(f"{self._prefix} image {number}", lambda: self._source.image(number))

    def label_map(self, number: int) -> Pixels:
        return self._kept.get(f"{self._prefix} labels {number}", lambda: self._source.label_map(number))


class SomeClasses(Forwarding):
    """A source with some of its classes alone, numbered anew in the order given; pixels of others are unlabelled."""

    def __init__(self, source: ImageSource, kept: Sequence[int]) -> None:
        super().__init__(source)
        self._places = np.full(256, IGNORE, np.uint8)
        self._places[list(kept)] = np.arange(len(kept))

    def label_map(self, number: int) -> Pixels:
        return self._places[self._source.label_map(number)]
