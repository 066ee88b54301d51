"""Regions asked for in turn by a network that learns: teachers, games on halves, and going on exactly where it stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.strategies import build_strategy
from models.turns_network import FEATURES, TurnsNetwork
from tests.workers.games import Forced, frozen_game
from tests.workers.policy.small_trainer import play_episode, trainer
from tests.workers.policy.test_memories import live
from workers.files import FileState
from workers.policy import trainer as trainer_module
from workers.policy.playing import play_resumably
from workers.policy.teaching import TEACHERS, teachers
from workers.policy.trainer import Trainer


@pytest.fixture(autouse=True)
def two_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    two = (build_strategy("entropy"), build_strategy("random"))
    monkeypatch.setattr(trainer_module, "teachers", lambda device: two)


def learning(**chosen: Any) -> Trainer:
    def wandering(seed: int) -> TurnsNetwork:
        network = TurnsNetwork(4)
        network.wander(0.5, torch.Generator().manual_seed(seed))
        return network

    settings = {"imitate": 2, "episodes": 4, "halves": True, "explorer": wandering, **chosen}
    return trainer(games=2, network=TurnsNetwork(4), **settings)


def test_a_round_is_shown_by_the_teacher_that_helps_most() -> None:
    game, strategy = frozen_game(trials=0), build_strategy("learned", TurnsNetwork(4).eval())
    game.begin(0)
    forced = [Forced(places=(place,) * 4) for place in range(3)]
    for _ in range(2):
        reached = [game.played.try_out(each)[1] for each in forced]
        asked = game.show(strategy, forced)
        assert asked.chosen == (int(np.argmax(reached)),) * 4
        assert all(pool.shape == (3, FEATURES) for pool in asked.pools)
        game.tell()
        assert game.miou == max(reached)


def test_a_round_is_as_if_nobody_had_tried_out_anything() -> None:
    games = [frozen_game(trials=0) for _ in range(2)]
    for game in games:
        game.begin(0)
        game.ask(build_strategy("learned", TurnsNetwork(4).eval()), 0.0)
        game.tell()
    games[0].played.try_out(build_strategy("entropy"))
    assert games[0].meta() == games[1].meta()
    asked = [game.ask(build_strategy("learned", TurnsNetwork(4).eval()), 0.0).chosen for game in games]
    assert asked[0] == asked[1]
    assert games[0].tell() == games[1].tell()


def test_on_halves_no_image_is_both_asked_for_and_measured_and_every_game_has_others() -> None:
    game, digests = frozen_game(halves=True), []
    for number in range(6):
        game.begin(number)
        asked, measured = (
            {source.digest(each) for each in range(len(source))}
            for source in (game.played.images, game.played.learner.reward)
            if source is not None
        )
        assert not asked & measured
        digests.append(asked)
    assert any(each != digests[0] for each in digests)
    trial = game._episode("trial", 0)
    assert trial.seed != game._episode("episode", 0).seed


def test_put_away_after_any_round_it_goes_on_exactly(tmp_path: Path) -> None:
    straight = learning()
    play_resumably(straight, FileState(tmp_path / "straight"))
    stopped, store = learning(), FileState(tmp_path / "stopped")
    while not play_resumably(stopped, store, lambda progress: False):
        stopped = learning()  # a new process
    assert stopped.areas == straight.areas
    weights = (each.best_policy().state_dict() for each in (straight, stopped))
    assert all(torch.equal(one, other) for one, other in zip(*(each.values() for each in weights), strict=True))


@pytest.mark.parametrize("imitate", [0, 2])
def test_only_while_it_is_shown_rounds_it_imitates(imitate: int) -> None:
    alone, heard = learning(imitate=imitate, dqn=replace(learning().settings.dqn, batch=2)), []
    update = alone.dqn.update

    def hearing(batch: Any, *, imitate: float = 0.0) -> Any:
        heard.append((alone.episode, imitate))
        return update(batch, imitate=imitate)

    alone.dqn.update = hearing  # type: ignore[method-assign]
    for _ in range(4):
        play_episode(alone)
    assert {number for number, each in heard if each} == set(range(imitate))


def test_the_best_fixed_scores_are_among_the_teachers_and_each_can_show_a_round() -> None:
    known = teachers(torch.device("cpu"))
    assert [each.name for each in known] == [*TEACHERS, "learned"]
    game = frozen_game(trials=0)
    game.begin(0)
    reached = [game.played.try_out(each) for each in known]
    assert game.show(build_strategy("learned", TurnsNetwork(4).eval()), known).chosen in [
        places for places, _ in reached
    ]


def test_live_rounds_are_remembered_once_the_policy_plays_by_itself() -> None:
    rounds = [live(number, float(number)) for number in range(1, 4)]
    with_them, without = learning(imitate=1, live=rounds), learning(imitate=1)
    for each in (with_them, without):
        play_episode(each)
    assert [len(each.buffers[0]) for each in (with_them, without)] == [len(without.buffers[0])] * 2
    for each in (with_them, without):
        each.play_round()
    assert len(with_them.buffers[0]) == len(without.buffers[0]) + 2
