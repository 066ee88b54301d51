"""The distribution of candidate pools, against exact ones: hypergeometric, enumerated, worked out by hand."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.stats

from service.domain.pool import ImageGroup, Pool


def _pool(*groups: tuple[int, int], taken: Any = ()) -> Pool:
    return Pool([ImageGroup(images=images, cells=cells) for images, cells in groups], taken=taken)


def _p_value(draw: Callable[[], Hashable], draws: int, probability: Mapping[Any, float]) -> float:
    """Of a chi-squared test of `draws` outcomes; the outcomes least expected are pooled until five are expected."""
    seen = Counter(draw() for _ in range(draws))
    assert set(seen) <= set(probability)
    observed, expected, rest = [], [], [0.0, 0.0]
    for outcome, share in probability.items():
        if share * draws >= 5:
            observed.append(float(seen[outcome]))
            expected.append(share * draws)
        else:
            rest = [rest[0] + seen[outcome], rest[1] + share * draws]
    if rest[1] >= 5:
        observed.append(rest[0])
        expected.append(rest[1])
    else:
        observed[-1] += rest[0]
        expected[-1] += rest[1]
    return float(scipy.stats.chisquare(observed, expected).pvalue)


class TestUniform:
    """Fixed seeds: a right sampler passes always, a biased one has a p-value near 0."""

    @pytest.mark.parametrize(
        ("count", "size", "taken"),
        [(2, 1, [1, 5]), (1, 3, [1, 5]), (3, 1, [0, 7]), (1, 2, [])],
        ids=["by drawing", "by shuffling all", "shuffling, the ends taken", "nothing taken"],
    )
    def test_every_ordered_draw_is_equally_likely(self, count: int, size: int, taken: list[int]) -> None:
        pool = _pool((2, 3), (1, 2), taken=taken)
        free = sorted(set(range(8)) - set(taken))
        outcomes = list(itertools.permutations(free, count * size))
        rng = np.random.default_rng(17)

        def draw() -> Hashable:
            return tuple(np.concatenate(pool.sample(pools=count, size=size, by="uniform", rng=rng)).tolist())

        assert _p_value(draw, 50 * len(outcomes), {each: 1 / len(outcomes) for each in outcomes}) > 0.01

    @pytest.mark.parametrize("wanted", [1, 40, 300, 500])
    def test_marked_regions_are_drawn_as_the_hypergeometric_distribution_says(self, wanted: int) -> None:
        pool = _pool((50, 20), taken=np.random.default_rng(0).permutation(1000)[:300])
        free = np.flatnonzero(~pool.is_taken(np.arange(1000)))
        marked = np.zeros(1000, dtype=bool)
        marked[free[:90]] = True
        rng = np.random.default_rng(18)
        distribution = scipy.stats.hypergeom(free.size, 90, wanted)

        def draw() -> Hashable:
            return int(marked[pool.sample(pools=1, size=wanted, by="uniform", rng=rng)[0]].sum())

        assert _p_value(draw, 3000, {k: distribution.pmf(k) for k in range(min(90, wanted) + 1)}) > 0.01

    def test_each_of_several_pools_is_a_hypergeometric_sample_too(self) -> None:
        pool = _pool((50, 20))
        rng = np.random.default_rng(19)
        distribution = scipy.stats.hypergeom(1000, 200, 15)
        for which in (0, 7):

            def draw(which: int = which) -> Hashable:
                return int((pool.sample(pools=8, size=15, by="uniform", rng=rng)[which] < 200).sum())

            assert _p_value(draw, 2000, {k: distribution.pmf(k) for k in range(16)}) > 0.01

    @pytest.mark.parametrize("images", [10**3, 10**6, 18 * 10**6, 10**8])
    def test_draws_spread_evenly_over_pools_of_any_size(self, images: int) -> None:
        pool = _pool((images, 128), taken=range(20_000))
        rng = np.random.default_rng(20)
        drawn = np.concatenate(pool.sample(pools=256, size=100, by="uniform", rng=rng))
        places = (drawn - 20_000) / (pool.regions - 20_000)
        assert scipy.stats.kstest(places, "uniform").pvalue > 0.01
        assert scipy.stats.chisquare(np.bincount(drawn % 128, minlength=128)).pvalue > 0.01
        assert abs(scipy.stats.spearmanr(np.arange(drawn.size), drawn).statistic) < 0.02


class TestByImages:
    def test_as_few_images_are_drawn_as_hold_the_candidates(self) -> None:
        for pool, count, size, images in ((_pool((257, 24)), 24, 10, 10), (_pool((2605, 128)), 256, 100, 200)):
            drawn = pool.sample(pools=count, size=size, by="images", rng=np.random.default_rng(1))
            assert np.unique(pool.locate(np.concatenate(drawn))[0]).size == images

    def test_images_with_few_regions_left_need_more_images_and_exhausted_ones_are_passed_over(self) -> None:
        pool = _pool((400, 24))
        pool.take(np.arange(200 * 24))
        later = np.arange(200, 400)
        pool.take((later[:, None] * 24 + np.arange(22)).ravel())
        drawn = pool.sample(pools=10, size=10, by="images", rng=np.random.default_rng(1))
        images = pool.locate(np.concatenate(drawn))[0]
        assert images.min() >= 200
        assert np.unique(images).size == 50

    def test_every_outcome_has_the_probability_that_drawing_image_after_image_gives_it(self) -> None:
        pool = _pool((2, 2), (1, 1), (2, 3), taken=[1, 4, 7])
        left = {0: [0], 1: [2, 3], 3: [5, 6], 4: [8, 9, 10]}
        probability: Counter[frozenset[int]] = Counter()
        orders = list(itertools.permutations(left))
        for order in orders:
            regions: list[int] = []
            for image in order:
                if len(regions) < 3:
                    regions += left[image]
            for subset in itertools.combinations(regions, 3):
                probability[frozenset(subset)] += 1 / len(orders) / math.comb(len(regions), 3)  # type: ignore[assignment]
        rng = np.random.default_rng(21)

        def draw() -> Hashable:
            return frozenset(pool.sample(pools=1, size=3, by="images", rng=rng)[0].tolist())

        assert _p_value(draw, 6000, probability) > 0.01

    def test_the_probabilities_hold_where_drawing_goes_on_after_a_first_batch(self) -> None:
        # 60 images of one region and one of 100, in a random order: the large one comes p-th, and is needed if p < 40.
        pool = _pool((60, 1), (1, 100))
        rng = np.random.default_rng(22)
        probability = dict.fromkeys(range(41), 0.0)
        for p in range(61):
            distribution = scipy.stats.hypergeom(p + 100, 100, 40)
            for k in probability:
                probability[k] += (distribution.pmf(k) if p < 40 else float(k == 0)) / 61

        def draw() -> Hashable:
            return int((pool.sample(pools=4, size=10, by="images", rng=rng)[0] >= 60).sum())

        def draw_all() -> Hashable:
            return int((np.concatenate(pool.sample(pools=4, size=10, by="images", rng=rng)) >= 60).sum())

        assert _p_value(draw_all, 4000, probability) > 0.01
        thinned = dict.fromkeys(range(11), 0.0)
        for total, share in probability.items():
            for k in thinned:
                thinned[k] += share * float(scipy.stats.hypergeom.pmf(k, 40, total, 10))
        assert _p_value(draw, 4000, thinned) > 0.01

    def test_the_order_of_candidates_says_nothing_of_their_image(self) -> None:
        pool = _pool((10**6, 24))
        drawn = np.concatenate(pool.sample(pools=256, size=100, by="images", rng=np.random.default_rng(23)))
        assert abs(scipy.stats.spearmanr(np.arange(drawn.size), drawn).statistic) < 0.02
        assert scipy.stats.chisquare(np.bincount(drawn % 24, minlength=24)).pvalue > 0.01
