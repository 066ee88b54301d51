"""What a dataset is to the rest of the project: named splits of images with label maps."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet
from service.domain.masks import MaskError
from service.domain.readings import Reading
from service.pictures import PictureError, Shape, fitted, pixels_of, shape_of

Pixels = NDArray[np.uint8]
SPLITS = ("state", "train", "reward", "pool", "test")
MAX_PIXELS = 1 << 28
SOURCE = "source"  # the split of a source domain to pre-train on; data sets may lack it


class DatasetError(ValueError):
    """A data set that cannot be read: a sentence with the path and what was expected there."""


class FileWrong(DatasetError):
    """One file is not what it should be: its path, and why, which may be so of many. Its arguments are both."""

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


class ImageWrong(FileWrong):
    """An image file cannot be read: its path, and why."""

    def __str__(self) -> str:
        return "{} cannot be read as an image: {}".format(*self.args)


class ImageSource(Protocol):
    """A sequence of images, numbered from 0, with label maps of class indices."""

    def __len__(self) -> int: ...

    def name(self, number: int) -> str:
        """The image's name, unique in its dataset."""

    def size(self, number: int) -> tuple[int, int]:
        """(height, width) in pixels, without decoding the image."""

    def digest(self, number: int) -> str:
        """Names the image's pixels: images with other pixels have other digests. Letters, digits, "-" and "_" alone."""

    def image(self, number: int) -> Pixels:
        """RGB pixels, uint8, height x width x 3, perhaps read-only."""

    def label_map(self, number: int) -> Pixels:
        """Class indices, uint8, height x width, IGNORE where unlabelled; perhaps read-only.

        Raises LookupError where there is no label map.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Classes and named splits: state D_S, train D_T, reward D_R, pool D_V, test, perhaps source to pre-train on.

    left_out: files among the images that were taken for none, and not looked at. notes: sentences of how it was read; settings:
    those that a project of it has, if nothing else is said.
    """

    name: str
    classes: ClassSet
    splits: Mapping[str, ImageSource]
    left_out: Sequence[Path] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Files:
    """Images and label maps in files, decoded when asked for."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, Path, Path | None]],
        read_labels: Callable[[Path], Pixels],
        reading: Reading | None = None,
    ) -> None:
        """`pairs` holds (name, image path, label map path or None); `read_labels` gives class indices."""
        self._pairs = list(pairs)
        self._read_labels = read_labels
        self.reading = reading or Reading()
        self._digests: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, number: int) -> str:
        return self._pairs[number][0]

    def files(self, number: int) -> tuple[Path | None, Path | None]:
        """Where the image lies, and its label map."""
        return self._pairs[number][1:]

    def reading_of(self, number: int) -> Reading:
        """How the image's file is read."""
        return self.reading

    def file_name(self, number: int) -> str:
        """The image's name with its suffix."""
        return f"{self.name(number)}{self._pairs[number][1].suffix}"

    def size(self, number: int) -> tuple[int, int]:
        shape = self._shape(number)
        return shape.height, shape.width

    def digest(self, number: int) -> str:
        if number not in self._digests:
            whole = hashlib.sha256(self._pairs[number][1].read_bytes())
            if self.reading_of(number) != Reading():
                whole.update(repr(self.reading_of(number)).encode())
            self._digests[number] = whole.hexdigest()
        return self._digests[number]

    def image(self, number: int) -> Pixels:
        return read_rgb(self._pairs[number][1], self.reading_of(number))

    def label_map(self, number: int) -> Pixels:
        path = self._pairs[number][2]
        if path is None:
            raise LookupError(f"Image {self.name(number)} has no label map.")
        try:
            return fitted(self._values(number, path), self._shape(number))
        except MaskError as error:
            raise FileWrong(path, error.message) from error

    def _values(self, number: int, path: Path) -> Pixels:
        return self._read_labels(path)

    def _shape(self, number: int) -> Shape:
        path = self._pairs[number][1]
        try:
            return shape_of(path, self.reading_of(number))
        except (OSError, PictureError) as error:
            raise ImageWrong(path, str(error)) from error


def read_rgb(path: Path, reading: Reading | None = None) -> Pixels:
    """What is seen of an image file: upright, RGB, uint8, height x width x 3. Raises DatasetError for what is no image."""
    try:
        return pixels_of(path.read_bytes(), max_pixels=MAX_PIXELS, reading=reading or Reading())
    except (OSError, PictureError) as error:
        raise ImageWrong(path, str(error)) from error


class Subset:
    """Some images of a source, in the order given."""

    def __init__(self, source: ImageSource, numbers: Sequence[int]) -> None:
        self._source = source
        self._numbers = list(numbers)

    def behind(self, number: int) -> tuple[ImageSource, int]:
        """The source that the image is of, and its number there."""
        return self._source, self._numbers[number]

    def __len__(self) -> int:
        return len(self._numbers)

    def name(self, number: int) -> str:
        return self._source.name(self._numbers[number])

    def size(self, number: int) -> tuple[int, int]:
        return self._source.size(self._numbers[number])

    def digest(self, number: int) -> str:
        return self._source.digest(self._numbers[number])

    def image(self, number: int) -> Pixels:
        return self._source.image(self._numbers[number])

    def label_map(self, number: int) -> Pixels:
        return self._source.label_map(self._numbers[number])


class Joined:
    """Sources one after the other, numbered through."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self._places = [(source, number) for source in sources for number in range(len(source))]

    def __len__(self) -> int:
        return len(self._places)

    def behind(self, number: int) -> tuple[ImageSource, int]:
        """The source that the image is of, and its number there."""
        return self._places[number]

    def name(self, number: int) -> str:
        source, own = self.behind(number)
        return source.name(own)

    def size(self, number: int) -> tuple[int, int]:
        source, own = self.behind(number)
        return source.size(own)

    def digest(self, number: int) -> str:
        source, own = self.behind(number)
        return source.digest(own)

    def image(self, number: int) -> Pixels:
        source, own = self.behind(number)
        return source.image(own)

    def label_map(self, number: int) -> Pixels:
        source, own = self.behind(number)
        return source.label_map(own)


def behind(source: ImageSource, number: int) -> tuple[ImageSource, int]:
    """The source that an image is of, behind all choices and joins of images, and its number there."""
    while isinstance(source, Subset | Joined):
        source, number = source.behind(number)
    return source, number
