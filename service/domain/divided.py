"""A pool whose cells may be asked for in quarters too: what is free of each cell, and candidates of all sizes."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.domain import quarters
from service.domain.pool import ImageGroup, Numbers, Pool, Sampling


class DividedPool:
    """All regions of some images, cells and their quarters, and which are taken. No pixel is ever in two that are taken.

    A region's number is that of its cell in a Pool of cells, times the parts of a cell, and its part (quarters.py). Cells are
    never enumerated; of those that a part was taken of, what is left is held.
    """

    def __init__(self, groups: Sequence[ImageGroup], levels: int, taken: Iterable[int] = ()) -> None:
        """`taken`: region numbers. Raises ValueError as `take` does."""
        self.levels, self._per_cell = levels, quarters.nodes(levels)
        self._groups, self._cells = list(groups), Pool(groups)
        self._families = [np.array(quarters.family(part, levels)) for part in range(self._per_cell)]
        self._areas = quarters.areas(np.arange(self._per_cell), levels)
        self.cell = int(self._areas[0])
        # Of each cell that a part of is taken, but not all: which parts are blocked, and how much is taken.
        self._blocked: dict[int, NDArray[np.bool_]] = {}
        self._covered: dict[int, int] = {}
        self.take(np.fromiter(taken, np.int64))

    @property
    def regions(self) -> int:
        """Regions are numbered below this."""
        return self._cells.regions * self._per_cell

    @property
    def images(self) -> int:
        """Images in all."""
        return self._cells.images

    @property
    def left(self) -> float:
        """Cells of which nothing is taken, and the shares that are left of the others."""
        return self._cells.left - sum(self._covered.values()) / self.cell

    def spans(self, numbers: ArrayLike) -> NDArray[np.int64]:
        """Of each region where it begins and ends, (..., 2), in units of the smallest; regions overlap where these do."""
        cells, parts = np.divmod(np.asarray(numbers, np.int64), self._per_cell)
        starts, stops = quarters.spans(parts, self.levels)
        return np.asarray(np.stack([starts, stops], -1) + (cells * self.cell)[..., None])

    def locate(self, numbers: ArrayLike) -> tuple[Numbers, Numbers]:
        """The image of each region and its number there: int64. ValueError outside the pool."""
        cells, parts = np.divmod(np.asarray(numbers, np.int64), self._per_cell)
        images, places = self._cells.locate(cells)
        return images, np.asarray(places * self._per_cell + parts)

    def number(self, image_number: ArrayLike, region: ArrayLike) -> Numbers:
        """The inverse of `locate`. ValueError where there is none."""
        places, parts = np.divmod(np.asarray(region, np.int64), self._per_cell)
        return self._cells.number(image_number, places) * self._per_cell + parts

    def is_taken(self, numbers: ArrayLike) -> NDArray[np.bool_]:
        """Whether a pixel of each region is taken. ValueError outside the pool."""
        cells, parts = np.divmod(np.asarray(numbers, np.int64), self._per_cell)
        whole = self._cells.is_taken(cells)
        partly = [
            self._blocked[c][p] if c in self._blocked else False for c, p in zip(cells.flat, parts.flat, strict=True)
        ]
        return np.asarray(whole | np.array(partly, np.bool_).reshape(whole.shape))

    def take(self, numbers: ArrayLike) -> None:
        """Take regions. Raises ValueError, and takes none, where a pixel of one is outside the pool, or taken twice."""
        cells, parts = np.divmod(np.asarray(numbers, np.int64).ravel(), self._per_cell)
        self._cells.locate(cells)
        by_cell: dict[int, list[int]] = {}
        for cell, part in zip(cells.tolist(), parts.tolist(), strict=True):
            by_cell.setdefault(cell, []).append(part)
        if bool(self._cells.is_taken(cells).any()) or not all(self._fit(*each) for each in by_cell.items()):
            raise ValueError(
                "A pixel can be taken once: of these regions one is taken in part or as a whole, or given twice."
            )
        full = []
        for cell, of_cell in by_cell.items():
            blocked = self._blocked.pop(cell, np.zeros(self._per_cell, np.bool_))
            covered = self._covered.pop(cell, 0) + int(self._areas[of_cell].sum())
            if covered == self.cell:
                full.append(cell)
                continue
            blocked[np.concatenate([self._families[part] for part in of_cell])] = True
            self._blocked[cell], self._covered[cell] = blocked, covered
        self._cells.take(np.array(full, np.int64))

    def sample(self, *, pools: int, size: int, by: Sampling, rng: np.random.Generator) -> list[Numbers]:
        """Draw disjoint candidate pools of `size` cells each, as Pool.sample does; all that is left of these, in all sizes.

        Candidates come cell by cell, in each the larger before the smaller.
        """
        return [self._parts_of(cells) for cells in self._cells.sample(pools=pools, size=size, by=by, rng=rng)]

    def _parts_of(self, cells: Numbers) -> Numbers:
        """What is left of cells: parts that are there and not blocked."""
        free_NP = quarters.level(np.arange(self._per_cell)) < self._depths(cells)[:, None]
        for place, cell in enumerate(cells.tolist()):
            if cell in self._blocked:
                free_NP[place] &= ~self._blocked[cell]
        places, parts = free_NP.nonzero()
        return cells[places] * self._per_cell + parts

    def _depths(self, cells: Numbers) -> Numbers:
        images, places = self._cells.locate(cells)
        ends = np.cumsum([group.images for group in self._groups])
        groups = np.searchsorted(ends, images, side="right").tolist()
        return np.array([self._groups[g].depths[p] for g, p in zip(groups, places.tolist(), strict=True)], np.int64)

    def _fit(self, cell: int, parts: Sequence[int]) -> bool:
        """Whether parts of a cell are free and have no pixel in common."""
        blocked = self._blocked.get(cell, np.zeros(self._per_cell, np.bool_)).copy()
        for part in parts:
            if blocked[part]:
                return False
            blocked[self._families[part]] = True
        return True


AnyPool = Pool | DividedPool


def pool_of(groups: Sequence[ImageGroup], levels: int) -> AnyPool:
    """The pool of all regions of images whose cells have so many levels."""
    return Pool(groups) if levels == 1 else DividedPool(groups, levels)
