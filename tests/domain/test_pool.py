"""The pool: numbering, taking, and what every draw of candidate pools holds to."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.pool import ImageGroup, Pool

MODES = ["uniform", "images"]


def _pool(*groups: tuple[int, int], taken: Any = ()) -> Pool:
    return Pool([ImageGroup(images=images, cells=cells) for images, cells in groups], taken=taken)


@st.composite
def pools(draw: st.DrawFn) -> tuple[Pool, list[tuple[int, int]], set[int]]:
    """A pool, its regions listed one by one as (image, cell), and the taken ones."""
    groups = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), max_size=4))
    sizes = [cells for images, cells in groups for _ in range(images)]
    regions = [(image, cell) for image, cells in enumerate(sizes) for cell in range(cells)]
    taken = draw(st.sets(st.sampled_from(range(len(regions))))) if regions else set()
    return _pool(*groups, taken=taken), regions, taken


class TestNumbering:
    @given(pools())
    def test_regions_are_numbered_image_after_image_cell_after_cell(self, example: Any) -> None:
        pool, regions, _ = example
        assert pool.regions == len(regions)
        images, cells = pool.locate(np.arange(len(regions)))
        assert list(zip(images.tolist(), cells.tolist(), strict=True)) == regions
        np.testing.assert_array_equal(pool.number(images, cells), np.arange(len(regions)))

    def test_counts_are_those_of_the_groups(self) -> None:
        pool = _pool((257, 24), (2, 128), taken=[0, 6168])
        assert (pool.images, pool.regions, pool.left) == (259, 6424, 6422)
        assert [int(each) for each in pool.locate(6168 + 129)] == [258, 1]
        assert int(pool.number(258, 1)) == 6168 + 129

    def test_numbers_of_every_cell_of_an_image_broadcast(self) -> None:
        assert _pool((5, 3)).number(2, np.arange(3)).tolist() == [6, 7, 8]

    @pytest.mark.parametrize("number", [-1, 12])
    def test_a_region_outside_the_pool_is_refused_everywhere(self, number: int) -> None:
        pool = _pool((3, 4))
        for use in (pool.locate, pool.is_taken, pool.take, lambda numbers: _pool((3, 4), taken=numbers)):
            with pytest.raises(ValueError, match=f"12 regions do not include {number}"):
                use([0, number])

    @pytest.mark.parametrize(
        ("image", "cell", "sentence"),
        [
            (3, 0, "3 images do not include 3"),
            (-1, 0, "do not include -1"),
            (1, 4, "1 has no cell 4"),
            (1, -1, "no ce"),
        ],
    )
    def test_a_cell_that_is_not_there_has_no_number(self, image: int, cell: int, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            _pool((3, 4)).number([0, image], [0, cell])

    def test_a_group_without_regions_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one region each"):
            ImageGroup(images=3, cells=0)
        with pytest.raises(ValueError, match="0 or more images"):
            ImageGroup(images=-1, cells=3)

    def test_numbers_that_are_not_whole_are_refused(self) -> None:
        with pytest.raises(ValueError, match="whole numbers, not float64"):
            _pool((3, 4)).take([1.0])


class TestTaking:
    @given(pools(), st.data())
    def test_what_is_taken_is_taken_and_nothing_else(self, example: Any, data: st.DataObject) -> None:
        pool, regions, taken = example
        free = sorted(set(range(len(regions))) - taken)
        more = data.draw(st.lists(st.sampled_from(free), unique=True)) if free else []
        pool.take(more)
        assert pool.left == len(regions) - len(taken) - len(more)
        assert np.flatnonzero(pool.is_taken(np.arange(len(regions)))).tolist() == sorted(taken | set(more))

    @pytest.mark.parametrize(("numbers", "named"), [([3, 5], "5"), ([3, 4, 4], "4")])
    def test_a_region_is_taken_once_or_none_of_them_is(self, numbers: list[int], named: str) -> None:
        pool = _pool((3, 4), taken=[5])
        with pytest.raises(ValueError, match=f"given twice: {named}\\."):
            pool.take(numbers)
        assert pool.left == 11
        assert not pool.is_taken([3, 4]).any()

    def test_regions_given_twice_at_the_start_count_once(self) -> None:
        pool = _pool((3, 4), taken=[7, 5, 7])
        assert pool.left == 10
        assert len(pool.sample(pools=12, size=1, by="uniform", rng=np.random.default_rng(0))) == 10

    def test_the_array_given_as_taken_is_not_held_nor_changed(self) -> None:
        given_numbers = np.array([5, 3])
        pool = _pool((3, 4), taken=given_numbers)
        pool.take([4])
        given_numbers[:] = 0
        assert pool.is_taken(np.arange(12)).nonzero()[0].tolist() == [3, 4, 5]


class TestSampling:
    @given(pools(), st.integers(1, 6), st.integers(1, 6), st.sampled_from(MODES), st.integers(0, 2**32))
    def test_candidate_pools_are_disjoint_untaken_and_of_the_size_asked_for_or_all_that_is_left(
        self, example: Any, count: int, size: int, by: Any, seed: int
    ) -> None:
        pool, regions, taken = example
        drawn = pool.sample(pools=count, size=size, by=by, rng=np.random.default_rng(seed))
        free = set(range(len(regions))) - taken
        everything = [number for each in drawn for number in each.tolist()]
        assert len(set(everything)) == len(everything) == min(count * size, len(free))
        assert set(everything) <= free
        assert all(each.dtype == np.int64 for each in drawn)
        assert len(drawn) == min(count, len(free))
        sizes = {each.size for each in drawn}
        assert sizes == {size} if len(free) >= count * size else len(sizes) == 0 or max(sizes) - min(sizes) <= 1

    @pytest.mark.parametrize("by", MODES)
    @pytest.mark.parametrize("spare", range(-3, 4))
    def test_a_nearly_exhausted_pool_gives_every_region_that_is_left(self, spare: int, by: Any) -> None:
        pool = _pool((10, 7), (3, 5))
        everything = np.random.default_rng(4).permutation(85)
        pool.take(everything[: 85 - 12 - spare])
        drawn = pool.sample(pools=4, size=3, by=by, rng=np.random.default_rng(5))
        assert [each.size for each in drawn] == [3, 3, 3, 3] if spare >= 0 else [3] * (4 + spare) + [2] * -spare
        if spare <= 0:
            assert sorted(np.concatenate(drawn).tolist()) == sorted(everything[-12 - spare :].tolist())

    @pytest.mark.parametrize("by", MODES)
    def test_fewer_regions_than_pools_make_pools_of_one(self, by: Any) -> None:
        drawn = _pool((3, 1)).sample(pools=5, size=4, by=by, rng=np.random.default_rng(0))
        assert sorted(each.tolist() for each in drawn) == [[0], [1], [2]]

    @pytest.mark.parametrize("by", MODES)
    def test_an_empty_pool_gives_none(self, by: Any) -> None:
        assert _pool().sample(pools=2, size=2, by=by, rng=np.random.default_rng(0)) == []
        assert _pool((1, 2), taken=[0, 1]).sample(pools=2, size=2, by=by, rng=np.random.default_rng(0)) == []

    @pytest.mark.parametrize("by", MODES)
    def test_the_same_generator_state_draws_the_same_pools(self, by: Any) -> None:
        pool = _pool((1000, 24), taken=range(500))
        first, second = (pool.sample(pools=5, size=20, by=by, rng=np.random.default_rng(6)) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    @pytest.mark.parametrize("by", MODES)
    def test_an_unlucky_draw_full_of_repeats_is_made_up_for(self, by: Any) -> None:
        class Stuck(np.random.Generator):
            stuck = True

            def integers(self, *args: Any, **options: Any) -> Any:
                values = super().integers(*args, **options)
                if self.stuck:
                    self.stuck = False
                    values[:] = values[0]
                return values

        drawn = _pool((1000, 24)).sample(pools=5, size=20, by=by, rng=Stuck(np.random.PCG64(0)))
        assert [each.size for each in drawn] == [20] * 5
        assert np.unique(drawn).size == 100

    def test_what_makes_no_sense_is_refused(self) -> None:
        rng: Any = np.random.default_rng(0)
        unknown: Any = "regions"
        for pool in (_pool((3, 4)), _pool()):
            with pytest.raises(ValueError, match="not 0 of 3"):
                pool.sample(pools=0, size=3, by="uniform", rng=rng)
            with pytest.raises(ValueError, match="not by 'regions'"):
                pool.sample(pools=1, size=3, by=unknown, rng=rng)

    @pytest.mark.parametrize("by", MODES)
    def test_a_pool_of_ten_billion_regions_costs_a_few_megabytes(self, by: Any) -> None:
        tracemalloc.start()
        pool = _pool((10**8, 128), taken=np.arange(0, 10**10, 500_000))
        drawn = pool.sample(pools=256, size=100, by=by, rng=np.random.default_rng(0))
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
        tracemalloc.stop()
        assert np.unique(drawn).size == 25_600
        assert not pool.is_taken(np.concatenate(drawn)).any()
