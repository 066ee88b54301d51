"""Splits: a state set that looks like the whole, and explicit lists of names."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon

from service.domain.splits import draw_state_set, jensen_shannon, split_by_names

counts = arrays(np.int64, (7, 4), elements=st.integers(0, 50)).filter(lambda each: each.any())


@given(counts)
def test_the_divergence_is_the_square_of_scipys_distance(histograms: np.ndarray) -> None:
    whole = histograms.sum(axis=0)
    for row, divergence in zip(histograms, jensen_shannon(histograms, whole), strict=True):
        expected = jensenshannon(row, whole) ** 2 if row.any() else np.log(2)
        assert divergence == pytest.approx(expected, abs=1e-12)


@given(counts, st.integers(1, 7), st.integers(0, 2**32))
def test_a_state_set_is_that_many_different_images_in_order(histograms: np.ndarray, size: int, seed: int) -> None:
    chosen = draw_state_set(histograms, size, np.random.default_rng(seed))
    assert chosen.dtype == np.int64
    assert chosen.shape == (size,)
    assert (np.diff(chosen) > 0).all()
    assert chosen.min() >= 0
    assert chosen.max() < 7


def test_the_state_set_is_the_best_of_all_subsets_of_a_small_dataset() -> None:
    histograms = np.random.default_rng(3).dirichlet(np.full(5, 0.3), size=14) * 1000
    whole = histograms.sum(axis=0)
    subsets = [list(each) for each in itertools.combinations(range(14), 3)]
    divergences = [jensenshannon(histograms[each].sum(axis=0), whole) for each in subsets]
    chosen = draw_state_set(histograms, 3, np.random.default_rng(0))
    assert chosen.tolist() == subsets[int(np.argmin(divergences))]


def test_a_drawn_state_set_is_far_closer_to_the_whole_than_random_ones() -> None:
    histograms = np.random.default_rng(4).dirichlet(np.full(11, 0.3), size=300) * 1000
    whole = histograms.sum(axis=0)
    random = [np.random.default_rng(seed).permutation(300)[:10] for seed in range(500)]
    least = min(jensenshannon(histograms[each].sum(axis=0), whole) for each in random)
    chosen = draw_state_set(histograms, 10, np.random.default_rng(1))
    assert jensenshannon(histograms[chosen].sum(axis=0), whole) < least / 4


def test_more_trials_escape_from_poor_local_optima() -> None:
    histograms = np.random.default_rng(5).dirichlet(np.full(4, 0.2), size=12) * 1000
    whole = histograms.sum(axis=0)

    def divergences(trials: int) -> list[float]:
        drawn = [draw_state_set(histograms, 4, np.random.default_rng(seed), trials=trials) for seed in range(20)]
        return [float(jensenshannon(histograms[each].sum(axis=0), whole)) for each in drawn]

    few, many = divergences(1), divergences(20)
    assert all(more <= one for one, more in zip(few, many, strict=True))
    subsets = [list(each) for each in itertools.combinations(range(12), 4)]
    least = min(jensenshannon(histograms[each].sum(axis=0), whole) for each in subsets)
    assert max(many) == pytest.approx(least)
    assert max(few) > 1.1 * least


def test_the_same_generator_state_draws_the_same_set() -> None:
    histograms = np.random.default_rng(3).integers(0, 1000, size=(100, 11))
    first = draw_state_set(histograms, 10, np.random.default_rng(8))
    np.testing.assert_array_equal(first, draw_state_set(histograms, 10, np.random.default_rng(8)))


def test_images_without_labels_are_left_out_where_others_do() -> None:
    histograms = np.array([[0, 0], [5, 5], [0, 0], [5, 5]])
    assert draw_state_set(histograms, 1, np.random.default_rng(0))[0] in (1, 3)


def test_identical_images_end_the_search() -> None:
    assert draw_state_set(np.ones((50, 3)), 5, np.random.default_rng(0)).size == 5


@pytest.mark.parametrize("size", [0, 3, -1])
def test_a_size_that_the_images_do_not_allow_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 2 images, the images there are, not {size}"):
        draw_state_set([[1, 2], [3, 4]], size, np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [[[0, 0], [0, 0]], [[1, -1], [1, 1]], [[np.nan, 1], [1, 1]], [1, 2]])
def test_histograms_that_hold_no_counts_are_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="Histograms"):
        draw_state_set(wrong, 1, np.random.default_rng(0))


def test_names_become_places_in_the_order_listed() -> None:
    split = split_by_names(["a", "b", "c", "d"], {"pool": ["d", "a"], "test": [], "state": ["b"]})
    assert split == {"pool": [3, 0], "test": [], "state": [1]}


@pytest.mark.parametrize(
    ("names", "wanted", "sentence"),
    [
        (["a"], {"pool": ["a", "x"], "test": ["y", "x"]}, "no image named x, y\\."),
        (["a", "b"], {"pool": ["a", "b", "a"]}, "list more than once a\\."),
        (["a", "b"], {"state": ["b"], "pool": ["a", "b"]}, "list more than once b\\."),
        (["a", "b", "a"], {"pool": ["b"]}, "more than one image named a\\."),
        ([], {"pool": [f"image {place}" for place in range(12)]}, "image 0, .*image 9 and 2 more\\."),
    ],
)
def test_names_that_do_not_fit_are_named(names: list[str], wanted: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        split_by_names(names, wanted)
