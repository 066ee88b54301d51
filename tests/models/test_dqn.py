"""Batch-mode DQN: TD targets worked out by hand, what moves and what stays, and a replay buffer without duplicates."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.dqn import DQN, Batch, DQNSettings, ReplayBuffer, Transition, epsilon
from models.query_network import QueryNetwork

CLASSES, REGIONS = 2, 3
F, A = CLASSES + 192, CLASSES + 192 + 64


class Table(nn.Module):
    """A network whose Q is one column of the action: 0, and 1 where it is the target."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.column = 0

    def forward(self, state_BSF: torch.Tensor, actions_BNA: torch.Tensor) -> torch.Tensor:
        return self.scale * actions_BNA[..., self.column]


def tables(**chosen: object) -> DQN:
    learner = DQN(Table(), DQNSettings(gamma=0.5, **chosen))
    learner.target.column = 1
    return learner


def step(reward: float, pool: list[list[float]] | None, action: tuple[float, float] = (0.0, 0.0)) -> Transition:
    """A transition whose candidates are (online Q, target Q)."""
    return Transition(
        state_SF=torch.zeros(1, 1),
        action_A=torch.tensor(action),
        reward=reward,
        next_state_SF=None if pool is None else torch.zeros(1, 1),
        next_actions_NA=None if pool is None else torch.tensor(pool),
    )


POOL = [[1.0, 10.0], [5.0, 2.0], [3.0, 20.0]]


class TestTargets:
    def test_standard_lets_the_online_network_pick_and_the_target_network_value(self):
        # online picks the second (5), which the target values at 2: 1 + 0.5 * 2
        assert tables(double="standard").td_targets(Batch.of([step(1.0, POOL)])).tolist() == [2.0]

    def test_paper_lets_the_target_network_pick_and_the_online_network_value(self):
        # target picks the third (20), which online values at 3: 1 + 0.5 * 3
        assert tables(double="paper").td_targets(Batch.of([step(1.0, POOL)])).tolist() == [2.5]

    @pytest.mark.parametrize("double", ["standard", "paper"])
    def test_a_last_transition_is_worth_its_reward(self, double):
        assert tables(double=double).td_targets(Batch.of([step(-3.0, None)])).tolist() == [-3.0]

    @pytest.mark.parametrize(("double", "expected"), [("standard", [2.0, -1.0, 7.0]), ("paper", [2.5, -1.5, 7.0])])
    def test_the_padding_of_a_shorter_pool_is_never_picked(self, double, expected):
        # of (-2, -4) and (-5, -3) standard picks the first, worth -4, paper the second, worth -5; padding would be 0
        batch = Batch.of([step(1.0, POOL), step(1.0, [[-2.0, -4.0], [-5.0, -3.0]]), step(7.0, None)])
        assert tables(double=double).td_targets(batch).tolist() == expected

    def test_gamma_is_the_settings(self):
        learner = tables()
        learner.settings = DQNSettings(gamma=0.999)
        assert learner.td_targets(Batch.of([step(0.0, POOL)])).item() == pytest.approx(0.999 * 2.0)


@pytest.mark.parametrize(("loss", "expected"), [("huber", (0.125 + 2.5) / 2), ("squared", (0.25 + 9.0) / 2)])
def test_the_loss_is_of_q_against_the_target(loss, expected):
    # Q 1.5 against 2.0 differs by 0.5, Q 0 against -3 by 3: Huber 0.5 * 0.25 and 3 - 0.5, squared 0.25 and 9
    batch = Batch.of([step(1.0, POOL, (1.5, 0.0)), step(-3.0, None)])
    update = tables(loss=loss).update(batch)
    assert update.loss == pytest.approx(expected)
    assert update.q_mean == pytest.approx(0.75)


def test_one_step_moves_the_weights_as_sgd_with_weight_decay_does():
    # dL/dscale = mean over 2 of 2 * (1.5 - 2) * 1.5 and 0 = -0.75; decay adds 0.1 * 1; 1 - 0.1 * (-0.65)
    learner = tables(loss="squared", lr=0.1, weight_decay=0.1)
    learner.update(Batch.of([step(1.0, POOL, (1.5, 0.0)), step(0.0, None)]))
    assert learner.online.scale.item() == pytest.approx(1.065)
    assert learner.target.scale.item() == 1.0


def test_epsilon_falls_from_nine_tenths_to_one_twentieth():
    values = [epsilon(rounds, DQNSettings()) for rounds in (0, 10, 1000)]
    assert values == [pytest.approx(0.9), pytest.approx(0.05 + 0.85 / math.e), pytest.approx(0.05)]


def rounds(count: int, generator: torch.Generator, *, regions: int = 3, pool: int = 4) -> list[list[Transition]]:
    """An episode in random numbers: each round's next state is the next round's state, the last round has none."""
    states = [torch.rand(REGIONS, F, generator=generator) for _ in range(count)]
    episode = []
    for number, state in enumerate(states):
        last = number == count - 1
        reward = float(torch.rand((), generator=generator))
        episode.append(
            [
                Transition(
                    state_SF=state,
                    action_A=torch.rand(A, generator=generator),
                    reward=reward,
                    next_state_SF=None if last else states[number + 1],
                    next_actions_NA=None if last else torch.rand(1 + k % pool, A, generator=generator),
                )
                for k in range(regions)
            ]
        )
    return episode


def filled(capacity: int, count: int, seed: int = 0) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity)
    for transitions in rounds(count, torch.Generator().manual_seed(seed)):
        buffer.add(transitions)
    return buffer


def learner(**chosen: object) -> DQN:
    return DQN(QueryNetwork(CLASSES, REGIONS), DQNSettings(**{"lr": 1e-2, **chosen}))


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


class TestNetworks:
    def test_an_update_moves_no_tensor_of_the_target_network_statistics_included(self):
        dqn, batch = learner(), filled(30, 10).sample(16, np.random.default_rng(0))
        online, target = copied(dqn.online), copied(dqn.target)
        dqn.update(batch)
        assert moved(target, dqn.target) == set()
        assert {"state_rows.0.running_mean", "action_rows.6.running_var", "head.weight"} <= moved(online, dqn.online)

    def test_bootstrapping_moves_no_statistics_and_does_not_depend_on_the_rest_of_the_batch(self):
        dqn, buffer = learner(), filled(30, 10)
        dqn.update(buffer.sample(16, np.random.default_rng(0)))
        transitions = list(buffer._transitions)[:8]
        online = copied(dqn.online)
        together = dqn.td_targets(Batch.of(transitions))
        alone = torch.cat([dqn.td_targets(Batch.of([transition])) for transition in transitions])
        torch.testing.assert_close(together, alone)
        assert moved(online, dqn.online) == set()

    def test_syncing_copies_parameters_and_statistics(self):
        dqn = learner()
        dqn.update(filled(30, 10).sample(16, np.random.default_rng(0)))
        assert "action_rows.0.running_mean" in moved(copied(dqn.online), dqn.target)
        dqn.sync_target()
        assert moved(copied(dqn.online), dqn.target) == set()
        assert not dqn.target.training

    def test_the_online_network_is_ready_for_picking_before_and_after_an_update(self):
        dqn = learner()
        assert not dqn.online.training
        dqn.update(filled(30, 10).sample(16, np.random.default_rng(0)))
        assert not dqn.online.training

    def test_the_state_branch_sees_each_transition_once_not_once_for_each_candidate(self):
        dqn, seen = learner(), []
        transitions = [t for t in rounds(9, torch.Generator().manual_seed(1), regions=2, pool=20)[0] for _ in range(8)]
        for network in (dqn.online, dqn.target):
            network.state_rows.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
        dqn.update(Batch.of(transitions))
        assert seen == [16 * REGIONS] * 3  # picking, valuing, learning

    def test_the_learning_rate_never_decays(self):
        dqn, buffer, rng = learner(), filled(30, 10), np.random.default_rng(0)
        for _ in range(20):
            dqn.update(buffer.sample(4, rng))
            dqn.sync_target()
        assert [group["lr"] for group in dqn.optimizer.param_groups] == [1e-2]

    def test_a_single_transition_is_refused_with_a_sentence(self):
        with pytest.raises(ValueError, match="at least 2 are needed"):
            learner().update(filled(30, 10).sample(1, np.random.default_rng(0)))

    def test_going_on_from_its_state_is_the_same_as_never_having_stopped(self):
        buffer, rng = filled(30, 10), np.random.default_rng(0)
        batches = [buffer.sample(8, rng) for _ in range(5)]
        dqn = learner()
        for batch in batches[:3]:
            dqn.update(batch)
        dqn.sync_target()
        dqn.update(batches[3])
        saved = dqn.state_dict()
        expected = dqn.update(batches[4])
        again = DQN(QueryNetwork(CLASSES, REGIONS, generator=torch.Generator().manual_seed(9)), DQNSettings(lr=1e-2))
        again.load_state_dict(saved)
        assert again.update(batches[4]) == expected
        assert moved(copied(dqn.online), again.online) == set()
        assert moved(copied(dqn.target), again.target) == set()

    def test_a_fresh_state_has_no_momentum_and_loads(self):
        fresh, used = learner(), learner()
        used.update(filled(30, 10).sample(8, np.random.default_rng(0)))
        assert not [name for name in fresh.state_dict() if name.startswith("momentum.")]
        used.load_state_dict(fresh.state_dict())
        assert used.state_dict().keys() == fresh.state_dict().keys()

    def test_learns_which_of_five_arms_pays(self):
        generator, rng = torch.Generator().manual_seed(3), np.random.default_rng(3)
        arms, state = torch.rand(5, A, generator=generator), torch.rand(REGIONS, F, generator=generator)
        buffer = ReplayBuffer(100)
        buffer.add(Transition(state_SF=state, action_A=arms[n % 5], reward=float(n % 5 == 3)) for n in range(100))
        dqn = learner()
        for _ in range(150):
            dqn.update(buffer.sample(16, rng))
        q = dqn.online(state[None], arms[None])[0].detach()
        assert q.argmax() == 3
        assert q[3].item() == pytest.approx(1.0, abs=0.25)
        assert q[[0, 1, 2, 4]].abs().max() < 0.25


class TestReplayBuffer:
    def test_keeps_the_newest(self):
        buffer = ReplayBuffer(5)
        for reward in range(8):
            buffer.add([step(float(reward), None)])
        assert sorted(buffer.sample(5, np.random.default_rng(0)).reward_B.tolist()) == [3, 4, 5, 6, 7]

    def test_samples_each_transition_as_often_as_any_other_and_none_twice(self):
        buffer, rng = ReplayBuffer(6), np.random.default_rng(0)
        buffer.add(step(float(reward), None) for reward in range(6))
        drawn = np.array([buffer.sample(3, rng).reward_B.tolist() for _ in range(2000)])
        assert all(len(set(row)) == 3 for row in drawn)
        counts = np.bincount(drawn.astype(int).ravel())
        assert np.abs(counts - 1000).max() < 110  # 5 standard deviations of a hypergeometric share

    def test_waits_for_enough(self):
        with pytest.raises(ValueError, match="holds 2 transitions, not yet 3"):
            filled(2, 4).sample(3, np.random.default_rng(0))

    def test_keeps_a_state_once_for_a_round_and_as_the_next_state_of_the_round_before(self):
        state = filled(600, 7).state_dict()
        assert len(state["state_T"]) == 21
        assert state["states_USF"].shape == (7, REGIONS, F)

    def test_forgets_states_with_their_last_transition(self):
        state = filled(4, 7).state_dict()  # the last round's three, and one of the round before it
        assert state["states_USF"].shape[0] == 2

    def test_an_empty_one_has_an_empty_state(self):
        buffer = filled(4, 7)
        buffer.load_state_dict(ReplayBuffer(4).state_dict())
        assert len(buffer) == 0

    @settings(max_examples=25, deadline=None)
    @given(capacity=st.integers(1, 20), played=st.integers(1, 6), seed=st.integers(0, 99))
    def test_what_was_saved_samples_alike_and_saves_alike(self, capacity, played, seed):
        buffer, again = filled(capacity, played, seed), ReplayBuffer(capacity)
        saved = buffer.state_dict()
        again.load_state_dict(saved)
        size = len(buffer)
        assert size == min(capacity, 3 * played)
        first, second = (held.sample(size, np.random.default_rng(seed)) for held in (buffer, again))
        for name in Batch.__slots__:
            assert torch.equal(getattr(first, name), getattr(second, name)), name
        for name, value in again.state_dict().items():
            assert torch.equal(value, saved[name]), name

    def test_holds_something(self):
        with pytest.raises(ValueError, match="at least 1 transition"):
            ReplayBuffer(0)


def test_a_transition_has_both_parts_of_its_future_or_neither():
    with pytest.raises(ValueError, match="both a next state and next actions, or neither"):
        Transition(state_SF=torch.zeros(1, 1), action_A=torch.zeros(2), reward=0.0, next_state_SF=torch.zeros(1, 1))
    with pytest.raises(ValueError, match="pool without candidates"):
        step(0.0, torch.zeros(0, 2).tolist())
