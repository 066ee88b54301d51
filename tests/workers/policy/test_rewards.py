"""What regions are paid: the round's reward, their own influence, and both by their size so far."""

import math

import pytest

from workers.policy.game import Told
from workers.policy.rewards import Rewards


def told(reward: float, *influences: float) -> Told:
    return Told(reward=reward, gain=0.0, influences=influences)


def test_without_influence_all_regions_share_the_round_s() -> None:
    assert Rewards(standardise=False, influence=0.0).of(told(3.0), 2) == (3.0, 3.0)
    scaled = Rewards(standardise=True, influence=0.0)
    assert [scaled.of(told(each), 1)[0] for each in (3.0, 4.0)] == pytest.approx([1, 4 / math.sqrt(12.5)])


def test_each_part_is_in_its_own_size_so_far() -> None:
    rewards = Rewards(standardise=True, influence=0.25)
    size = math.sqrt((4e-8 + 16e-8) / 2)
    assert rewards.of(told(2.0, 2e-4, -4e-4), 2) == pytest.approx(
        [0.75 + 0.25 * 2e-4 / size, 0.75 - 0.25 * 4e-4 / size]
    )
    later = rewards.of(told(2.0, 3.0, 4.0), 2)
    size = math.sqrt((4e-8 + 16e-8 + 9 + 16) / 4)
    assert later == pytest.approx([0.75 + 0.25 * 3 / size, 0.75 + 0.25 * 4 / size])


def test_it_goes_on_from_what_was_put_away() -> None:
    one, other = (Rewards(standardise=True, influence=0.5) for _ in range(2))
    one.of(told(2.0, 1.0, 3.0), 2)
    other.load(one.meta())
    assert one.of(told(-1.0, 2.0), 1) == other.of(told(-1.0, 2.0), 1)


def test_an_influence_that_lacks_is_not_taken_for_another() -> None:
    with pytest.raises(ValueError, match="2 regions came with the influence of 1"):
        Rewards(standardise=True, influence=0.5).of(told(1.0, 2.0), 2)
