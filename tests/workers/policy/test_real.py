"""Policy training: what is remembered, which policy is kept, and going on exactly where it stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from models.dqn import DQNSettings
from models.segmenter import build
from tests.workers.conftest import Rectangles
from workers.loop.round import LoopSettings
from workers.policy.real import EpisodeSettings, PolicyTrainer
from workers.training.checkpoints import from_bytes, to_bytes

TRAIN, STATE, REWARD = Rectangles(6, 1), Rectangles(2, 2), Rectangles(2, 3)


@pytest.fixture
def settings(loop_settings: LoopSettings) -> EpisodeSettings:
    return EpisodeSettings(loop=loop_settings, dqn=DQNSettings(batch=4, sync_every=2), episodes=3, budget=12)


def make_trainer(settings: EpisodeSettings) -> PolicyTrainer:
    return PolicyTrainer(
        start=lambda: build("fpn", classes=3, width=4),
        images=TRAIN,
        state=STATE,
        reward=REWARD,
        settings=settings,
        seed=1,
    )


def test_an_episode_is_budget_over_k_rounds_and_its_return_the_sum_of_rewards(settings: EpisodeSettings) -> None:
    trainer = make_trainer(settings)
    rewards = [trainer.play_round().reward for _ in range(3)]
    assert (trainer.episode, trainer.round_number) == (1, 0)
    assert trainer.returns == [pytest.approx(sum(rewards))]


def test_every_episode_starts_from_theta_pre_with_nothing_labelled(settings: EpisodeSettings) -> None:
    trainer = make_trainer(settings)
    start = trainer._new_active().learner.measured_miou()
    assert start is not None
    for _ in range(3):
        trainer.play_round()
    learner = trainer._new_active()
    again = learner.learner.measured_miou()
    assert again is not None
    assert again[0] == start[0]
    assert learner.labelled.regions == 0


def test_every_region_is_a_transition_and_the_last_round_has_no_next_state(settings: EpisodeSettings) -> None:
    trainer = make_trainer(settings)
    for _ in range(3):
        trainer.play_round()
    state = trainer.buffer.state_dict()
    assert len(state["rewards_T"]) == 12
    assert (state["next_state_T"][:8] >= 0).all()
    assert (state["next_state_T"][8:] == -1).all()
    # The K regions of a round share its reward and its state.
    for start in (0, 4, 8):
        assert len(set(state["rewards_T"][start : start + 4].tolist())) == 1
        assert len(set(state["state_T"][start : start + 4].tolist())) == 1
    assert state["next_state_T"][0] == state["state_T"][4]


def test_stopping_anywhere_and_going_on_changes_nothing(settings: EpisodeSettings) -> None:
    straight = make_trainer(settings)
    while not straight.done:
        straight.play_round()
    stopped = make_trainer(settings)
    while not stopped.done:
        stopped.play_round()
        saved = from_bytes(to_bytes({"trainer": stopped.meta()}, {}, stopped.tensors()))
        stopped = make_trainer(settings)
        stopped.load(saved.description["trainer"], saved.extra)
    assert stopped.returns == straight.returns
    for key, value in straight.dqn.state_dict().items():
        assert torch.equal(value, stopped.dqn.state_dict()[key]), key
    for key, value in straight.best.items():
        assert torch.equal(value, stopped.best[key]), key


def test_the_policy_of_the_best_mean_return_is_kept(settings: EpisodeSettings) -> None:
    trainer = make_trainer(dataclasses.replace(settings, episodes=5))
    kept, returns = [], []
    while not trainer.done:
        before = len(trainer.returns)
        trainer.play_round()
        if len(trainer.returns) > before:
            returns.append(float(np.mean(trainer.returns[-3:])))
            kept.append({key: value.clone() for key, value in trainer.dqn.online.state_dict().items()})
    best = 2 + int(np.argmax(returns[2:]))
    assert trainer.best_return == pytest.approx(returns[best])
    policy = trainer.best_policy().state_dict()
    assert all(torch.equal(kept[best][key], policy[key]) for key in policy)


def test_the_learning_rate_does_not_die(settings: EpisodeSettings) -> None:
    trainer = make_trainer(settings)
    while not trainer.done:
        trainer.play_round()
    assert {group["lr"] for group in trainer.dqn.optimizer.param_groups} == {settings.dqn.lr}
