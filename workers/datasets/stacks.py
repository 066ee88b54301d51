"""Image files of which some are stacks, TIFFs of several pages: their first pages as images, or all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from service.domain.classes import ClassSet
from service.domain.label_readings import LabelReading
from service.domain.pages import MOST_PAGES, PagesTaken, count_pages
from service.domain.readings import Reading
from workers.datasets.base import DatasetError, Files, Pixels
from workers.datasets.files import read_indices

Pair = tuple[str, Path, Path | None]
_STACKS = (".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An image: its name, its file and its label map's, and which page of each where they have several."""

    name: str
    path: Path
    label: Path | None
    page: int | None = None
    label_page: int | None = None


class Stacks(Files):
    """Images in files, the pages of a stack one after the other; without `taken` stacks are refused when they are read.

    A page is called like its file with /page-0001 behind it, the first one so; where the first alone is taken, like its file.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        classes: ClassSet,
        *,
        images: Reading,
        label_maps: LabelReading,
        taken: PagesTaken | None = None,
    ) -> None:
        """Raises DatasetError, naming all, for stacks whose label maps have other numbers of pages."""
        pages_F = _pages_of(pairs, taken)
        self._pages = [page for pages in pages_F for page in pages]
        ends = np.cumsum([0, *(len(pages) for pages in pages_F)]).tolist()
        self._numbers_F = [range(start, end) for start, end in pairwise(ends)]
        self._stacks = {pair[0]: each for pair, each in zip(pairs, self._numbers_F, strict=True) if len(each) > 1}
        self._classes, self._label_maps = classes, label_maps
        super().__init__(
            [(each.name, each.path, each.label) for each in self._pages],
            lambda path: read_indices(path, classes, label_maps),
            images,
        )

    @property
    def stacked(self) -> bool:
        """Whether any file is more than one image."""
        return bool(self._stacks)

    def reading_of(self, number: int) -> Reading:
        page = self._pages[number].page
        return self.reading if page is None else replace(self.reading, page=page)

    def numbers(self, files: Sequence[int]) -> list[int]:
        """The images of some files, by the files' numbers."""
        return [number for file in files for number in self._numbers_F[file]]

    def spelled_out(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Lists of names in which that of a stack stands for all its pages, as lists of images' names."""

        def images(name: str) -> list[str]:
            return [self.name(number) for number in self._stacks[name]] if name in self._stacks else [name]

        return {split: [image for name in names for image in images(name)] for split, names in wanted.items()}

    def labels_of_file(self, file: int) -> Pixels:
        """The label maps of a file's images in one row: uint8, class indices. Raises what `label_map` raises."""
        return np.concatenate([self.label_map(number).ravel() for number in self._numbers_F[file]])

    def _values(self, number: int, path: Path) -> Pixels:
        return read_indices(path, self._classes, replace(self._label_maps, page=self._pages[number].label_page))


def pages_in(path: Path) -> int:
    """How many pages a TIFF has, one beyond MOST_PAGES at most; 1 for all else, and for what whoever reads it will refuse."""
    if path.suffix.lower() not in _STACKS:
        return 1
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            return count_pages(image)
    except Exception:  # decoders of untrusted bytes fail in more ways than they document
        return 1


def _pages_of(pairs: Sequence[Pair], taken: PagesTaken | None) -> list[list[Page]]:
    """The images of each file."""
    found, unlike = list[list[Page]](), list[str]()
    for name, path, label in pairs:
        count = 1 if taken is None else pages_in(path)
        labels = 1 if count == 1 or label is None else pages_in(label)
        if count == 1:
            found.append([Page(name=name, path=path, label=label)])
        elif taken == "first":
            found.append([Page(name=name, path=path, label=label, page=0, label_page=0 if labels > 1 else None)])
        elif count > MOST_PAGES:
            raise DatasetError(
                f"{path} has more than {MOST_PAGES:,} pages: divide it, or take the first (--pages first)."
            )
        else:
            if label is not None and labels != count:
                unlike.append(f"{label} has {labels}, {path} {count}")
            found.append(
                [
                    Page(name=f"{name}/page-{page + 1:04d}", path=path, label=label, page=page, label_page=page)
                    for page in range(count)
                ]
            )
    if unlike:
        more = f"; and {len(unlike) - 5} more" if len(unlike) > 5 else ""
        raise DatasetError(
            f"A stack's label map has as many pages as the stack: {'; '.join(unlike[:5])}{more}. Mend them, or take first pages "
            "alone (--pages first)."
        )
    return found
