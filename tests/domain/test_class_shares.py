"""What was counted by classes that have changed since, by those of today."""

import pytest

from service.domain.class_changes import added, merged, removed, renamed, reverted
from service.domain.class_shares import carried, shares
from service.domain.classes import ClassSet

THREE = ClassSet.from_json(
    {"classes": [{"id": n, "name": name, "color": [n, n, n]} for n, name in enumerate(("sky", "road", "car"))]}
)


def test_what_was_merged_is_summed_what_was_removed_is_gone_and_what_is_new_has_nothing() -> None:
    assert carried([5, 3, 2], THREE, THREE) == [5, 3, 2]
    assert carried([5, 3, 2], THREE, renamed(THREE, 1, "street")) == [5, 3, 2]
    assert carried([5, 3, 2], THREE, merged(THREE, [2], 1)) == [5, 5]
    assert carried([5, 3, 2], THREE, removed(THREE, 0, None)) == [3, 2]
    assert carried([5, 3, 2], THREE, added(THREE, name="bus", color=(9, 9, 9))) == [5, 3, 2, 0]


def test_what_was_part_of_another_class_then_is_not_guessed() -> None:
    one = merged(THREE, [2], 1)
    apart = reverted(one, THREE, one)
    assert carried([5, 5], one, apart) is None


def test_shares_are_of_the_whole() -> None:
    assert shares([1, 3]) == pytest.approx([0.25, 0.75])
    assert shares([0, 0]) is None
    assert shares(None) is None
