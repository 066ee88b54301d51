"""Images in files whose labels other tools wrote: what is labelled of each, and how the images are found."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, ClassSet, LabelClass
from service.domain.image_names import image_name
from service.domain.masks import MaskError, decode_png
from service.domain.readings import Reading
from workers.datasets.base import SPLITS, Dataset, DatasetError, Files, Pixels, Subset
from workers.datasets.files import MAX_LABEL_PIXELS, files_below

Covered = NDArray[np.bool_]
POOL = "pool"
# What others call their splits; gains are measured on what they validate on.
OTHER_SPLITS = {"train": "train", "training": "train", "val": "reward", "valid": "reward", "validation": "reward"}
OTHER_SPLITS |= {"test": "test", "testing": "test", **{split: split for split in SPLITS}}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatReading:
    """How another tool's files are read. split: of images for which the files say none, `pool` if it is not said; rest: the class
    of pixels that are in no shape, which have no label if it is not said. images: how their files are read.
    """

    split: str = ""
    rest: str = ""
    images: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        if self.split and self.split not in SPLITS:
            raise ValueError(f"There is no split {self.split!r}; there are {', '.join(SPLITS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Labels of an image: class indices (uint8, height x width, IGNORE for void and unlabelled pixels), and what is labelled."""

    indices_HW: Pixels
    labelled_HW: Covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An image as a tool lists it. draw: its labels, None if it has none; raises DatasetError for those that cannot be read.

    path: None where its file did not come along, and then `original`, the SHA-256 of the file that a service has, says which it
    is. origins: regions that it was labelled in, and by whom, as the service takes them.
    """

    name: str  # with suffix
    path: Path | None
    draw: Callable[[], Drawn | None]
    split: str = ""
    size: tuple[int, int] | None = None
    original: str | None = None
    origins: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


class Annotated(Files):
    """An ImageSource of listed images."""

    def __init__(self, listed: Sequence[Listed], reading: Reading | None = None) -> None:
        """Raises DatasetError for two images of one name."""
        self.listed = list(listed)
        _require_different([each.name for each in listed])
        pairs = [(_stem(each.name), each.path or Path(each.name), None) for each in listed]
        super().__init__(pairs, _unread, reading)

    def files(self, number: int) -> tuple[Path | None, Path | None]:
        return self.listed[number].path, None

    def file_name(self, number: int) -> str:
        return self.listed[number].name

    def label_map(self, number: int) -> Pixels:
        return self.drawn(number).indices_HW

    def drawn(self, number: int) -> Drawn:
        """The labels of an image. Raises LookupError where it has none, DatasetError for one of another size."""
        each = self.listed[number]
        drawn = each.draw()
        if drawn is None:
            raise LookupError(f"Image {each.name} has no label map.")
        size = each.size if each.path is None else self.size(number)
        if size is not None and drawn.indices_HW.shape != size:
            found, wanted = (f"{height} x {width}" for height, width in (drawn.indices_HW.shape, size))
            raise DatasetError(f"The labels of {each.name} are {found} pixels high and wide, the image {wanted}.")
        return drawn


def _unread(path: Path) -> Pixels:
    raise LookupError(f"{path} is no label map: labels are drawn.")


def dataset_of(
    root: Path,
    classes: ClassSet,
    listed: Sequence[Listed],
    how: FormatReading,
    *,
    notes: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """Images in the splits that are said of them, else in that of the reading, which a sentence says. Raises DatasetError."""
    if not listed:
        raise DatasetError(f"There is no image in {root} that the files speak of.")
    source, splits = Annotated(listed, how.images), dict[str, list[int]]()
    _require_own_files(source.listed)
    for number, each in enumerate(listed):
        splits.setdefault(each.split or how.split or POOL, []).append(number)
    # Label maps that come with images are called as those are but for the suffix.
    _require_different([source.name(n) for split, numbers in splits.items() if split != POOL for n in numbers])
    notes = list(notes)
    if not how.split and any(not each.split for each in listed):
        notes.append("Images of no split are for the pool; choose another split with --split.")
    return Dataset(
        name=root.resolve().name,
        classes=classes,
        splits={split: Subset(source, numbers) for split, numbers in splits.items()},
        notes=tuple(notes),
        settings=settings or {},
    )


def class_set(names: Sequence[str], colors: Sequence[tuple[int, int, int] | None], rest: str, told: Path) -> ClassSet:
    """Classes 0, 1, ... by name, and one for the rest, if it is none of them. Raises DatasetError naming the file that `told`."""
    all_names, all_colors = list(names), list(colors)
    if rest and rest not in all_names:
        all_names.append(rest)
        all_colors.append(None)
    if len(all_names) == 1:
        raise DatasetError(
            f"{told} has the class {all_names[0]} alone, and two are needed: name that of other pixels with --rest background."
        )
    try:
        classes = [
            LabelClass(id=place, name=name, color=color or voc_color(place + 1))
            for place, (name, color) in enumerate(zip(all_names, all_colors, strict=True))
        ]
        return ClassSet(classes=tuple(classes))
    except ValueError as error:
        raise DatasetError(f"{told}: {error}") from error


def voc_color(number: int) -> tuple[int, int, int]:
    """The color that Pascal VOC's development kit (VOClabelcolormap.m) gives to a number."""
    red = green = blue = 0
    for bit in range(8):
        red |= (number >> 3 * bit & 1) << 7 - bit
        green |= (number >> 3 * bit + 1 & 1) << 7 - bit
        blue |= (number >> 3 * bit + 2 & 1) << 7 - bit
    return red, green, blue


def covered_by(root: Path, stem: str, size: tuple[int, int]) -> Covered | None:
    """What labelled/NAME.png, as exports have it, says is labelled; None without the file. Raises DatasetError."""
    path = root / "labelled" / f"{stem}.png"
    if not path.is_file():
        return None
    try:
        mask_HW = decode_png(path.read_bytes(), max_pixels=MAX_LABEL_PIXELS)
    except (OSError, MaskError) as error:
        raise DatasetError(f"{path}: {error}") from error
    if mask_HW.shape != size:
        raise DatasetError(f"{path} is {mask_HW.shape} pixels high and wide, the labels {size}.")
    return np.asarray(mask_HW != 0)


def within(drawn: Drawn, covered_HW: Covered | None) -> Drawn:
    """The same where what is labelled is known: pixels of it that are in no shape are void."""
    if covered_HW is None:
        return drawn
    indices_HW = np.where(covered_HW, drawn.indices_HW, np.uint8(IGNORE))
    return Drawn(indices_HW=indices_HW, labelled_HW=covered_HW)


class Finder:
    """Finds images below a folder by what a file calls them, and never outside."""

    def __init__(self, root: Path, folders: Sequence[str] = ("images", "")) -> None:
        self._root, self._folders = root, folders
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The file: in one of the folders by its path, or the only one of its name, which is of no other folders than those that
        it is listed in; else a path where there is nothing.

        Raises DatasetError for a name that leads outside.
        """
        try:
            plain = image_name(name)
        except ValueError as error:
            raise DatasetError(f"{self._root}: {error}") from error
        for folder in self._folders:
            path = self._root / folder / plain
            if path.is_file() and path.resolve().is_relative_to(self._root.resolve()):
                return path
        if self._by_name is None:
            self._by_name = {}
            for path in files_below(self._root):
                self._by_name.setdefault(path.name, []).append(path)
        same = [path for path in self._by_name.get(plain.rpartition("/")[2], []) if self._may_be(path, plain)]
        return same[0] if len(same) == 1 else self._root / self._folders[0] / plain

    def _may_be(self, path: Path, name: str) -> bool:
        parts, wanted = path.relative_to(self._root).parts, PurePosixPath(name).parts
        if "labelled" in parts:
            return False
        # A file of another patient's folder is another picture, whatever it is called.
        shorter = [
            parts[len(PurePosixPath(folder).parts) :]
            for folder in self._folders
            if path.is_relative_to(self._root / folder)
        ]
        return len(wanted) == 1 or any(_ends_with(parts, wanted) or _ends_with(wanted, each) for each in shorter)


def _ends_with(parts: Sequence[str], end: Sequence[str]) -> bool:
    return len(end) <= len(parts) and tuple(parts[len(parts) - len(end) :]) == tuple(end)


def _require_own_files(listed: Sequence[Listed]) -> None:
    """Raises DatasetError for two names that were found to be one file."""
    names: dict[Path, str] = {}
    for each in listed:
        if each.path is not None and (first := names.setdefault(each.path, each.name)) != each.name:
            raise DatasetError(
                f"Both {first} and {each.name} would be the file {each.path}: each image has one of its own."
            )


def _require_different(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DatasetError(f"Several images are called {min(twice)}; image names must differ.")


def split_named(name: str) -> str:
    """The split that a word in another tool's name for one stands for, none where there is none: `instances_val2017`."""
    words = "".join(letter if letter.isalpha() else " " for letter in name.lower()).split()
    return next((OTHER_SPLITS[word] for word in words if word in OTHER_SPLITS), "")


def _stem(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.rpartition('.')[0] or file}"
