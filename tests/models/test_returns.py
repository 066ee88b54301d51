"""Returns over several rounds, worked out by hand; over one round, what a game has always remembered."""

import dataclasses
import json
from typing import Any

import pytest
import torch

from models.replay import Transition
from models.returns import NStep, PlayedRound


def played(number: int, pools: int = 2, reward: float = 0.0) -> PlayedRound:
    """A round whose tensors tell where they belong: state [[t]], candidate [t, pool, place]."""
    return PlayedRound(
        state_SF=torch.tensor([[float(number)]]),
        pools=tuple(torch.tensor([[number, k, n] for n in range(2 + k)]).float() for k in range(pools)),
        chosen=tuple(k + 1 for k in range(pools)),
        rewards=(reward,) * pools,
    )


def told(transition: Transition) -> tuple[object, ...]:
    """State, action, reward, next state, next pool and discount, as numbers."""
    following = transition.next_actions_NA
    return (
        transition.state_SF.item(),
        transition.action_A.tolist(),
        transition.reward,
        None if transition.next_state_SF is None else transition.next_state_SF.item(),
        None if following is None else [tuple(row) for row in following.tolist()],
        transition.discount,
    )


def played_through(returns: NStep, episode: list[PlayedRound]) -> list[tuple[Any, ...]]:
    transitions = []
    for held in episode:
        transitions += returns.arrive(held.state_SF, held.pools)
        returns.hold(held)
    return [told(transition) for transition in [*transitions, *returns.finish()]]


def test_one_round_gives_each_region_the_rounds_reward_and_the_next_rounds_pool() -> None:
    episode = [played(0, reward=0.1), played(1, reward=-0.3), played(2, reward=0.7)]
    expected = []
    for number, (held, following) in enumerate(zip(episode, [*episode[1:], None], strict=True)):
        for k in range(2):
            ahead = None if following is None else [(number + 1.0, float(k), float(n)) for n in range(2 + k)]
            next_state = None if following is None else number + 1.0
            expected.append((number, [number, k, k + 1], held.rewards[k], next_state, ahead, None))
    assert played_through(NStep(1, 0.9), episode) == expected


def test_three_rounds_are_summed_with_discounts_and_the_shorter_ones_at_the_end_have_no_future() -> None:
    rewards = [1.0, 2.0, 4.0, 8.0, 16.0]
    transitions = played_through(NStep(3, 0.5), [played(t, 1, reward) for t, reward in enumerate(rewards)])
    assert [(told[0], *told[2:4], told[5]) for told in transitions] == [
        (0, 1 + 1 + 1, 3, 0.125),
        (1, 2 + 2 + 2, 4, 0.125),
        (2, 4 + 4 + 4, None, None),
        (3, 8 + 8, None, None),
        (4, 16, None, None),
    ]
    assert transitions[0][4] == [(3.0, 0.0, 0.0), (3.0, 0.0, 1.0)]


def test_a_pool_that_has_no_counterpart_ahead_looks_at_the_last_one() -> None:
    transitions = played_through(NStep(2, 0.5), [played(0, 3), played(1, 3), played(2, 2)])
    assert [told[4][0][:2] for told in transitions[:3]] == [(2.0, 0.0), (2.0, 1.0), (2.0, 1.0)]


def test_where_nothing_is_left_to_choose_there_is_no_future() -> None:
    returns = NStep(1, 0.9)
    returns.hold(played(0, 1, 3.0))
    assert [told(t)[2:] for t in returns.arrive(torch.zeros(1, 1), ())] == [(3.0, None, None, None)]


def test_nothing_is_held_after_the_end() -> None:
    returns = NStep(2, 0.5)
    played_through(returns, [played(0), played(1)])
    assert returns.finish() == []
    assert returns.state_dict() == {}


@pytest.mark.parametrize("keep", [False, True])
def test_own_pools_are_kept_where_the_network_values_them(keep: bool) -> None:
    returns = NStep(1, 0.9, keep_pools=keep)
    held = played(4)
    returns.hold(held)
    second = returns.finish()[1]
    assert second.action_A.tolist() == [4, 1, 2]
    assert (second.pool_NA is held.pools[1]) is keep
    assert second.chosen == (2 if keep else 0)


def test_going_on_between_any_two_rounds_changes_nothing() -> None:
    episode = [played(t, 2, float(t)) for t in range(6)]
    expected = played_through(NStep(3, 0.9), episode)
    transitions, returns = [], NStep(3, 0.9)
    for held in episode:
        transitions += returns.arrive(held.state_SF, held.pools)
        returns.hold(held)
        state, meta = returns.state_dict(), json.loads(json.dumps(returns.meta()))
        returns = NStep(3, 0.9)
        returns.load_state_dict(state, meta)
    assert [told(transition) for transition in [*transitions, *returns.finish()]] == expected


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 round, not 0"):
        NStep(0, 0.9)
    returns = NStep(1, 0.9)
    returns.hold(played(0))
    with pytest.raises(ValueError, match="arrive at the next state before"):
        returns.hold(played(1))


def test_a_region_is_paid_its_own_reward_and_the_mean_of_later_rounds() -> None:
    first, second = (
        dataclasses.replace(played(t), rewards=rewards) for t, rewards in enumerate([(1.0, 5.0), (2.0, 4.0)])
    )
    transitions = played_through(NStep(2, 0.5), [first, second])
    assert [each[2] for each in transitions] == [1 + 1.5, 5 + 1.5, 2, 4]
