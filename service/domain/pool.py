"""The pool of regions that may be asked for: numbered by arithmetic, never enumerated, sampled exactly."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Regions are numbered 0..regions-1: group after group, in a group image after image, in an image cell after cell.
# The unlabelled regions U_t are those numbers without the sorted array of taken ones, and the r-th of them
# (its rank) is found by a binary search among the taken. A pool therefore costs what was taken from it.

Numbers = NDArray[np.int64]
Sampling = Literal["uniform", "images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGroup:
    """`images` images of one size, each of `cells` regions.

    depths: of each cell the levels that it has, where cells are divided (service.domain.divided).
    """

    images: int
    cells: int
    depths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.images < 0 or self.cells < 1:
            raise ValueError(f"A group has 0 or more images of at least one region each, unlike {self}.")


class Pool:
    """All regions of some images, and which of them are taken: proposed, leased or labelled."""

    levels = 1
    cell = 1  # what a cell has of the units that spans are in

    def __init__(self, groups: Sequence[ImageGroup], taken: Iterable[int] | Numbers = ()) -> None:
        """`taken` holds region numbers, in any order. Raises ValueError for a number outside the pool."""
        images = np.array([group.images for group in groups], dtype=np.int64)
        self._cells = np.array([group.cells for group in groups], dtype=np.int64)
        self._first_images = np.concatenate([np.zeros(1, np.int64), np.cumsum(images)])
        self._first_regions = np.concatenate([np.zeros(1, np.int64), np.cumsum(images * self._cells)])
        self._hold(np.unique(_integers(taken if isinstance(taken, np.ndarray) else list(taken))))

    @property
    def regions(self) -> int:
        """Regions in all, taken or not."""
        return int(self._first_regions[-1])

    @property
    def images(self) -> int:
        """Images in all."""
        return int(self._first_images[-1])

    @property
    def left(self) -> int:
        """Regions that are not taken."""
        return self.regions - self._taken.size

    def spans(self, numbers: ArrayLike) -> Numbers:
        """Of each region where it begins and ends, (..., 2), counted in regions."""
        starts = np.asarray(numbers, np.int64)
        return np.stack([starts, starts + 1], -1)

    def take(self, numbers: ArrayLike) -> None:
        """Take regions. Raises ValueError, and takes none, if one is outside the pool, taken already or given twice."""
        new = np.sort(_integers(numbers).ravel())
        merged = np.union1d(self._taken, new)
        if merged.size < self._taken.size + new.size:
            twice = new[self.is_taken(new)] if self.is_taken(new).any() else new[1:][new[1:] == new[:-1]]
            raise ValueError(f"Regions can be taken once; taken already or given twice: {_listed(twice)}.")
        self._hold(merged)

    def is_taken(self, numbers: ArrayLike) -> NDArray[np.bool_]:
        """Whether each region is taken: bool, in the shape of `numbers`. Raises ValueError outside the pool."""
        wanted = _integers(numbers)
        self._require_regions(wanted)
        after = np.searchsorted(self._taken, wanted, side="right")
        return np.asarray(after > np.searchsorted(self._taken, wanted, side="left"))

    def locate(self, numbers: ArrayLike) -> tuple[Numbers, Numbers]:
        """The image and the cell in it of each region: int64, shaped like `numbers`. ValueError outside the pool."""
        wanted = _integers(numbers)
        self._require_regions(wanted)
        group = np.searchsorted(self._first_regions, wanted, side="right") - 1
        ordinal, cell = np.divmod(wanted - self._first_regions[group], self._cells[group])
        return np.asarray(self._first_images[group] + ordinal), np.asarray(cell)

    def number(self, image_number: ArrayLike, cell: ArrayLike) -> Numbers:
        """The region at a cell of an image, the inverse of `locate`: int64. ValueError where there is none."""
        image, cells = _integers(image_number), _integers(cell)
        group = self._group_of_images(image)
        beyond = (cells < 0) | (cells >= self._cells[group])
        if beyond.any():
            image, cells = np.broadcast_arrays(image, cells)
            raise ValueError(f"Image {image[beyond][0]} has no cell {cells[beyond][0]}.")
        return np.asarray(self._first_of_images(image, group) + cells)

    def sample(self, *, pools: int, size: int, by: Sampling, rng: np.random.Generator) -> list[Numbers]:
        """Draw disjoint candidate pools of untaken regions (docs/method.md, 5): `pools` arrays, int64, of `size` each.

        "uniform": every set of pools * size regions is equally likely. "images": images are drawn at random until
        their regions suffice, and the candidates uniformly from those, so that few images need a forward pass.
        If fewer regions are left, all of them are drawn, into as many pools as possible up to `pools`, none of them
        empty and their sizes differing by at most one; an empty list if none is left.
        Time and memory follow pools * size (and, by images, what is taken), whatever the number of regions.
        """
        if pools < 1 or size < 1:
            raise ValueError(f"At least one pool of at least one region is drawn, not {pools} of {size}.")
        if by not in ("uniform", "images"):
            raise ValueError(f'Candidate pools are drawn by "uniform" or by "images", not by {by!r}.')
        wanted = min(pools * size, self.left)
        if wanted == 0:
            return []
        ranks = _random_set(self.left, wanted, rng) if by == "uniform" else self._ranks_by_images(wanted, rng)
        drawn = rng.permutation(_skip(self._gaps, ranks))[:wanted]
        return np.array_split(drawn, min(pools, wanted))

    def _ranks_by_images(self, wanted: int, rng: np.random.Generator) -> Numbers:
        """Ranks among the unlabelled regions, at least `wanted`, of images drawn until they hold that many."""
        images = self._draw_images(wanted, rng)
        first_ranks, free = self._free(images)
        ends = np.cumsum(free)
        within = _random_set(int(ends[-1]), wanted, rng)
        place = np.searchsorted(ends, within, side="right")
        return np.asarray(first_ranks[place] + within - (ends - free)[place])

    def _draw_images(self, wanted: int, rng: np.random.Generator) -> Numbers:
        """Images with regions left, in uniformly random order, as many as are needed for `wanted` regions."""
        drawn, held = np.empty(0, np.int64), 0
        unseen = self.images - self._exhausted.size
        mean = self.left / unseen
        while held < wanted:
            # At least twice as many as before, or images far smaller than the mean would take very many goes.
            batch = min(unseen - drawn.size, max(drawn.size, math.ceil(1.05 * (wanted - held) / mean) + 4))
            # The images before this batch are passed over like exhausted ones: one draw without replacement, continued.
            ranks = rng.permutation(_random_set(unseen - drawn.size, batch, rng))[:batch]
            passed = np.sort(np.concatenate([self._exhausted, drawn]))
            drawn = np.concatenate([drawn, _skip(_gaps(passed), ranks)])
            ends = np.cumsum(self._free(drawn)[1])
            held = int(ends[-1])
        return drawn[: int(np.searchsorted(ends, wanted)) + 1]

    def _free(self, images: Numbers) -> tuple[Numbers, Numbers]:
        """The rank of each image's first unlabelled region, and how many the image has left."""
        group = self._group_of_images(images)
        first = self._first_of_images(images, group)
        taken_before = np.searchsorted(self._taken, first)
        taken_within = np.searchsorted(self._taken, first + self._cells[group]) - taken_before
        return first - taken_before, self._cells[group] - taken_within

    def _hold(self, taken: Numbers) -> None:
        """Set the taken regions, sorted and distinct, and what follows from them."""
        self._require_regions(taken)
        self._taken = taken
        self._gaps = _gaps(taken)
        touched, counts = np.unique(self.locate(taken)[0], return_counts=True)
        self._exhausted = touched[counts == self._cells[self._group_of_images(touched)]]

    def _group_of_images(self, images: Numbers) -> Numbers:
        beyond = (images < 0) | (images >= self.images)
        if beyond.any():
            raise ValueError(f"The pool's {self.images} images do not include {_listed(images[beyond])}.")
        return np.asarray(np.searchsorted(self._first_images, images, side="right") - 1)

    def _first_of_images(self, images: Numbers, group: Numbers) -> Numbers:
        return np.asarray(self._first_regions[group] + (images - self._first_images[group]) * self._cells[group])

    def _require_regions(self, numbers: Numbers) -> None:
        beyond = (numbers < 0) | (numbers >= self.regions)
        if beyond.any():
            raise ValueError(f"The pool's {self.regions} regions do not include {_listed(numbers[beyond])}.")


def _gaps(excluded: Numbers) -> Numbers:
    """For sorted, distinct excluded numbers: how many numbers that are not excluded come before each."""
    return excluded - np.arange(excluded.size, dtype=np.int64)


def _skip(gaps: Numbers, ranks: Numbers) -> Numbers:
    """The numbers with these ranks (0 is the first) among all that are not excluded."""
    return np.asarray(ranks + np.searchsorted(gaps, ranks, side="right"))


def _random_set(among: int, at_least: int, rng: np.random.Generator) -> Numbers:
    """A random set of at least that many of 0..among-1, sorted; sets of one size are equally likely.

    `among` >= `at_least`; O(at_least log at_least), whatever `among` is. A uniformly random part of it is a uniformly
    random set of the size wanted. (numpy's choice without replacement changes its algorithm with the population.)
    """
    if among <= 2 * at_least:
        return np.arange(among, dtype=np.int64)
    # Drawn with replacement: as many as are expected to hold `at_least` different ones, and a margin, so that a second
    # go is rare. All numbers are treated alike whenever it stops, hence the set is uniform given its size.
    expected = -among * math.log1p(-at_least / among)
    draws = math.ceil(expected + 4 * math.sqrt(max(0.0, expected - at_least)) + 2)
    found = _sorted_distinct(_below(among, draws, rng))
    while found.size < at_least:
        more = _below(among, 2 * (at_least - found.size), rng)
        found = _sorted_distinct(np.concatenate([found, more]))
    return found


def _below(among: int, draws: int, rng: np.random.Generator) -> Numbers:
    """Uniform integers in 0..among-1. More than 32 bits are asked for, since numpy's 32-bit bounded draws are

    several times slower for some bounds (they reject up to half); the bits beyond are dropped, which keeps it exact.
    """
    spare = max(0, 33 - among.bit_length())
    return rng.integers(among << spare, size=draws) >> spare


def _sorted_distinct(values: Numbers) -> Numbers:
    values.sort()
    first = np.ones(values.size, dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def _integers(values: ArrayLike) -> Numbers:
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"Regions, images and cells are whole numbers, not {array.dtype}.")
    return array.astype(np.int64, copy=False)


def _listed(numbers: Numbers) -> str:
    shown = ", ".join(map(str, numbers.ravel()[:5].tolist()))
    return shown if numbers.size <= 5 else f"{shown} and {numbers.size - 5} more"
