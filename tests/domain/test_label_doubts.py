"""A census of label maps, and what it says of them."""

import numpy as np
import pytest

from service.domain.label_doubts import Census
from tests.workers.conftest import CLASSES


def census(*maps: tuple[list[int], int]) -> Census:
    found = Census(CLASSES)
    for counts, ignored in maps:
        found.add(np.array(counts, np.int64), ignored)
    return found


def test_it_counts_pixels_and_the_maps_that_hold_a_class() -> None:
    found = census(([5, 0, 1], 2), ([1, 0, 0], 0), ([0, 0, 0], 7))
    assert found.pixels_C.tolist() == [6, 0, 1]
    assert found.images_C.tolist() == [2, 0, 1]
    assert (found.ignored, found.pixels) == (9, 16)
    assert found.share_ignored == pytest.approx(9 / 16)
    assert found.missing_classes() == [f"No label map holds {CLASSES.names[1]}."]


def test_without_a_label_map_nothing_is_ignored() -> None:
    found = census()
    assert (found.pixels, found.share_ignored, found.too_much_ignored(0.0)) == (0, 0.0, [])


@pytest.mark.parametrize(("most", "said"), [(0.5, False), (0.49, True), (1.0, False)])
def test_a_larger_share_than_should_be_ignored_is_said(most: float, said: bool) -> None:
    assert bool(census(([1, 1, 0], 2)).too_much_ignored(most)) is said


def test_where_all_is_ignored_all_classes_are_missing() -> None:
    found = census(([0, 0, 0], 12))
    assert found.missing_classes() == [f"No label map holds {', '.join(CLASSES.names)}."]
    assert found.too_much_ignored(0.5) == [
        f"100% of the label maps' pixels are ignored, more than 50%: is {CLASSES.ignore_id} a class there?"
    ]
