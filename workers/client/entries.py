"""The images of a data set as an import sends them: where each lies, what it is called, how it is read, and its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.domain.readings import Reading
from workers.datasets.base import Dataset, Files, ImageSource, behind
from workers.datasets.formats import Annotated, Drawn

# Splits whose label maps stay here: people give those.
UNLABELLED = ("pool",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An image to send: where it is in its split, and where it lies, if it is a file."""

    split: str
    source: ImageSource
    number: int
    path: Path | None
    label: Path | None
    original: str | None  # the SHA-256 of the file that a service has, where one says so
    name: str  # as it is sent, with its suffix
    reading: Reading

    @property
    def title(self) -> str:
        """Its split and name, as they can be written to any terminal."""
        return f"{self.split}/{self.name}".encode("utf-8", "backslashreplace").decode()

    @property
    def labelled(self) -> bool:
        """Whether its label map is sent too, if it has one."""
        return self.split not in UNLABELLED

    @property
    def label_name(self) -> str:
        """What its label map is called as it is sent: as the image, whatever its file is called."""
        return f"{self.source.name(self.number)}{'.png' if self.label is None else self.label.suffix}"


def entries_of(dataset: Dataset, splits: Sequence[str]) -> list[Entry]:
    """All images of the splits, in their order, unread."""
    found = []
    for split in splits:
        whole = dataset.splits.get(split)
        for number in range(0 if whole is None else len(whole)):
            assert whole is not None
            source, own = behind(whole, number)
            path, label, reading, original, name = None, None, Reading(), None, f"{whole.name(number)}.png"
            if isinstance(source, Files):
                (path, label), reading, name = source.files(own), source.reading_of(own), source.file_name(own)
            if isinstance(source, Annotated):
                original = source.listed[own].original
            found.append(
                Entry(
                    split=split,
                    source=whole,
                    number=number,
                    path=path,
                    label=label,
                    original=original,
                    name=name,
                    reading=reading,
                )
            )
    return found


def drawn_of(entry: Entry) -> Drawn:
    """The labels of an image, all of it where nothing else is known. Raises LookupError where it has none."""
    source, number = behind(entry.source, entry.number)
    if isinstance(source, Annotated):
        return source.drawn(number)
    indices_HW = entry.source.label_map(entry.number)
    return Drawn(indices_HW=indices_HW, labelled_HW=np.ones(indices_HW.shape, np.bool_))
