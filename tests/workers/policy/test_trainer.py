"""The trainer, on a frozen encoder: it can be put away, knows which policy played best, and learns from what was paid."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from models.dqn import Batch, Transition, Update
from models.regionwise_network import RegionwiseNetwork
from models.strategies import build_strategy
from tests.workers.games import BUDGET, Forced, frozen_loop, frozen_place
from tests.workers.policy.small_trainer import DQN, drawn_network, play_episode, trainer
from workers.chance import numpy_generator
from workers.policy import playing
from workers.policy import trainer as trainer_module
from workers.policy.labelling import Episode, LabellingGame
from workers.policy.playing import play_resumably
from workers.policy.progress import Progress
from workers.policy.trainer import Trainer
from workers.training.checkpoints import from_bytes, to_bytes


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in of.dqn.online.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit; a discount that is not a number is like any other."""
    return first.keys() == second.keys() and all(
        np.array_equal(value.numpy(), second[key].numpy(), equal_nan=True) for key, value in first.items()
    )


class Kept:
    """A state in memory."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data

    def clear(self) -> None:
        self.data = None


@pytest.fixture(autouse=True)
def trials_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "EPISODES_PER_TRIAL", 2)


class Stopped(Exception):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("games", [1, 2])
def test_one_that_is_stopped_again_and_again_ends_as_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch, games: int
) -> None:
    straight, heard = trainer(games), []
    rounds = [straight.play_round() for _ in range(18)]
    assert straight.done
    monkeypatch.setattr(playing, "SAVE_SECONDS", -1.0)  # put away after every round
    store = Kept()

    def until_the_second(progress: Progress) -> bool:
        heard.append(progress)
        if len(heard) % 2 == 0 and progress.rounds_done < 18:
            raise Stopped
        return True

    while True:
        stopped = trainer(games)
        try:
            play_resumably(stopped, store, until_the_second)
            break
        except Stopped:
            continue
    assert heard == rounds
    assert same(stopped.tensors(), straight.tensors())
    assert stopped.meta() == straight.meta()
    assert stopped.best_value == straight.best_value
    assert from_bytes(store.data or b"").description["trainer"] == straight.meta()


def test_one_that_is_asked_to_stop_is_put_away_and_says_so() -> None:
    store, stopped = Kept(), trainer()
    assert not play_resumably(stopped, store, lambda progress: progress.rounds_done < 4)
    assert from_bytes(store.data or b"").description["trainer"]["rounds_done"] == 4
    assert play_resumably(trainer(), store)


def test_a_trainer_that_was_not_put_away_starts_at_the_beginning() -> None:
    heard: list[tuple[int, int]] = []

    def hear(progress: Progress) -> bool:
        heard.append((progress.episode, progress.round_number))
        return True

    play_resumably(trainer(episodes=2), Kept(), hear)
    assert heard == [(episode, number) for episode in range(2) for number in range(3)]


def test_what_an_earlier_version_put_away_is_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    store, heard = Kept(), []
    store.save(to_bytes({"trainer": {"episode": 3, "returns": []}}, {}, {}))

    def hear(progress: Progress) -> bool:
        heard.append(progress.rounds_done)
        return True

    play_resumably(trainer(episodes=2), store, hear)
    assert heard == [1, 2, 3, 4, 5, 6]
    assert "of an earlier version" in caplog.text


def test_games_of_different_classes_take_turns_and_their_transitions_stay_apart() -> None:
    both = trainer(games=2)
    before = weights(both)
    for _ in range(4):
        play_episode(both)
    widths = [{len(transition.action_A) for transition in buffer._transitions} for buffer in both.buffers]
    assert widths == [{3 * 11 + 25}, {2 * 11 + 25}]
    assert [len(buffer) for buffer in both.buffers] == [20, 20]
    assert not same(weights(both), before)


def test_the_best_trial_s_weights_are_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    results, at_trial = iter([40.0, 55.0, 50.0]), []

    def tried(game: LabellingGame, strategy: Any, number: int, on_round: Any) -> float:
        at_trial.append({key: value.clone() for key, value in strategy.policy.state_dict().items()})
        return next(results)

    monkeypatch.setattr(LabellingGame, "trial", tried)
    trained = trainer()
    trials = [play_episode(trained).trial for _ in range(6)]
    assert trials == [None, pytest.approx(40), None, pytest.approx(55), None, pytest.approx(50)]
    assert trained.best_value == pytest.approx(55)
    assert not same(at_trial[1], at_trial[2])
    assert same(trained.best, at_trial[1])
    policy = trained.best_policy()
    assert same(dict(policy.state_dict()), at_trial[1])
    assert not policy.training


def test_a_trial_is_the_mean_over_rounds_and_games_of_what_the_policy_reaches_without_chance() -> None:
    both = trainer(games=2, episodes=1)
    strategy = build_strategy("learned", both.dqn.online)
    trial = play_episode(both).trial
    seed, curves = int(numpy_generator(11, "trial", 0).integers(2**31)), []
    for kept in ((0, 1, 2), (2, 0)):
        episode = Episode(frozen_place(kept), frozen_loop(classes=len(kept)), budget=BUDGET, seed=seed)
        while not episode.over:
            episode.ask(strategy, 0.0)
            episode.tell()
            curves.append(episode.miou)
    assert len(curves) == 6
    assert trial == pytest.approx(100 * sum(curves) / 6)


def played(**chosen: Any) -> list[Transition]:
    """The transitions of one episode; each round's reward is in those of its regions."""
    alone = trainer(dqn=dataclasses.replace(DQN, n_step=1), **chosen)
    play_episode(alone)
    return list(alone.buffers[0]._transitions)


def again(transitions: list[Transition]) -> list[tuple[float, float]]:
    """The episode played again: in each round, what was gained and what a twin would have gained, in points."""
    rounds: list[tuple[float, float]] = []
    episode = first_episode()
    while not episode.over:
        now = transitions[episode.labelled.regions :][:4]
        chosen = tuple(int(transition.chosen or 0) for transition in now)
        episode.ask(Forced(places=chosen), 0.0)
        before, of_twin = episode.miou, episode.miou_of_twin()
        episode.tell()
        rounds += [(100 * (episode.miou - before), 100 * (of_twin - before))] * len(chosen)
    return rounds


def first_episode() -> Episode:
    seed = int(numpy_generator(11, "episode", 0).integers(2**31))
    return Episode(frozen_place(), frozen_loop(), budget=BUDGET, seed=seed)


def test_a_reward_is_what_was_gained_over_a_twin_that_asked_at_random() -> None:
    transitions = played(standardise=False)
    expected = [gain - of_twin for gain, of_twin in again(transitions)]
    assert [transition.reward for transition in transitions] == pytest.approx(expected, abs=1e-9)
    assert len({transition.reward for transition in transitions}) == 3


def test_without_a_twin_a_reward_is_the_gain() -> None:
    transitions = played(standardise=False, twin=False)
    assert [transition.reward for transition in transitions] == pytest.approx([each[0] for each in again(transitions)])


@pytest.mark.parametrize("chance", [1.0, 0.0])
def test_where_rounds_are_explored_a_network_of_new_weights_asks_for_the_whole_round_or_for_nothing(
    chance: float,
) -> None:
    drawn: list[int] = []

    def explorer(seed: int) -> RegionwiseNetwork:
        drawn.append(seed)
        return drawn_network(seed)

    always = dataclasses.replace(DQN, n_step=1, epsilon_floor=chance, epsilon_span=0.0)
    alone = trainer(dqn=always, updates_per_round=0, explorer=explorer)
    play_episode(alone)
    transitions = list(alone.buffers[0]._transitions)
    assert len(drawn) == len(set(drawn)) == (3 if chance else 0)
    followed = []
    for number, place in enumerate((0, 4, 8)):
        asking = drawn_network(drawn[number]) if chance else alone.dqn.online
        for transition in transitions[place : place + 4]:
            assert transition.pool_NA is not None
            q_N = asking(transition.state_SF[None], transition.pool_NA[None])[0]
            followed.append(transition.chosen == int(q_N.argmax()))
    assert [all(followed[:4]), all(followed[4:])] == [False, True]  # the first round is drawn at random


def test_rewards_are_divided_by_the_root_of_their_mean_square_so_far() -> None:
    plain = [transition.reward for transition in played(standardise=False, twin=False)]
    scaled = [transition.reward for transition in played(twin=False)]
    by_round = [plain[place] for place in (0, 4, 8)]
    expected = [by_round[n] / math.sqrt(sum(each**2 for each in by_round[: n + 1]) / (n + 1)) for n in range(3)]
    assert [scaled[place] for place in (0, 4, 8)] == pytest.approx(expected)


def test_rounds_report_their_gains_and_an_episode_s_last_one_its_return_and_area() -> None:
    alone = trainer(episodes=3)
    rounds = [alone.play_round() for _ in range(6)]
    assert [(each.episode, each.round_number) for each in rounds] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [each.ended is not None for each in rounds] == [False, False, True] * 2
    start = first_episode().miou
    mious = [start, *(each.miou for each in rounds[:3])]
    assert [each.reward for each in rounds[:3]] == pytest.approx([100 * (mious[n + 1] - mious[n]) for n in range(3)])
    assert rounds[2].ended == pytest.approx((100 * (mious[3] - start), 100 * sum(mious[1:]) / 3))
    assert (alone.returns[0], alone.areas[0]) == rounds[2].ended
    # epsilon is 0.05 + 0.85 exp(-rounds / 5)
    assert [each.epsilon for each in rounds] == pytest.approx([0.05 + 0.85 * math.exp(-n / 5) for n in range(6)])
    # An episode's last round is among what its updates draw from.
    assert [each.loss is not None for each in rounds] == [False, False, True, True, True, True]
    loss, target_gap = rounds[5].loss, rounds[5].target_gap
    assert loss is not None
    assert loss > 0
    assert target_gap is not None
    assert target_gap >= 0
    assert [each.trial is not None for each in rounds] == [False] * 5 + [True]
    assert [each.done for each in rounds] == pytest.approx([n / 9 for n in range(1, 7)])


def test_updates_begin_when_the_buffer_holds_a_batch_and_the_target_follows_every_few_rounds() -> None:
    counted: list[int] = []
    alone = trainer(dqn=dataclasses.replace(DQN, batch=4, n_step=1, sync_every=5), updates_per_round=3)
    update, sync = alone.dqn.update, alone.dqn.sync_target
    synced: list[int] = []

    def counting(batch: Batch, *, imitate: float = 0.0) -> Update:
        counted.append(alone.rounds_done)
        return update(batch, imitate=imitate)

    def syncing() -> None:
        synced.append(alone.rounds_done)
        sync()

    alone.dqn.update = counting  # type: ignore[method-assign]
    alone.dqn.sync_target = syncing  # type: ignore[method-assign]
    for _ in range(4):
        play_episode(alone)
    # A round's transitions are there when the next round is drawn, so that the second round is the first to learn.
    assert counted == [number for number in range(2, 13) for _ in range(3)]
    assert synced == [5, 10]


def test_the_same_seed_trains_the_same_policy_and_another_another() -> None:
    first, second = trainer(), trainer()
    other = trainer(seed=12)
    for each in (first, second, other):
        for _ in range(3):
            play_episode(each)
    assert same(weights(first), weights(second))
    assert first.areas != other.areas


def test_with_influence_each_region_is_paid_for_itself_too() -> None:
    transitions = played(influence=0.5, twin=False)
    of_rounds = [[each.reward for each in transitions[place : place + 4]] for place in (0, 4, 8)]
    assert all(len(set(rewards)) > 1 for rewards in of_rounds[1:])  # a fresh head has no influence in the first
    again_played = played(influence=0.5, twin=False)
    assert [each.reward for each in again_played] == [each.reward for each in transitions]
