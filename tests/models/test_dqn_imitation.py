"""Imitating: choosing as a batch's transitions did, beside the TD loss."""

import numpy as np
import pytest
import torch
from torch import nn

from models.dqn import CHOICE_SCALE, DQN, Batch, DQNSettings, Transition
from tests.models.transitions import step


def of_pool(chosen: int) -> Transition:
    """A choice among three candidates."""
    pool_NA = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    return Transition(state_SF=torch.zeros(1, 1), action_A=pool_NA[chosen], reward=0.0, pool_NA=pool_NA, chosen=chosen)


class Line(nn.Module):
    """Q is a weighted sum of the action's two features."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, state_BSF: torch.Tensor, actions_BNA: torch.Tensor) -> torch.Tensor:
        return actions_BNA @ self.weights


def test_imitating_is_the_cross_entropy_of_the_choices_beside_the_td_loss() -> None:
    learner = DQN(Line(), DQNSettings(momentum=0.0, weight_decay=0.0, lr=0.1))
    with torch.no_grad():
        learner.online.weights.copy_(torch.tensor([0.1, -0.2]))
    choices = [of_pool(0), of_pool(0), of_pool(1)]
    q = np.array([0.1, -0.2, -0.05]) / CHOICE_SCALE
    entropies = [np.log(np.exp(q).sum()) - q[each] for each in (0, 0, 1)]
    td = np.mean([0.5 * 0.1**2, 0.5 * 0.1**2, 0.5 * 0.2**2])
    assert learner.update(Batch.of(choices), imitate=2.0).loss == pytest.approx(td + 2 * np.mean(entropies), rel=1e-5)


def test_who_imitates_comes_to_choose_alike() -> None:
    learner = DQN(Line(), DQNSettings(momentum=0.0, lr=0.05))
    for _ in range(50):
        learner.update(Batch.of([of_pool(1)] * 4), imitate=1.0)
    q_N = learner.online(torch.zeros(1, 1, 1), of_pool(1).pool_NA[None])[0]  # type: ignore[index]
    assert int(q_N.argmax()) == 1
    with pytest.raises(ValueError, match="pool_NA"):
        learner.update(Batch.of([step(0.0, None)] * 4), imitate=1.0)
