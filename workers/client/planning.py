"""What an import would send, looked at before anything is: every file is read as the service will read it.

Shapes: C classes.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.domain.classes import IGNORE, ClassSet
from service.domain.image_names import image_name
from service.domain.label_doubts import Census
from service.domain.metrics import class_counts
from service.domain.usable import LABELLED_SPLITS, require_usable
from service.pictures import PictureError, pixels_of
from service.schemas.project_settings import suited_cells
from workers.client.entries import Entry, drawn_of, entries_of
from workers.client.known import KnownImages, picture_of
from workers.client.limits import Limits
from workers.client.twins import Read, without_twins
from workers.datasets.base import Dataset, DatasetError

STACK = "It has several pages: take each as an image (--pages all), or the first alone (--pages first)."
# Splits that are of no use without label maps.
MEASURED = ("reward", "test")


@dataclass(kw_only=True)
class Plan:
    """What was found. bad: files and what is wrong with them, which are no entries; left_out: those that were taken for no
    images; moved: entries, and the splits that the project has them in, in which they stay; twins, at_odds, leaks: see Twins.
    census: of the label maps that are sent, measured_maps of them not of the pool; void: names of those without a labelled
    pixel; bare: images of splits that need label maps, and have none.
    """

    census: Census
    entries: list[Entry]
    bad: list[tuple[str, str]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
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

    @property
    def cell(self) -> Mapping[str, int]:
        """Settings of a new project: regions of a size that suits the images that are sent, of which there is one at least."""
        return suited_cells(entry.source.size(entry.number) for entry in self.entries)

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
    known: KnownImages | None = None,
    limits: Limits | None = None,
    keep_twins: bool = False,
    pool_labels: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Plan:
    """Read every image and every label map that would be sent, those of the pool with `pool_labels`, to a service with limits
    and a project that has images; `advance` hears of each image. Raises DatasetError where the project has images that cannot be
    told from those.
    """
    there, listed = known or KnownImages(), entries_of(dataset, splits)
    most = limits or Limits()
    plan = Plan(census=Census(dataset.classes), entries=there.placed(listed), left_out=dataset.left_out)
    plan.moved = [
        (each.title, to.split) for each, to in zip(listed, plan.entries, strict=True) if each.split != to.split
    ]
    read = list[Read]()
    for entry in plan.entries:
        try:
            found = _read(entry, len(plan.classes), pool_labels, most)
            there.require_same(entry, found.picture, labelled=found.counts_C is not None)
            read.append(found)
        except (DatasetError, PictureError, OSError, ValueError) as error:
            stack = isinstance(error, PictureError) and error.code == "several_pages"
            plan.bad.append((entry.title, STACK if stack else str(error)))
        advance()
    alike = without_twins(read, there, keep=keep_twins)
    plan.bad += alike.bad
    plan.twins, plan.at_odds, plan.leaks = alike.twins, alike.at_odds, alike.leaks
    _count(plan, alike.kept)
    plan.entries = [each.entry for each in alike.kept]
    return plan


def _read(entry: Entry, classes: int, pool_labels: bool, limits: Limits) -> Read:
    """Raises what is wrong with the files or the name."""
    image_name(entry.name)
    picture = None
    if entry.path is not None:
        if not entry.path.is_file():
            raise DatasetError(f"There is no file {entry.path}.")
        limits.require_small(entry.path, entry.label if entry.labelled or pool_labels else None)
        data = entry.path.read_bytes()
        height, width = pixels_of(data, max_pixels=limits.image_pixels, reading=entry.reading).shape[:2]
        require_usable(height, width, entry.split, labelled=True)  # whether it is labelled is asked of all at the end
        picture = picture_of(hashlib.sha256(data).hexdigest(), entry.reading.page)
    counts_C, ignored = None, 0
    if entry.labelled or pool_labels:
        if entry.label is not None:
            image_name(entry.label_name)
        with suppress(LookupError):
            drawn = drawn_of(entry)
            void_HW = (drawn.indices_HW == IGNORE) & drawn.labelled_HW
            counts_C, ignored = class_counts(drawn.indices_HW, classes), int(void_HW.sum())
    return Read(entry=entry, picture=picture, counts_C=counts_C, ignored=ignored)


def _count(plan: Plan, kept: Sequence[Read]) -> None:
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
