"""What an import would send, looked at before anything is: every file is read as the service will read it.

Shapes: C classes.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, ClassSet
from service.domain.metrics import class_counts
from service.domain.readings import Reading
from service.pictures import PictureError, look
from workers.datasets.base import MAX_PIXELS, Dataset, DatasetError, Files, ImageSource, Subset

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
    name: str  # as it is sent, with its suffix

    @property
    def labelled(self) -> bool:
        """Whether its label map is sent too, if it has one."""
        return self.split not in UNLABELLED


@dataclass(kw_only=True)
class Plan:
    """What was found. bad: files and what is wrong with them; twins: names of the same picture within a split, sent once; leaks:
    those of the same picture in several splits. pixels_C, images_C, ignored: of the label maps that are sent.
    """

    classes: ClassSet
    entries: list[Entry]
    bad: list[tuple[str, str]] = field(default_factory=list)
    twins: list[tuple[str, ...]] = field(default_factory=list)
    leaks: list[tuple[str, ...]] = field(default_factory=list)
    pixels_C: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    images_C: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: int = 0
    label_maps: int = 0

    @property
    def by_split(self) -> Mapping[str, int]:
        """How many images each split gets."""
        return Counter(entry.split for entry in self.entries)

    @property
    def share_ignored(self) -> float:
        """Of the pixels of label maps; 0 without any."""
        whole = int(self.pixels_C.sum()) + self.ignored
        return self.ignored / whole if whole else 0.0

    def without_bad(self) -> list[Entry]:
        """The entries that nothing is wrong with."""
        names = {name for name, _ in self.bad}
        return [entry for entry in self.entries if f"{entry.split}/{entry.name}" not in names]

    def doubts(self, most_ignored: float) -> list[str]:
        """What a label map's reader has most likely got wrong, in sentences; none where nothing looks so."""
        found = []
        if self.label_maps:
            never = [each.name for each, n in zip(self.classes.classes, self.images_C.tolist(), strict=True) if not n]
            if never:
                found.append(f"No label map holds {', '.join(never)}.")
            if self.share_ignored > most_ignored:
                found.append(
                    f"{self.share_ignored:.0%} of the label maps' pixels are ignored, more than {most_ignored:.0%}: is "
                    f"{self.classes.ignore_id} a class there?"
                )
        return found


def plan_of(
    dataset: Dataset,
    splits: Sequence[str],
    *,
    keep_twins: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Plan:
    """Read every image and every label map that would be sent; `advance` hears of each image."""
    plan = Plan(classes=dataset.classes, entries=_entries(dataset, splits))
    plan.pixels_C, plan.images_C = (np.zeros(len(dataset.classes), np.int64) for _ in range(2))
    digests: dict[str, list[Entry]] = defaultdict(list)
    for entry in plan.entries:
        try:
            _read(plan, entry, digests)
        except (DatasetError, PictureError, OSError, LookupError) as error:
            plan.bad.append((f"{entry.split}/{entry.name}", str(error)))
        advance()
    _find_twins(plan, digests, keep_twins)
    return plan


def _entries(dataset: Dataset, splits: Sequence[str]) -> list[Entry]:
    found = []
    for split in splits:
        source = dataset.splits.get(split)
        for number in range(0 if source is None else len(source)):
            assert source is not None
            path, label = _files_of(source, number)
            name = f"{source.name(number)}{'.png' if path is None else path.suffix}"
            found.append(Entry(split=split, source=source, number=number, path=path, label=label, name=name))
    return found


def _files_of(source: ImageSource, number: int) -> tuple[Path | None, Path | None]:
    """Where an image lies, and its label map; None where they are drawn, or resampled."""
    while isinstance(source, Subset):
        source, number = source.behind(number)
    return source.files(number) if isinstance(source, Files) else (None, None)


def _read(plan: Plan, entry: Entry, digests: dict[str, list[Entry]]) -> None:
    if entry.path is not None:
        data = entry.path.read_bytes()
        look(data, max_pixels=MAX_PIXELS, reading=_reading_of(entry.source, entry.number))
        digests[hashlib.sha256(data).hexdigest()].append(entry)
    if not entry.labelled:
        return
    try:
        indices_HW = entry.source.label_map(entry.number)
    except LookupError:
        return
    counts = class_counts(indices_HW, len(plan.classes))
    plan.pixels_C += counts
    plan.images_C += counts > 0
    plan.ignored += int((indices_HW == IGNORE).sum())
    plan.label_maps += 1


def _reading_of(source: ImageSource, number: int) -> Reading:
    while isinstance(source, Subset):
        source, number = source.behind(number)
    return source.reading if isinstance(source, Files) else Reading()


def _find_twins(plan: Plan, digests: Mapping[str, Sequence[Entry]], keep: bool) -> None:
    gone: set[int] = set()
    for same in digests.values():
        names = tuple(f"{each.split}/{each.name}" for each in same)
        if len({each.split for each in same}) > 1:
            plan.leaks.append(names)
        elif len(same) > 1 and not keep:
            plan.twins.append(names)
            gone |= {id(each) for each in same[1:]}
    plan.entries = [each for each in plan.entries if id(each) not in gone]
