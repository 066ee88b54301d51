"""What a live round looked like: kept and remembered exactly, and made transitions of by whoever looks alike."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.blend import Blend
from models.dqn import NStep
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import ViewSettings
from models.turns_network import FEATURES, TurnsNetwork
from tests.models.candidates import seeded
from tests.workers.policy.small_trainer import play_episode, trainer
from workers.loop.round import Proposal
from workers.policy.game import Asked
from workers.policy.memories import LiveRound, kept, over_trend, remembered, rows_of, transitions


def asked(seed: int, pools: int = 2, width: int = FEATURES) -> Asked:
    rows = torch.randn(pools, 3, width, generator=seeded(seed))
    return Asked(state_SF=torch.zeros(0, 0), pools=tuple(rows), chosen=tuple(k % 3 for k in range(pools)))


def live(number: int, gain: float = 0.0, **seen: int) -> LiveRound:
    return LiveRound(number=number, gain=gain, rows=rows_of(TurnsNetwork(4)), asked=asked(number, **seen))


def paid(reward: float, regions: int) -> tuple[float, ...]:
    return (reward,) * regions


def made(rounds: Sequence[LiveRound], n: int = 1) -> list[tuple[float, bool]]:
    """Rewards of the first pools' transitions, and whether what came next is known."""
    found = transitions(rounds, asked(0), rows_of(TurnsNetwork(4)), lambda: NStep(n, 0.9, keep_pools=True), paid)
    return [(round(each.reward, 6), each.next_actions_NA is not None) for each in found[::2]]


def test_a_round_is_remembered_as_it_was_seen() -> None:
    seen = asked(1)
    proposal = Proposal(
        round_number=4, strategy="learned", regions=(), state_SF=seen.state_SF, actions=seen.pools, chosen=seen.chosen, seconds={}
    )  # fmt: skip
    data = kept(Blend(), proposal)
    assert data is not None
    again = remembered(data, number=4, gain=1.5)
    assert (again.number, again.gain, again.rows, again.asked.chosen) == (4, 1.5, rows_of(TurnsNetwork(4)), seen.chosen)
    assert all(torch.equal(*pair) for pair in zip(again.asked.pools, seen.pools, strict=True))


def test_of_a_round_that_no_policy_looked_at_nothing_is_kept() -> None:
    assert kept(Blend(), Proposal(round_number=1, strategy="random", regions=(), seconds={})) is None


def test_who_looks_alike_and_who_does_not() -> None:
    bare = RegionwiseSettings(width=4, view=ViewSettings(state=False))
    looks = [Blend(), TurnsNetwork(4), RegionwiseNetwork(RegionwiseSettings(width=4)), RegionwiseNetwork(bare)]
    assert rows_of(looks[0]) == rows_of(looks[1])
    assert len({rows_of(each) for each in (*looks, QueryNetwork(3, 24))}) == 4


def test_gains_are_set_beside_a_line_through_the_logarithm_of_their_place() -> None:
    places = np.log(np.arange(1, 7))
    above = np.array([0.5, -0.5, 0.0, 0.0, 0.0, 0.0])
    gains = 4 - 2 * places + above
    design = np.stack([np.ones(6), places], 1)
    expected = gains - design @ np.linalg.lstsq(design, gains, rcond=None)[0]
    np.testing.assert_allclose(over_trend(gains.tolist()), expected / np.sqrt(np.mean(expected**2)), atol=1e-9)
    assert over_trend([3.0, 3.0, 3.0]) == pytest.approx([0.0, 0.0, 0.0])


def test_rounds_one_after_the_other_are_transitions_of_each_other_and_a_gap_ends_a_run() -> None:
    gains = [1.0, 3.0, -2.0, 5.0]
    over = over_trend(gains)
    rounds = [live(number, gain) for number, gain in zip((1, 2, 4, 5), gains, strict=True)]
    assert made(rounds) == [(round(over[0], 6), True), (round(over[2], 6), True)]
    assert made(rounds, n=2) == []
    assert made(rounds[1:3]) == []  # too few to tell anything


def test_what_was_looked_at_otherwise_is_left_out() -> None:
    other = LiveRound(number=2, gain=0.0, rows="other", asked=asked(2))
    assert len(made([live(1), live(2), live(3)])) == 2
    assert len(made([live(1), other, live(3), live(4)])) == 1
    assert made([live(number, width=4) for number in (1, 2, 3)]) == []


@pytest.mark.parametrize("rounds", [0, 3])
def test_a_trainer_begins_with_them_in_mind(rounds: int) -> None:
    learning = trainer(
        network=TurnsNetwork(4), twin=False, live=[live(number, float(number)) for number in range(1, rounds + 1)]
    )
    learning.play_round()
    # With returns over two rounds the first of three is known; a region of each of its two pools.
    assert len(learning.buffers[0]) == (2 if rounds else 0)
    play_episode(learning)
    assert len(learning.buffers[0]) > 8
