"""What an import would send, looked at before anything is: every file is read as the service will read it.

Shapes: C classes.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, ClassSet
from service.domain.image_names import image_name
from service.domain.label_doubts import Census
from service.domain.metrics import class_counts
from service.domain.readings import Reading
from service.domain.usable import LABELLED_SPLITS, require_usable
from service.pictures import PictureError, pixels_of
from service.settings import Settings
from workers.datasets.base import Dataset, DatasetError, Files, ImageSource, behind
from workers.datasets.formats import Annotated, Drawn

# Splits whose label maps stay here: people give those.
UNLABELLED = ("pool",)
STACK = "It has several pages: take each as an image (--pages all), or the first alone (--pages first)."
# Splits that are of no use without label maps.
MEASURED = ("reward", "test")
# What a service takes unless it is set otherwise.
MOST_BYTES: int = Settings.model_fields["max_image_bytes"].default
MOST_PIXELS: int = Settings.model_fields["max_image_pixels"].default


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


@dataclass(kw_only=True)
class Plan:
    """What was found. bad: files and what is wrong with them, which are no entries; left_out: those that were taken for no
    images; twins: names of the same picture in a split, sent once; at_odds: those of them that have other labels than the one
    that is sent; leaks: names of the same picture in several splits.
    census: of the label maps that are sent, measured_maps of them not of the pool; void: names of those without a labelled
    pixel; bare: images of splits that need label maps, and have none.
    """

    census: Census
    entries: list[Entry]
    bad: list[tuple[str, str]] = field(default_factory=list)
    twins: list[tuple[str, ...]] = field(default_factory=list)
    at_odds: list[tuple[str, str]] = field(default_factory=list)
    leaks: list[tuple[str, ...]] = field(default_factory=list)
    left_out: Sequence[Path] = ()
    label_maps: int = 0
    measured_maps: int = 0
    void: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)

    @property
    def by_split(self) -> Mapping[str, int]:
        """How many images each split gets."""
        return Counter(entry.split for entry in self.entries)

    @property
    def classes(self) -> ClassSet:
        """Those of the data set."""
        return self.census.classes

    def useless(self) -> list[str]:
        """Of `bare` and `void` those that no service takes."""
        return [*self.void, *(each for each in self.bare if each.partition("/")[0] in LABELLED_SPLITS)]

    def doubts(self, most_ignored: float) -> list[str]:
        """What is most likely wrong with label maps, in sentences; none where nothing looks so."""
        found = [
            f"{names[0]} {said}" + (f", and {len(names) - 1} more." if len(names) > 1 else ".")
            for names, said in (
                (self.bare, "has no label map, and is to be measured on"),
                (self.void, "has a label map without a labelled pixel"),
            )
            if names
        ]
        if self.measured_maps:
            found += self.census.missing_classes()
        return found + self.census.too_much_ignored(most_ignored)


def plan_of(
    dataset: Dataset,
    splits: Sequence[str],
    *,
    keep_twins: bool = False,
    pool_labels: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Plan:
    """Read every image and every label map that would be sent, also `pool_labels`; `advance` hears of each image."""
    plan = Plan(census=Census(dataset.classes), entries=entries_of(dataset, splits), left_out=dataset.left_out)
    read = list[_Read]()
    for entry in plan.entries:
        try:
            read.append(_read(entry, len(plan.classes), pool_labels))
        except (DatasetError, PictureError, OSError, ValueError) as error:
            stack = isinstance(error, PictureError) and error.code == "several_pages"
            plan.bad.append((entry.title, STACK if stack else str(error)))
        advance()
    kept = _without_twins(plan, read, keep_twins)
    _count(plan, kept)
    plan.entries = [each.entry for each in kept]
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was found of an entry: what its page and its labels are known by, and these' pixels by class, and ignored ones."""

    entry: Entry
    digest: str | None
    labels: str | None
    counts_C: NDArray[np.int64] | None
    ignored: int


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


def _read(entry: Entry, classes: int, pool_labels: bool) -> _Read:
    """Raises what is wrong with the files or the name."""
    image_name(entry.name)
    digest = None
    if entry.path is not None:
        if not entry.path.is_file():
            raise DatasetError(f"There is no file {entry.path}.")
        _require_small(entry.path)
        data = entry.path.read_bytes()
        height, width = pixels_of(data, max_pixels=MOST_PIXELS, reading=entry.reading).shape[:2]
        require_usable(height, width, entry.split, labelled=True)  # whether it is labelled is asked of all at the end
        digest = f"{hashlib.sha256(data).hexdigest()} {entry.reading.page}"
    labels, counts_C, ignored = None, None, 0
    if entry.labelled or pool_labels:
        if entry.label is not None:
            image_name(entry.label_name)
            _require_small(entry.label)
        with suppress(LookupError):
            drawn = drawn_of(entry)
            void_HW = (drawn.indices_HW == IGNORE) & drawn.labelled_HW
            labels = hashlib.sha256(drawn.indices_HW.tobytes() + drawn.labelled_HW.tobytes()).hexdigest()
            counts_C, ignored = class_counts(drawn.indices_HW, classes), int(void_HW.sum())
    return _Read(entry=entry, digest=digest, labels=labels, counts_C=counts_C, ignored=ignored)


def _require_small(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"{path.name} holds {size:,} bytes; a service takes {MOST_BYTES:,} unless it is set otherwise."
        )


def drawn_of(entry: Entry) -> Drawn:
    """The labels of an image, all of it where nothing else is known. Raises LookupError where it has none."""
    source, number = behind(entry.source, entry.number)
    if isinstance(source, Annotated):
        return source.drawn(number)
    indices_HW = entry.source.label_map(entry.number)
    return Drawn(indices_HW=indices_HW, labelled_HW=np.ones(indices_HW.shape, np.bool_))


def _without_twins(plan: Plan, read: Sequence[_Read], keep: bool) -> list[_Read]:
    """What is sent: of the same picture twice in a split the one with a label map, else the first."""
    alike: dict[str, list[_Read]] = defaultdict(list)
    called: dict[str, list[_Read]] = defaultdict(list)
    for each in read:
        called[image_name(each.entry.name)].append(each)
        if each.digest is not None:
            alike[each.digest].append(each)
    gone: set[int] = set()
    for name, same in called.items():
        if len(same) > 1:  # on this system they differ, and in the service they would not
            plan.bad += [(each.entry.title, f"It is one of {len(same)} images called {name}.") for each in same]
            gone |= {id(each) for each in same}
    for same in alike.values():
        names = tuple(each.entry.title for each in same)
        if len({each.entry.split for each in same}) > 1:
            plan.leaks.append(names)
        elif len(same) > 1 and not keep:
            plan.twins.append(names)
            best = max(same, key=lambda each: each.counts_C is not None)
            left = [each for each in same if each is not best]
            plan.at_odds += [
                (each.entry.title, best.entry.title) for each in left if each.labels not in (None, best.labels)
            ]
            gone |= {id(each) for each in left}
    return [each for each in read if id(each) not in gone]


def _count(plan: Plan, kept: Sequence[_Read]) -> None:
    for each in kept:
        name = each.entry.title
        if each.counts_C is None:
            if each.entry.split in MEASURED:
                plan.bare.append(name)
            continue
        plan.census.add(each.counts_C, each.ignored)
        plan.label_maps += 1
        plan.measured_maps += each.entry.labelled
        if not each.counts_C.any():
            plan.void.append(name)
