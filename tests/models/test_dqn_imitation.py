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


def test_imitating_adds_the_gradient_of_the_cross_entropy_of_the_choices_and_reports_the_td_loss() -> None:
    learner = DQN(Line(), DQNSettings(momentum=0.0, weight_decay=0.0, lr=0.1))
    first = torch.tensor([0.1, -0.2])
    with torch.no_grad():
        learner.online.weights.copy_(first)
    choices = [0, 0, 1]
    pool = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    q = pool @ first.numpy()
    chances = np.exp(q / CHOICE_SCALE) / np.exp(q / CHOICE_SCALE).sum()
    unlike = np.mean([(chances @ pool - pool[each]) / CHOICE_SCALE for each in choices], axis=0)
    td = np.mean([q[each] * pool[each] for each in choices], axis=0)  # Huber within 1, targets 0
    update = learner.update(Batch.of([of_pool(each) for each in choices]), imitate=2.0)
    assert update.loss == pytest.approx(np.mean([0.5 * q[each] ** 2 for each in choices]), rel=1e-5)
    np.testing.assert_allclose(learner.online.weights.detach(), first.numpy() - 0.1 * (td + 2 * unlike), rtol=1e-4)


def test_who_imitates_comes_to_choose_alike() -> None:
    learner = DQN(Line(), DQNSettings(momentum=0.0, lr=0.05))
    for _ in range(50):
        learner.update(Batch.of([of_pool(1)] * 4), imitate=1.0)
    q_N = learner.online(torch.zeros(1, 1, 1), of_pool(1).pool_NA[None])[0]  # type: ignore[index]
    assert int(q_N.argmax()) == 1
    with pytest.raises(ValueError, match="pool_NA"):
        learner.update(Batch.of([step(0.0, None)] * 4), imitate=1.0)
