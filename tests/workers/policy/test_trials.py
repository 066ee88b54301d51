"""Trials of a policy: put away between two of their games, and ended at once by whoever calls them off."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.workers.policy.small_trainer import trainer
from workers.files import FileState
from workers.policy import playing
from workers.policy import trainer as trainer_module
from workers.policy.labelling import LabellingGame
from workers.policy.playing import play_resumably
from workers.policy.progress import Progress
from workers.policy.trainer import Trainer
from workers.training.checkpoints import from_bytes, to_bytes

ROUNDS = 12  # four episodes of three, on two games in turn; after the second and the fourth a trial of one game on each
TRIALS = [(0, 0), (1, 0)] * 2  # on which of the games, and of which number


@pytest.fixture(autouse=True)
def trials_are_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "EPISODES_PER_TRIAL", 2)


class Watched:
    """A trainer's games, whose trials are counted as they begin and end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = list[tuple[int, int]]()
        self.ended = list[tuple[int, int]]()
        trial = LabellingGame.trial

        def watching(game: LabellingGame, strategy: Any, number: int, on_round: Callable[[], None]) -> float:
            where = (self.trainer.games.index(game), number)
            self.begun.append(where)
            area = trial(game, strategy, number, on_round)
            self.ended.append(where)
            return area

        monkeypatch.setattr(LabellingGame, "trial", watching)

    def made(self) -> Trainer:
        """Another process's trainer, that knows nothing."""
        self.trainer = trainer(2, episodes=4)
        return self.trainer


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def same(first: Trainer, second: Trainer) -> bool:
    ours, theirs = first.tensors(), second.tensors()
    alike = [np.array_equal(value.numpy(), theirs[key].numpy(), equal_nan=True) for key, value in ours.items()]
    return ours.keys() == theirs.keys() and all(alike) and first.meta() == second.meta()


@pytest.fixture
def straight(watched: Watched) -> tuple[Trainer, list[Progress]]:
    """A trainer that was never stopped, and what its rounds brought."""
    made = watched.made()
    rounds = [made.play_round() for _ in range(ROUNDS)]
    assert made.done
    assert watched.ended == TRIALS
    watched.begun.clear()
    watched.ended.clear()
    return made, rounds


@pytest.mark.parametrize("in_memory", [False, True])
def test_one_that_is_stopped_between_two_games_of_a_trial_plays_each_once_and_ends_as_one_that_is_not(
    in_memory: bool, watched: Watched, straight: tuple[Trainer, list[Progress]], tmp_path: Any
) -> None:
    heard: list[Progress] = []
    asked: list[tuple[int, int]] = []

    def never(played: int, games: int) -> bool:
        asked.append((played, games))
        return False

    def hear(progress: Progress) -> bool:
        heard.append(progress)
        return True

    slices, of_now = 1, watched.made()
    while not play_resumably(of_now, FileState(tmp_path / "state"), hear, keep_trying=never):
        assert not of_now.done
        slices, of_now = slices + 1, of_now if in_memory else watched.made()
    assert (slices, asked) == (3, [(1, 2), (1, 2)])
    assert watched.begun == watched.ended == TRIALS
    assert heard == straight[1]
    assert same(of_now, straight[0])


def test_one_that_is_called_off_in_a_game_of_a_trial_plays_no_more_of_it_and_that_game_alone_again(
    watched: Watched, straight: tuple[Trainer, list[Progress]], tmp_path: Any
) -> None:
    asked = [0]

    def in_the_second_game() -> bool:
        asked[0] += 1
        return asked[0] == 5  # its second round: games have three

    store = FileState(tmp_path / "state")
    assert not play_resumably(watched.made(), store, called_off=in_the_second_game)
    assert (watched.begun, watched.ended) == (TRIALS[:2], TRIALS[:1])
    of_now = watched.made()
    assert play_resumably(of_now, store)
    assert watched.ended == TRIALS
    assert len(watched.begun) == 5
    assert same(of_now, straight[0])


def test_one_that_is_killed_in_a_trial_costs_that_game(
    watched: Watched, straight: tuple[Trainer, list[Progress]], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "SAVE_SECONDS", -1.0)  # put away whenever that is possible
    store = FileState(tmp_path / "state")

    def killed() -> bool:
        if len(watched.begun) == 2:
            raise RuntimeError("the machine is off")
        return False

    with pytest.raises(RuntimeError, match="the machine is off"):
        play_resumably(watched.made(), store, called_off=killed)
    of_now = watched.made()
    assert play_resumably(of_now, store)
    assert watched.ended == TRIALS
    assert same(of_now, straight[0])


def test_what_was_put_away_before_trials_could_be_is_gone_on_with(
    watched: Watched, straight: tuple[Trainer, list[Progress]], tmp_path: Any
) -> None:
    store, stopped = FileState(tmp_path / "state"), watched.made()
    assert not play_resumably(stopped, store, lambda progress: progress.rounds_done < 4)
    description = from_bytes(store.load() or b"").description["trainer"]
    assert {"pending", "tried"}.isdisjoint(description)
    store.save(to_bytes({"trainer": description}, {}, stopped.tensors()))
    of_now = watched.made()
    assert play_resumably(of_now, store)
    assert same(of_now, straight[0])
