"""What updates of the trainer do not see, and what is added to what they see."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from models.dqn import Batch, Transition, Update
from tests.workers.policy.small_trainer import DQN, play_episode, trainer
from workers.chance import torch_generator


def some_batch() -> Batch:
    """Two transitions of 200 features, none of them 0, with pools of three candidates."""
    pools_2NA = 1 + torch.rand(2, 3, 200, generator=torch.Generator().manual_seed(3))
    state_SF = torch.ones(2, 4)
    return Batch.of(
        [
            Transition(
                state_SF=state_SF,
                action_A=pool_NA[1],
                reward=1.0,
                next_state_SF=state_SF,
                next_actions_NA=pools_2NA[0],
                pool_NA=pool_NA,
                chosen=1,
            )
            for pool_NA in pools_2NA
        ]
    )


def perturbed(batch: Batch, seed: int = 0, **chosen: Any) -> Batch:
    return trainer(**chosen)._perturbed(batch, torch.Generator().manual_seed(seed))


def differing(first: Batch, second: Batch) -> set[str]:
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in Batch.__slots__}
    return {name for name, (one, other) in pairs.items() if not torch.equal(one.nan_to_num(), other.nan_to_num())}


def test_without_dropout_and_noise_an_update_sees_the_batch_itself() -> None:
    batch = some_batch()
    assert perturbed(batch) is batch


def test_features_that_are_hidden_are_hidden_from_all_actions_and_pools_of_the_batch() -> None:
    batch = some_batch()
    hidden = perturbed(batch, feature_dropout=0.3)
    gone_A = hidden.action_BA[0] == 0
    assert 30 < gone_A.sum() < 90  # 60 of 200, six standard deviations either way
    assert torch.equal(hidden.action_BA, batch.action_BA.masked_fill(gone_A, 0))
    assert torch.equal(hidden.pool_BNA, batch.pool_BNA.masked_fill(gone_A, 0))
    assert differing(hidden, batch) == {"action_BA", "pool_BNA"}


def test_noise_has_the_deviation_that_is_set_and_differs_from_value_to_value() -> None:
    batch = some_batch()
    noisy = perturbed(batch, feature_noise=0.5)
    added_X = torch.cat([(noisy.action_BA - batch.action_BA).flatten(), (noisy.pool_BNA - batch.pool_BNA).flatten()])
    assert added_X.std() == pytest.approx(0.5, rel=0.1)
    assert abs(added_X.mean()) < 0.1
    assert len(added_X.unique()) > 1500
    assert differing(noisy, batch) == {"action_BA", "pool_BNA"}


def test_what_is_hidden_and_added_follows_from_the_generator() -> None:
    batch = some_batch()
    chosen: dict[str, Any] = {"feature_dropout": 0.3, "feature_noise": 0.1}
    assert not differing(perturbed(batch, **chosen), perturbed(batch, **chosen))
    assert differing(perturbed(batch, **chosen), perturbed(batch, seed=1, **chosen)) == {"action_BA", "pool_BNA"}


def hidden_in_updates() -> list[tuple[int, list[bool]]]:
    """For each update of two episodes the rounds done and the features that it did not see."""
    alone = trainer(feature_dropout=0.5, updates_per_round=2, dqn=dataclasses.replace(DQN, prioritised_alpha=0.0))
    raw: list[Batch] = []
    hidden: list[tuple[int, list[bool]]] = []
    sample, update = alone.buffers[0].sample, alone.dqn.update

    def sampled(size: int, rng: np.random.Generator, beta: float = 0.0) -> Batch:
        raw.append(sample(size, rng, beta))
        return raw[-1]

    def updated(batch: Batch, *, imitate: float = 0.0) -> Update:
        # Where a feature was 0 in the whole batch one cannot tell.
        gone_A = ((batch.action_BA == 0) & (raw[-1].action_BA != 0)).any(0)
        assert torch.equal(batch.action_BA, raw[-1].action_BA.masked_fill(gone_A, 0))
        hidden.append((alone.rounds_done, gone_A.tolist()))
        return update(batch, imitate=imitate)

    alone.buffers[0].sample = sampled  # type: ignore[method-assign]
    alone.dqn.update = updated  # type: ignore[method-assign]
    for _ in range(2):
        play_episode(alone)
    return hidden


def test_each_update_hides_other_features_drawn_from_seed_round_and_update() -> None:
    found = hidden_in_updates()
    assert found == hidden_in_updates()
    # Of the first episode's 3 rounds too few are remembered for a batch until its last.
    assert [rounds for rounds, _ in found] == [3, 3, 4, 4, 5, 5, 6, 6]
    for place, (rounds, gone) in enumerate(found):
        kept_A = torch.rand(len(gone), generator=torch_generator(11, "perturb", rounds - 1, place % 2)) >= 0.5
        assert not any(kept and away for kept, away in zip(kept_A.tolist(), gone, strict=True))
        assert sum(gone) > 10
    assert len({tuple(gone) for _, gone in found}) == len(found)
