"""Waits after failures: twice as long each time, up to the longest, never quite together."""

from datetime import timedelta

import pytest

from service.domain.waits import at_once, longest_of, wait_after, waits_of


def test_each_further_failure_waits_twice_as_long_up_to_the_longest() -> None:
    waits = [wait_after(failures, longest=60.0, chance=0.5).total_seconds() for failures in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_chance_moves_a_wait_by_a_quarter_either_way() -> None:
    assert wait_after(4, longest=60.0, chance=0.0) == timedelta(seconds=6)
    assert wait_after(4, longest=60.0, chance=1.0) == timedelta(seconds=10)


@pytest.mark.parametrize("failures", [100, 10**6])
def test_however_often_it_failed_it_is_tried_again(failures: int) -> None:
    assert wait_after(failures, longest=60.0, chance=0.5) == timedelta(seconds=60)


def test_two_processes_wait_differently() -> None:
    one, other = waits_of(60.0), waits_of(60.0)
    assert [one(9) for _ in range(4)] != [other(9) for _ in range(4)]
    assert at_once(9) == timedelta(0)


def test_no_wait_is_longer_than_the_longest() -> None:
    waits = waits_of(60.0)
    assert longest_of(60.0) == timedelta(seconds=75)
    assert max(waits(9) for _ in range(100)) <= longest_of(60.0)
