"""The games of a project's search, played by several processes: the same policy, and nobody left behind."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest

from service.queue import RUN_JOB
from service.schemas.policies import PolicyPayload
from tests.workers.conftest import World
from tests.workers.jobs.test_comparing import SMALL, world  # noqa: F401
from tests.workers.jobs.test_policies import train
from workers.jobs.project import load_project
from workers.jobs.side_by_side import ForPlayers, ProjectChanged, players_for


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 60
    while multiprocessing.active_children():  # a game that is being played is played to its end
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_processes_find_what_one_finds(world: World) -> None:  # noqa: F811
    alone = train(world, **SMALL, compare_games=0)["result"]
    world.slice_seconds(-1.0, players=2)  # each slice is over after a game
    both = train(world, **SMALL, compare_games=0)
    assert both["error"] is None
    assert both["result"] == alone


def test_a_job_that_is_cancelled_sends_its_players_away(world: World) -> None:  # noqa: F811
    world.slice_seconds(-1.0, players=2)
    body = {"kind": "train-policy", "settings": {**SMALL, "episodes": 400}}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    world.celery.tasks[RUN_JOB].apply(args=[job], throw=True)
    (search,) = world.worker.between_slices.values()
    assert world.job(job).state == "queued"
    world.worker.stopping.set()
    world.celery.tasks[RUN_JOB].apply(args=[job], throw=True)
    assert world.worker.between_slices == {}
    with pytest.raises((CancelledError, RuntimeError)):
        _ = [search.play_round() for _ in range(SMALL["population"] + 1)]


def test_a_player_does_not_play_in_another_project_than_the_job_s(world: World) -> None:  # noqa: F811
    project = load_project(world.worker, world.project.id)
    policy = PolicyPayload.model_validate(SMALL).chosen("blend")
    build = ForPlayers(settings=world.worker.settings, project_id=project.id, policy=policy, made_of="another")
    with pytest.raises(ProjectChanged, match="changed while the games"):
        build()


def test_a_worker_plays_alone_where_it_has_a_gpu_or_is_told_to(world: World) -> None:  # noqa: F811
    project = load_project(world.worker, world.project.id)
    policy = PolicyPayload.model_validate(SMALL).chosen("blend")
    assert players_for(project, policy, "") is None
    free = world.worker.settings.model_copy(update={"players": 0})
    on_gpu = replace(project, worker=replace(world.worker, settings=free, device="cuda"))
    assert players_for(on_gpu, policy, "") is None
    trained_in_turn = PolicyPayload.model_validate({}).chosen("turns")
    many = replace(project, worker=replace(world.worker, settings=free.model_copy(update={"players": 4})))
    assert players_for(many, trained_in_turn, "") is None
