"""Games where f is trained as a whole: what is remembered, which policy is kept, and going on exactly where it stopped."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from models.dqn import DQNSettings
from models.query_network import QueryNetwork
from models.segmenter import build
from tests.workers.conftest import Rectangles
from workers.loop.round import LoopSettings
from workers.policy.labelling import LabellingGame, Place
from workers.policy.trainer import Trainer, TrainerSettings
from workers.training.checkpoints import from_bytes, to_bytes

TRAIN, STATE, REWARD = Rectangles(6, 1), Rectangles(2, 2), Rectangles(2, 3)


SETTINGS = TrainerSettings(dqn=DQNSettings(batch=4, sync_every=2), episodes=3)


def make_trainer(loop: LoopSettings, settings: TrainerSettings = SETTINGS, explorer: Any = None) -> Trainer:
    place = Place(
        images=TRAIN,
        state=STATE,
        reward=REWARD,
        start=lambda: build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(7)),
    )
    game = LabellingGame(place, loop, budget=12, seed=1)
    network = QueryNetwork(3, 2 * 12, generator=torch.Generator().manual_seed(4))
    return Trainer(games=[game], network=network, settings=settings, seed=1, explorer=explorer)


def game_of(trainer: Trainer) -> LabellingGame:
    (game,) = trainer.games
    assert isinstance(game, LabellingGame)
    return game


def test_an_episode_is_budget_over_k_rounds_and_its_return_the_sum_of_rewards(loop_settings: LoopSettings) -> None:
    trainer = make_trainer(loop_settings)
    rewards = [trainer.play_round().reward for _ in range(3)]
    assert (trainer.episode, trainer.round_number) == (1, 0)
    assert trainer.returns == [pytest.approx(sum(rewards))]


def test_every_episode_starts_from_theta_pre_with_nothing_labelled(loop_settings: LoopSettings) -> None:
    trainer = make_trainer(loop_settings)
    game = game_of(trainer)
    game.begin(0)
    start = game.miou
    for _ in range(3):
        trainer.play_round()
    assert game.played.labelled.regions == 12
    game.begin(1)
    assert game.miou == start
    assert game.played.labelled.regions == 0


def test_every_region_is_a_transition_and_the_last_round_has_no_next_state(loop_settings: LoopSettings) -> None:
    trainer = make_trainer(loop_settings)
    for _ in range(3):
        trainer.play_round()
    state = trainer.buffers[0].state_dict()
    assert len(state["rewards_T"]) == 12
    assert (state["next_state_T"][:8] >= 0).all()
    assert (state["next_state_T"][8:] == -1).all()
    # The K regions of a round share its reward and its state.
    for start in (0, 4, 8):
        assert len(set(state["rewards_T"][start : start + 4].tolist())) == 1
        assert len(set(state["state_T"][start : start + 4].tolist())) == 1
    assert state["next_state_T"][0] == state["state_T"][4]


def test_stopping_anywhere_and_going_on_changes_nothing(loop_settings: LoopSettings) -> None:
    straight = make_trainer(loop_settings)
    while not straight.done:
        straight.play_round()
    stopped = make_trainer(loop_settings)
    while not stopped.done:
        stopped.play_round()
        saved = from_bytes(to_bytes({"trainer": stopped.meta()}, {}, stopped.tensors()))
        stopped = make_trainer(loop_settings)
        stopped.load(saved.description["trainer"], saved.extra)
    assert stopped.returns == straight.returns
    for key, value in straight.dqn.state_dict().items():
        assert torch.equal(value, stopped.dqn.state_dict()[key]), key
    for key, value in straight.best.items():
        assert torch.equal(value, stopped.best[key]), key


def test_the_policy_of_the_best_mean_return_is_kept(loop_settings: LoopSettings) -> None:
    trainer = make_trainer(loop_settings, dataclasses.replace(SETTINGS, episodes=5))
    kept, returns = [], []
    while not trainer.done:
        before = len(trainer.returns)
        trainer.play_round()
        if len(trainer.returns) > before:
            returns.append(float(np.mean(trainer.returns[-3:])))
            kept.append({key: value.clone() for key, value in trainer.dqn.online.state_dict().items()})
    best = 2 + int(np.argmax(returns[2:]))
    assert trainer.best_value == pytest.approx(returns[best])
    policy = trainer.best_policy().state_dict()
    assert all(torch.equal(kept[best][key], policy[key]) for key in policy)


def test_the_learning_rate_does_not_die(loop_settings: LoopSettings) -> None:
    trainer = make_trainer(loop_settings)
    while not trainer.done:
        trainer.play_round()
    assert {group["lr"] for group in trainer.dqn.optimizer.param_groups} == {SETTINGS.dqn.lr}


def test_a_whole_round_is_explored_by_one_network_of_new_weights(loop_settings: LoopSettings) -> None:
    drawn: list[QueryNetwork] = []

    def explorer(seed: int) -> QueryNetwork:
        drawn.append(QueryNetwork(3, 2 * 12, generator=torch.Generator().manual_seed(seed)).eval())
        return drawn[-1]

    always = DQNSettings(batch=4, epsilon_floor=1.0, epsilon_span=0.0)
    trainer = make_trainer(loop_settings, dataclasses.replace(SETTINGS, dqn=always, updates_per_round=0), explorer)
    game = game_of(trainer)
    for number in range(3):
        trainer.play_round()
        asked = game.played.proposal
        assert asked.state_SF is not None
        for pool_NA, chosen in zip(asked.actions, asked.chosen, strict=True):
            assert chosen == int(drawn[number](asked.state_SF[None], pool_NA[None])[0].argmax())
    assert len(drawn) == 3


def test_returns_over_several_rounds_and_prioritised_replay_train_here_too(
    loop_settings: LoopSettings,
) -> None:
    dqn = DQNSettings(batch=4, gamma=0.5, n_step=2, prioritised_alpha=0.6)
    trainer = make_trainer(loop_settings, dataclasses.replace(SETTINGS, dqn=dqn, standardise=False))
    gains = [trainer.play_round().reward for _ in range(3)]
    rewards = trainer.buffers[0].state_dict()["rewards_T"]
    expected = [gains[0] + 0.5 * gains[1], gains[1] + 0.5 * gains[2], gains[2]]
    assert rewards[::4].tolist() == pytest.approx(expected)
    assert len(set(trainer.buffers[0].state_dict()["priorities_T"].tolist())) > 1
