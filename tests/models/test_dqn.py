"""Batch-mode DQN: TD targets worked out by hand, what moves and what stays, and what each option changes."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from models.dqn import DQN, Batch, DQNSettings, ReplayBuffer, Transition, epsilon
from models.query_network import QueryNetwork
from tests.models.transitions import CLASSES, REGIONS, A, F, filled, rounds, step


class Table(nn.Module):
    """A network whose Q is one column of the action: 0, and 1 where it is the target."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.column = 0

    def forward(self, state_BSF: torch.Tensor, actions_BNA: torch.Tensor) -> torch.Tensor:
        return self.scale * actions_BNA[..., self.column]


def tables(**chosen: Any) -> DQN[Table]:
    learner = DQN(Table(), DQNSettings(gamma=0.5, **chosen))
    learner.target.column = 1
    return learner


POOL = [[1.0, 10.0], [5.0, 2.0], [3.0, 20.0]]


class TestTargets:
    def test_standard_lets_the_online_network_pick_and_the_target_network_value(self) -> None:
        # online picks the second (5), which the target values at 2: 1 + 0.5 * 2
        assert tables(double="standard").td_targets(Batch.of([step(1.0, POOL)])).tolist() == [2.0]

    def test_paper_lets_the_target_network_pick_and_the_online_network_value(self) -> None:
        # target picks the third (20), which online values at 3: 1 + 0.5 * 3
        assert tables(double="paper").td_targets(Batch.of([step(1.0, POOL)])).tolist() == [2.5]

    @pytest.mark.parametrize("double", ["standard", "paper"])
    def test_a_last_transition_is_worth_its_reward(self, double: str) -> None:
        assert tables(double=double).td_targets(Batch.of([step(-3.0, None)])).tolist() == [-3.0]

    @pytest.mark.parametrize(("double", "expected"), [("standard", [2.0, -1.0, 7.0]), ("paper", [2.5, -1.5, 7.0])])
    def test_the_padding_of_a_shorter_pool_is_never_picked(self, double: str, expected: list[float]) -> None:
        # of (-2, -4) and (-5, -3) standard picks the first, worth -4, paper the second, worth -5; padding would be 0
        batch = Batch.of([step(1.0, POOL), step(1.0, [[-2.0, -4.0], [-5.0, -3.0]]), step(7.0, None)])
        assert tables(double=double).td_targets(batch).tolist() == expected

    def test_gamma_is_the_settings(self) -> None:
        learner = tables()
        learner.settings = DQNSettings(gamma=0.999)
        assert learner.td_targets(Batch.of([step(0.0, POOL)])).item() == pytest.approx(0.999 * 2.0)

    def test_a_transition_over_several_rounds_brings_its_own_discount(self) -> None:
        # 1 + 0.25 * 2 beside 1 + 0.5 * 2
        batch = Batch.of([dataclasses.replace(step(1.0, POOL), discount=0.25), step(1.0, POOL)])
        assert tables().td_targets(batch).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(("loss", "expected"), [("huber", (0.125 + 2.5) / 2), ("squared", (0.25 + 9.0) / 2)])
def test_the_loss_is_of_q_against_the_target(loss: str, expected: float) -> None:
    # Q 1.5 against 2.0 differs by 0.5, Q 0 against -3 by 3: Huber 0.5 * 0.25 and 3 - 0.5, squared 0.25 and 9
    batch = Batch.of([step(1.0, POOL, (1.5, 0.0)), step(-3.0, None)])
    update = tables(loss=loss).update(batch)
    assert update.loss == pytest.approx(expected)
    assert update.q_mean == pytest.approx(0.75)
    assert update.td_error_B.tolist() == [0.5, -3.0]


def test_the_gap_is_how_far_the_networks_are_apart_on_the_actions_taken() -> None:
    batch = Batch.of([step(0.0, None, (1.5, 0.5)), step(0.0, None, (-1.0, 2.0))])
    assert tables().update(batch).target_gap == pytest.approx((1.0 + 3.0) / 2)


def test_prioritised_replay_weighs_the_loss() -> None:
    # Huber losses 0.125 and 2.5 as above, weighed 1 and 0.5
    transitions = [step(1.0, POOL, (1.5, 0.0)), step(-3.0, None)]
    batch = Batch.of(transitions, weight_B=torch.tensor([1.0, 0.5]))
    assert tables(prioritised_alpha=0.6).update(batch).loss == pytest.approx((0.125 + 1.25) / 2)
    assert tables().update(batch).loss == pytest.approx((0.125 + 2.5) / 2)


def test_one_step_moves_the_weights_as_sgd_with_weight_decay_does() -> None:
    # dL/dscale = mean over 2 of 2 * (1.5 - 2) * 1.5 and 0 = -0.75; decay adds 0.1 * 1; 1 - 0.1 * (-0.65)
    learner = tables(loss="squared", lr=0.1, weight_decay=0.1)
    learner.update(Batch.of([step(1.0, POOL, (1.5, 0.0)), step(0.0, None)]))
    assert learner.online.scale.item() == pytest.approx(1.065)
    assert learner.target.scale.item() == 1.0


def test_adamw_moves_by_the_learning_rate_at_first_and_decays_apart_from_it() -> None:
    # 1 - 0.1 * 0.1 * 1 (decay), then 0.1 * g / |g| against the gradient of -0.75
    learner = tables(optimizer="adamw", loss="squared", lr=0.1, weight_decay=0.1)
    learner.update(Batch.of([step(1.0, POOL, (1.5, 0.0)), step(0.0, None)]))
    assert learner.online.scale.item() == pytest.approx(1 - 0.01 + 0.1)


@pytest.mark.parametrize(("clip", "moved_by"), [(0.5, 0.05), (2.0, 0.075), (None, 0.075)])
def test_clipping_bounds_the_norm_of_the_gradient(clip: float | None, moved_by: float) -> None:
    learner = tables(loss="squared", lr=0.1, weight_decay=0.0, clip=clip)
    learner.update(Batch.of([step(1.0, POOL, (1.5, 0.0)), step(0.0, None)]))
    assert learner.online.scale.item() == pytest.approx(1 + moved_by)


@pytest.mark.parametrize(
    ("chosen", "sentence"), [({"optimizer": "adam"}, "no optimizer 'adam': choose"), ({"clip": 0.0}, "norm above 0")]
)
def test_settings_that_mean_nothing_are_refused(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DQNSettings(**chosen)


def test_a_network_without_batchnorm_learns_from_a_single_transition() -> None:
    assert tables().update(Batch.of([step(1.0, None, (0.5, 0.0))])).td_error_B.tolist() == [0.5]


class Centred(Table):
    """A network whose Q is the action's column less its mean over the pool."""

    needs_pool = True

    def forward(
        self, state_BSF: torch.Tensor, actions_BNA: torch.Tensor, mask_BN: torch.Tensor | None = None
    ) -> torch.Tensor:
        assert mask_BN is not None
        q_BN = super().forward(state_BSF, actions_BNA)
        return q_BN - (q_BN * mask_BN).sum(1, keepdim=True) / mask_BN.sum(1, keepdim=True)


class TestNetworksThatValueWholePools:
    def test_q_of_the_action_taken_and_of_the_next_ones_are_those_among_their_pools(self) -> None:
        dqn = DQN(Centred(), DQNSettings(gamma=0.5, loss="squared"))
        dqn.target.column = 1
        own = torch.tensor([[4.0, 0.0], [1.0, 0.0]])  # Q of the first: 4 - 2.5; the target's: 0
        longer = dataclasses.replace(step(1.0, POOL, (4.0, 0.0)), pool_NA=own)
        single = dataclasses.replace(step(-3.0, [[7.0, 7.0]], (2.0, 5.0)), pool_NA=torch.tensor([[2.0, 5.0]]))
        # online picks the second of POOL, which the target values at 2 - 32 / 3; the single next one is worth 7 - 7
        targets = [1.0 + 0.5 * (2.0 - 32 / 3), -3.0]
        batch = Batch.of([longer, single])
        assert dqn.td_targets(batch).tolist() == pytest.approx(targets)
        update = dqn.update(batch)
        assert update.td_error_B.tolist() == pytest.approx([targets[0] - 1.5, targets[1]])
        assert update.target_gap == pytest.approx(1.5 / 2)

    def test_they_refuse_transitions_without_their_pools(self) -> None:
        with pytest.raises(ValueError, match="give every transition its pool_NA"):
            DQN(Centred(), DQNSettings()).update(Batch.of([step(1.0, POOL)]))


def test_epsilon_falls_from_nine_tenths_to_one_twentieth() -> None:
    values = [epsilon(rounds, DQNSettings()) for rounds in (0, 10, 1000)]
    assert values == [pytest.approx(0.9), pytest.approx(0.05 + 0.85 / math.e), pytest.approx(0.05)]


def learner(**chosen: Any) -> DQN[QueryNetwork]:
    return DQN(QueryNetwork(CLASSES, REGIONS), DQNSettings(**{"lr": 1e-2, **chosen}))


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


class TestNetworks:
    def test_an_update_moves_no_tensor_of_the_target_network_statistics_included(self) -> None:
        dqn, batch = learner(), filled(30, 10).sample(16, np.random.default_rng(0))
        online, target = copied(dqn.online), copied(dqn.target)
        dqn.update(batch)
        assert moved(target, dqn.target) == set()
        assert {"state_rows.0.running_mean", "action_rows.6.running_var", "head.weight"} <= moved(online, dqn.online)

    def test_bootstrapping_moves_no_statistics_and_does_not_depend_on_the_rest_of_the_batch(self) -> None:
        dqn, buffer = learner(), filled(30, 10)
        dqn.update(buffer.sample(16, np.random.default_rng(0)))
        transitions = list(buffer._transitions)[:8]
        online = copied(dqn.online)
        together = dqn.td_targets(Batch.of(transitions))
        alone = torch.cat([dqn.td_targets(Batch.of([transition])) for transition in transitions])
        torch.testing.assert_close(together, alone)
        assert moved(online, dqn.online) == set()

    def test_syncing_copies_parameters_and_statistics(self) -> None:
        dqn = learner()
        dqn.update(filled(30, 10).sample(16, np.random.default_rng(0)))
        assert "action_rows.0.running_mean" in moved(copied(dqn.online), dqn.target)
        dqn.sync_target()
        assert moved(copied(dqn.online), dqn.target) == set()
        assert not dqn.target.training

    def test_the_online_network_is_ready_for_picking_before_and_after_an_update(self) -> None:
        dqn = learner()
        assert not dqn.online.training
        dqn.update(filled(30, 10).sample(16, np.random.default_rng(0)))
        assert not dqn.online.training

    def test_the_state_branch_sees_each_transition_once_not_once_for_each_candidate(self) -> None:
        dqn, seen = learner(), []
        transitions = [t for t in rounds(9, torch.Generator().manual_seed(1), regions=2, pool=20)[0] for _ in range(8)]
        for network in (dqn.online, dqn.target):
            network.state_rows.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
        dqn.update(Batch.of(transitions))
        assert seen == [16 * REGIONS] * 4  # picking, valuing, learning, and the gap between the networks

    def test_the_learning_rate_never_decays(self) -> None:
        dqn, buffer, rng = learner(), filled(30, 10), np.random.default_rng(0)
        for _ in range(20):
            dqn.update(buffer.sample(4, rng))
            dqn.sync_target()
        assert [group["lr"] for group in dqn.optimizer.param_groups] == [1e-2]

    def test_a_single_transition_is_refused_with_a_sentence(self) -> None:
        with pytest.raises(ValueError, match="at least 2 are needed"):
            learner().update(filled(30, 10).sample(1, np.random.default_rng(0)))

    @pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
    def test_going_on_from_its_state_is_the_same_as_never_having_stopped(
        self, optimizer: Literal["sgd", "adamw"]
    ) -> None:
        buffer, rng = filled(30, 10), np.random.default_rng(0)
        batches = [buffer.sample(8, rng) for _ in range(5)]
        dqn = learner(optimizer=optimizer)
        for batch in batches[:3]:
            dqn.update(batch)
        dqn.sync_target()
        dqn.update(batches[3])
        saved = dqn.state_dict()
        expected = dqn.update(batches[4])
        other = QueryNetwork(CLASSES, REGIONS, generator=torch.Generator().manual_seed(9))
        again = DQN(other, DQNSettings(lr=1e-2, optimizer=optimizer))
        again.load_state_dict(saved)
        assert again.update(batches[4]) == expected
        assert moved(copied(dqn.online), again.online) == set()
        assert moved(copied(dqn.target), again.target) == set()

    def test_a_fresh_state_has_no_momentum_and_loads(self) -> None:
        fresh, used = learner(), learner()
        used.update(filled(30, 10).sample(8, np.random.default_rng(0)))
        assert not [name for name in fresh.state_dict() if name.startswith("momentum.")]
        used.load_state_dict(fresh.state_dict())
        assert used.state_dict().keys() == fresh.state_dict().keys()

    def test_learns_which_of_five_arms_pays(self) -> None:
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
