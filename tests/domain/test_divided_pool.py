"""A pool of cells and their quarters, against every pixel of a few small images."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import quarters
from service.domain.divided import DividedPool, pool_of
from service.domain.pool import ImageGroup, Pool
from service.domain.regions import Grid

GRIDS = [
    (3, Grid(height=32, width=40, cell_height=16, cell_width=16, levels=2)),
    (2, Grid(height=20, width=32, cell_height=16, cell_width=32, levels=2)),
]


def groups() -> list[ImageGroup]:
    return [
        ImageGroup(images=images, cells=grid.cells.size, depths=tuple(grid.depths().tolist())) for images, grid in GRIDS
    ]


def grid_of(image: int) -> Grid:
    return GRIDS[0][1] if image < GRIDS[0][0] else GRIDS[1][1]


class Pixels:
    """Every pixel, and whether it is taken."""

    def __init__(self) -> None:
        self.taken = [np.zeros((grid_of(n).height, grid_of(n).width), np.bool_) for n in range(5)]

    def part(self, pool: DividedPool, number: int) -> Any:
        image, region = (int(each) for each in pool.locate(number))
        return self.taken[image][grid_of(image).box(region).slices]

    def free(self, pool: DividedPool, number: int) -> bool:
        image, region = (int(each) for each in pool.locate(number))
        return bool(grid_of(image).exist([region])[0]) and not self.part(pool, number).any()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["uniform", "images"]))
def test_candidates_are_all_that_is_left_of_cells_and_no_pixel_is_taken_twice(seed: int, by: Any) -> None:
    rng, pool, pixels = np.random.default_rng(seed), DividedPool(groups(), 2), Pixels()
    while pool.left:
        drawn = pool.sample(pools=2, size=2, by=by, rng=rng)
        numbers = np.concatenate(drawn)
        assert len(set(numbers.tolist())) == len(numbers)
        assert not pool.is_taken(numbers).any()
        for cell in set((numbers // 5).tolist()):
            of_cell = [number for number in range(5 * cell, 5 * cell + 5) if pixels.free(pool, number)]
            assert sorted(numbers[numbers // 5 == cell].tolist()) == of_cell
        for number in rng.permutation(numbers)[:3].tolist():
            assert pool.is_taken([number])[0] == pixels.part(pool, number).any()
            if not pixels.part(pool, number).any():
                pixels.part(pool, number)[:] = True
                pool.take([number])
    assert all(each.all() for each in pixels.taken)
    assert pool.sample(pools=2, size=2, by=by, rng=rng) == []


def test_numbers_are_those_of_cells_and_their_parts() -> None:
    pool = DividedPool(groups(), 2)
    assert (pool.images, pool.regions, pool.left) == (5, (3 * 6 + 2 * 2) * 5, 22)
    images, regions = pool.locate(np.arange(pool.regions))
    assert images.tolist() == [0] * 30 + [1] * 30 + [2] * 30 + [3] * 10 + [4] * 10
    assert regions[28:33].tolist() == [28, 29, 0, 1, 2]
    np.testing.assert_array_equal(pool.number(images, regions), np.arange(pool.regions))
    assert pool.spans([0, 1, 4, 5]).tolist() == [[0, 4], [0, 1], [3, 4], [4, 8]]


@pytest.mark.parametrize("taken", [[0], [3], [1, 2, 3, 4], [96, 97]])
def test_what_is_taken_already_or_overlaps_is_refused_and_nothing_is_taken(taken: list[int]) -> None:
    pool = DividedPool(groups(), 2, taken=taken)
    for more in (taken, [5, taken[0]], [10, 11], [10, 10], [12, 12], [taken[0] // 5 * 5]):
        left = pool.left
        with pytest.raises(ValueError, match="A pixel can be taken once"):
            pool.take(more)
        assert pool.left == left
    assert pool.left == 22 - sum(quarters.areas(np.array(taken) % 5, 2)) / 4
    with pytest.raises(ValueError, match="regions do not include"):
        pool.take([pool.regions])


def test_of_one_level_it_is_a_pool_of_cells() -> None:
    assert isinstance(pool_of(groups(), 1), Pool)
    one, plain = DividedPool([ImageGroup(images=4, cells=6, depths=(1,) * 6)], 1), Pool([ImageGroup(images=4, cells=6)])
    for pool in (one, plain):
        pool.take([3, 17])
    draws = [pool.sample(pools=3, size=4, by="images", rng=np.random.default_rng(1)) for pool in (one, plain)]
    for divided, cells in zip(*draws, strict=True):
        np.testing.assert_array_equal(divided, cells)
