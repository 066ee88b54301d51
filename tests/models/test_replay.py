"""The replay buffer: no duplicates where draws are uniform, surprises more often where they are prioritised."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replay import LEAST_PRIORITY, Batch, ReplayBuffer, Transition
from models.returns import NStep, PlayedRound
from tests.models.transitions import REGIONS, F, filled, rounds, step


class TestReplayBuffer:
    def test_keeps_the_newest(self) -> None:
        buffer = ReplayBuffer(5)
        for reward in range(8):
            buffer.add([step(float(reward), None)])
        assert sorted(buffer.sample(5, np.random.default_rng(0)).reward_B.tolist()) == [3, 4, 5, 6, 7]

    def test_samples_each_transition_as_often_as_any_other_and_none_twice(self) -> None:
        buffer, rng = ReplayBuffer(6), np.random.default_rng(0)
        buffer.add(step(float(reward), None) for reward in range(6))
        drawn = np.array([buffer.sample(3, rng).reward_B.tolist() for _ in range(2000)])
        assert all(len(set(row)) == 3 for row in drawn)
        counts = np.bincount(drawn.astype(int).ravel())
        assert np.abs(counts - 1000).max() < 110  # 5 standard deviations of a hypergeometric share

    def test_waits_for_enough(self) -> None:
        with pytest.raises(ValueError, match="holds 2 transitions, not yet 3"):
            filled(2, 4).sample(3, np.random.default_rng(0))

    def test_keeps_a_state_once_for_a_round_and_as_the_next_state_of_the_round_before(self) -> None:
        state = filled(600, 7).state_dict()
        assert len(state["state_T"]) == 21
        assert state["states_USF"].shape == (7, REGIONS, F)

    def test_forgets_states_with_their_last_transition(self) -> None:
        state = filled(4, 7).state_dict()  # the last round's three, and one of the round before it
        assert state["states_USF"].shape[0] == 2

    def test_an_empty_one_has_an_empty_state(self) -> None:
        buffer = filled(4, 7)
        buffer.load_state_dict(ReplayBuffer(4).state_dict())
        assert len(buffer) == 0

    @settings(max_examples=40, deadline=None)
    @given(
        capacity=st.integers(1, 20),
        played=st.integers(1, 6),
        seed=st.integers(0, 99),
        options=st.booleans(),
        alpha=st.sampled_from([0.0, 0.6]),
    )
    def test_what_was_saved_samples_alike_and_saves_alike(
        self, capacity: int, played: int, seed: int, options: bool, alpha: float
    ) -> None:
        buffer, again = filled(capacity, played, seed, alpha=alpha, options=options), ReplayBuffer(capacity, alpha)
        size = len(buffer)
        assert size == min(capacity, 3 * played)
        batch = buffer.sample(size, np.random.default_rng(seed), 0.4)
        buffer.update_priorities(batch.index_B, batch.reward_B)
        saved = buffer.state_dict()
        again.load_state_dict(saved)
        first, second = (held.sample(size, np.random.default_rng(seed), 0.4) for held in (buffer, again))
        for name in set(Batch.__slots__) - {"index_B"}:  # places are given anew, oldest first
            torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=0, atol=0, equal_nan=True)
        assert again.state_dict().keys() == saved.keys()
        for name, value in again.state_dict().items():
            torch.testing.assert_close(value, saved[name], rtol=0, atol=0, equal_nan=True)

    def test_what_is_not_used_is_not_put_away(self) -> None:
        assert set(filled(9, 3).state_dict()) == {
            *("states_USF", "state_T", "next_state_T", "actions_TA", "rewards_T"),
            *("pools_RA", "pool_count_U", "pool_T", "next_pool_T"),
        }

    def test_a_pool_that_is_one_round_s_future_and_the_next_one_s_own_is_put_away_once(self) -> None:
        returns, buffer = NStep(1, 0.9, keep_pools=True), ReplayBuffer(99)
        for number in range(3):  # two pools a round, of 3 and 2 candidates
            pools = (torch.full((3, 4), float(number)), torch.full((2, 4), -float(number)))
            buffer.add(returns.arrive(torch.zeros(5, 2), pools))
            returns.hold(PlayedRound(state_SF=torch.zeros(5, 2), pools=pools, chosen=(2, 1), rewards=(1.0, 1.0)))
        buffer.add(returns.finish())
        state = buffer.state_dict()
        assert state["pool_count_U"].tolist() == [3, 2, 3, 2, 3, 2]
        assert len(state["pools_RA"]) == 15
        assert state["pool_T"].tolist() == [0, 1, 2, 3, 4, 5]
        assert state["next_pool_T"].tolist() == [2, 3, 4, 5, -1, -1]
        again = ReplayBuffer(99)
        again.load_state_dict(state)
        first, second, *_ = again._transitions
        assert first.next_actions_NA is again._transitions[2].pool_NA
        assert first.pool_NA is not None
        assert first.pool_NA.tolist() == torch.zeros(3, 4).tolist()
        assert second.next_actions_NA is not None
        assert second.next_actions_NA.tolist() == torch.full((2, 4), -1.0).tolist()

    def test_uniform_draws_are_those_of_a_choice_without_replacement(self) -> None:
        batch = filled(20, 5).sample(6, np.random.default_rng(4), 0.7)
        assert batch.index_B.tolist() == np.random.default_rng(4).choice(15, 6, replace=False).tolist()
        assert batch.weight_B.tolist() == [1.0] * 6

    def test_holds_something(self) -> None:
        with pytest.raises(ValueError, match="at least 1 transition"):
            ReplayBuffer(0)


def test_a_transition_has_both_parts_of_its_future_or_neither() -> None:
    with pytest.raises(ValueError, match="both a next state and next actions, or neither"):
        Transition(state_SF=torch.zeros(1, 1), action_A=torch.zeros(2), reward=0.0, next_state_SF=torch.zeros(1, 1))
    with pytest.raises(ValueError, match="pool without candidates"):
        step(0.0, torch.zeros(0, 2).tolist())
    with pytest.raises(ValueError, match="Candidate 1 is not in the pool"):
        Transition(state_SF=torch.zeros(1, 1), action_A=torch.zeros(2), reward=0.0, chosen=1)


def test_pools_of_a_batch_are_padded_and_what_lacks_one_has_no_candidate() -> None:
    with_pool = rounds(2, torch.Generator().manual_seed(0), options=True)[0]  # no pool, 2 candidates, 3 candidates
    batch = Batch.of(with_pool)
    assert batch.pool_mask_BN.tolist() == [[False] * 3, [True, True, False], [True] * 3]
    assert batch.chosen_B.tolist() == [0, 0, 1]
    assert torch.equal(batch.pool_BNA[2, 1], batch.action_BA[2])
    assert not batch.pool_BNA[0].any()
    assert not batch.pool_BNA[1, 2].any()
    assert batch.discount_B.tolist() == [0.5, 0.625, 0.75]
    assert batch.index_B.tolist() == [-1, -1, -1]


def dice(*numbers: float) -> np.random.Generator:
    """Chance that says what it is told."""

    def random(size: int) -> np.ndarray:
        assert size == len(numbers)
        return np.array(numbers)

    return cast(np.random.Generator, SimpleNamespace(random=random))


def prioritised(priorities: list[float], alpha: float = 1.0, capacity: int = 8) -> ReplayBuffer:
    """Transitions whose rewards are 0, 1, 2, ..., with these priorities."""
    buffer = ReplayBuffer(capacity, alpha)
    buffer.add(step(float(reward), None) for reward in range(len(priorities)))
    buffer.update_priorities(torch.arange(len(priorities)), torch.tensor(priorities) - LEAST_PRIORITY)
    return buffer


class TestPrioritisedDraws:
    def test_each_stretch_of_the_summed_priorities_gives_one(self) -> None:
        # sums 1, 4, 6: of the stretches [0, 2), [2, 4) and [4, 6) the dice name 0.8, 3.0 and 5.8
        batch = prioritised([1.0, 3.0, 2.0]).sample(3, dice(0.4, 0.5, 0.9), 0.0)
        assert batch.reward_B.tolist() == [0.0, 1.0, 2.0]
        # 1.98, 2.0 and 4.0: a sum belongs to the transition after it
        assert prioritised([1.0, 3.0, 2.0]).sample(3, dice(0.99, 0.0, 0.0)).reward_B.tolist() == [1.0, 1.0, 2.0]

    def test_weights_undo_unequal_chances_and_the_largest_is_one(self) -> None:
        # chances 1/4 and 3/4 of 2 transitions: weights 1 / (2/4) and 1 / (6/4), over the larger
        buffer = prioritised([1.0, 3.0])
        assert buffer.sample(2, dice(0.1, 0.5), 1.0).weight_B.tolist() == pytest.approx([1.0, 1 / 3])
        assert buffer.sample(2, dice(0.1, 0.5), 0.5).weight_B.tolist() == pytest.approx([1.0, 3**-0.5])
        assert buffer.sample(2, dice(0.1, 0.5), 0.0).weight_B.tolist() == [1.0, 1.0]

    def test_chances_are_priorities_to_the_power_alpha(self) -> None:
        buffer, rng = prioritised([1.0, 4.0, 9.0, 16.0], alpha=0.5), np.random.default_rng(0)
        drawn = np.concatenate([buffer.sample(1, rng).reward_B.numpy() for _ in range(4000)]).astype(int)
        np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.1, 0.2, 0.3, 0.4], atol=0.03)

    def test_new_transitions_get_the_largest_priority_so_far_even_where_none_has_it_any_more(self) -> None:
        buffer = ReplayBuffer(8, 1.0)
        buffer.add([step(0.0, None), step(1.0, None)])
        assert buffer.state_dict()["priorities_T"].tolist() == [1.0, 1.0]
        buffer.update_priorities(torch.tensor([0]), torch.tensor([-5.0]))
        buffer.update_priorities(torch.tensor([0]), torch.tensor([2.0]))
        buffer.add([step(2.0, None)])
        expected = [2.0 + LEAST_PRIORITY, 1.0, 5.0 + LEAST_PRIORITY]
        assert buffer.state_dict()["priorities_T"].tolist() == pytest.approx(expected)

    def test_a_place_in_the_ring_stays_that_of_its_transition_when_others_make_room(self) -> None:
        buffer, rng = ReplayBuffer(3, 1.0), np.random.default_rng(0)
        for reward in range(5):
            buffer.add([step(float(reward), None)])
            for _ in range(9):  # often enough for each to be drawn
                batch = buffer.sample(len(buffer), rng)
                buffer.update_priorities(batch.index_B, batch.reward_B)
        state = buffer.state_dict()
        assert state["rewards_T"].tolist() == [2.0, 3.0, 4.0]
        assert state["priorities_T"].tolist() == pytest.approx([2.0, 3.0, 4.0], abs=2 * LEAST_PRIORITY)

    def test_a_smaller_buffer_goes_on_with_the_newest_and_their_priorities(self) -> None:
        again = ReplayBuffer(2, 1.0)
        again.load_state_dict(prioritised([1.0, 3.0, 2.0]).state_dict())
        assert again.state_dict()["rewards_T"].tolist() == [1.0, 2.0]
        assert again.state_dict()["priorities_T"].tolist() == pytest.approx([3.0, 2.0])
        again.add([step(3.0, None)])
        assert again.state_dict()["priorities_T"].tolist() == pytest.approx([2.0, 3.0])

    def test_what_a_uniform_buffer_put_away_starts_with_equal_priorities(self) -> None:
        again = ReplayBuffer(9, 1.0)
        again.load_state_dict(filled(9, 2).state_dict())
        assert again.state_dict()["priorities_T"].tolist() == [1.0] * 6

    def test_places_that_hold_nothing_and_errors_that_are_no_numbers_are_refused(self) -> None:
        buffer = prioritised([1.0, 3.0])
        for place in (-1, 2):
            with pytest.raises(ValueError, match="not in this buffer"):
                buffer.update_priorities(torch.tensor([place]), torch.ones(1))
        with pytest.raises(ValueError, match="not finite"):
            buffer.update_priorities(torch.tensor([0]), torch.tensor([torch.nan]))
        with pytest.raises(ValueError, match="alpha is 0"):
            ReplayBuffer(2, -0.1)
