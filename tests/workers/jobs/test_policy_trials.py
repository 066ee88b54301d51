"""Trials of a policy that a job trains: a slice ends between two of their games, and a worker that is to end waits for none."""

from collections.abc import Callable
from typing import Any

import pytest

from service.tables import Job
from tests.workers.conftest import World
from tests.workers.jobs.test_head_slices import run_slice
from tests.workers.jobs.test_heads import full_frozen_world
from tests.workers.jobs.test_policies import TINY
from tests.workers.jobs.test_tasks import start
from workers.jobs.job_state import JobState
from workers.policy.ground import TRIALS
from workers.policy.labelling import LabellingGame

SETTINGS = {**TINY, "episodes": 1, "refit_steps": 2, "compare_games": 0}  # two rounds, and a trial at the end


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = full_frozen_world(make_world, refit_steps=3)
    start(made, "pretrain")
    made.work()
    return made


def trained_straight(world: World) -> dict[str, Any]:
    job = start(world, "train-policy", **SETTINGS)
    world.work()
    result = world.job(job.id).result
    assert result is not None
    assert len(result["trials"]) == 1
    return result


@pytest.fixture
def games(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the games of trials as they end."""
    ended: list[int] = []
    trial = LabellingGame.trial

    def counting(game: LabellingGame, strategy: Any, number: int, on_round: Callable[[], None]) -> float:
        area = trial(game, strategy, number, on_round)
        ended.append(number)
        return area

    monkeypatch.setattr(LabellingGame, "trial", counting)
    return ended


def test_a_slice_that_is_over_ends_after_the_game_of_a_trial_that_goes_on(world: World, games: list[int]) -> None:
    straight = trained_straight(world)
    games.clear()
    world.slice_seconds(-1.0)
    job, after_each = start(world, "train-policy", **SETTINGS), list[int]()
    while run_slice(world, job.id) == "queued":
        after_each.append(len(games))
    # A slice for the first round, one for the second with the first game of the trial, one for each game after that.
    assert after_each == list(range(TRIALS))
    assert games == list(range(TRIALS))
    assert world.job(job.id).result == straight


def test_a_worker_that_is_to_end_ends_the_game_of_a_trial_at_once(
    world: World, games: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained_straight(world)
    games.clear()
    job = start(world, "train-policy", **SETTINGS)
    trial = LabellingGame.trial

    def ending(game: LabellingGame, strategy: Any, number: int, on_round: Callable[[], None]) -> float:
        if number == 1:
            world.worker.stopping.set()
        return trial(game, strategy, number, on_round)

    with monkeypatch.context() as patch:
        patch.setattr(LabellingGame, "trial", ending)
        assert run_slice(world, job.id) == "queued"
    assert games == [0]
    world.worker.stopping.clear()
    assert run_slice(world, job.id) == "done"
    assert games == [0, 1, 2]
    assert world.job(job.id).result == straight


def test_a_worker_that_has_lost_the_job_leaves_what_another_has_put_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(world, "train-policy", **SETTINGS)
    trial, store = LabellingGame.trial, JobState(world.blobs, f"jobs/{job.id}/policy.safetensors")

    def taken_away(game: LabellingGame, strategy: Any, number: int, on_round: Callable[[], None]) -> float:
        with world.database.write() as session:
            session.get_one(Job, job.id).lock = "another's"
        store.save(b"another's")
        world.worker.stopping.set()
        return trial(game, strategy, number, on_round)

    monkeypatch.setattr(LabellingGame, "trial", taken_away)
    assert run_slice(world, job.id) == "running"
    assert store.load() == b"another's"
