"""When label maps of several annotators agree, and what most of them say: by hand, and as a slower way of counting has it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.domain.agreement import agree, majority, pair_miou

MAPS = st.lists(arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, 255])), min_size=1, max_size=9)


def rows(*values: int) -> np.ndarray:
    return np.repeat(np.array(values, np.uint8)[:, None], 2, axis=1)


def test_miou_of_a_pair_is_the_mean_over_the_classes_that_are_in_either() -> None:
    # Class 0: 2 of 6 pixels; class 1: 2 of 4; class 5: none of 2; 7: 2 of 2.
    assert pair_miou(rows(0, 0, 1, 7), rows(0, 5, 1, 7)) == pytest.approx((2 / 4 + 2 / 2 + 0 / 2 + 2 / 2) / 4)
    assert pair_miou(rows(3), rows(3)) == 1.0


def test_an_ignored_pixel_does_not_agree_with_one_that_has_a_class() -> None:
    assert pair_miou(rows(255, 255), rows(1, 1)) == 0.0
    assert pair_miou(rows(255, 1), rows(255, 1)) == 1.0


def test_every_pair_must_have_the_miou_that_is_asked_for() -> None:
    near, far = rows(0, 0, 0, 1), rows(1, 1, 1, 1)
    assert agree([near, near], "miou", 1.0)
    assert not agree([near, near, far], "miou", 0.5)
    assert agree([near, near, far], "miou", 0.1)


def test_a_majority_is_more_than_half_and_elsewhere_the_last_map_stays() -> None:
    found, strict = majority([rows(0, 0, 1), rows(0, 1, 2), rows(3, 1, 0)])
    np.testing.assert_array_equal(found, rows(0, 1, 0))
    np.testing.assert_array_equal(strict, rows(1, 1, 0).astype(bool))
    found, strict = majority([rows(0, 1), rows(0, 2)])
    np.testing.assert_array_equal(found, rows(0, 2))
    assert agree([rows(0, 1), rows(0, 2)], "majority", 0.5)
    assert not agree([rows(0, 1), rows(0, 2)], "majority", 0.51)


@given(MAPS)
def test_majorities_are_as_counted_pixel_by_pixel(maps: list[np.ndarray]) -> None:
    found, strict = majority(maps)
    for place in np.ndindex(3, 4):
        votes = [int(each[place]) for each in maps]
        winners = [value for value in set(votes) if 2 * votes.count(value) > len(votes)]
        assert strict[place] == bool(winners)
        assert found[place] == (winners[0] if winners else votes[-1])


@given(MAPS)
def test_any_order_agrees_or_none_does(maps: list[np.ndarray]) -> None:
    for rule in ("miou", "majority"):
        assert agree(maps, rule, 0.7) == agree(maps[::-1], rule, 0.7)


def test_maps_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        pair_miou(rows(1), rows(1, 1))
    with pytest.raises(ValueError, match="one shape"):
        majority([])
