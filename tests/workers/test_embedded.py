"""The worker inside the API process: takes jobs in the background, stops quickly, and goes on in its next life."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from tests.workers.conftest import Rectangles, World
from workers.embedded import EmbeddedWorker

WITHIN = 30.0


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(strategy="random", budget=8, lookahead=True)
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(2, 3)).add("train", Rectangles(4, 4))
    return world


@pytest.fixture
def started(world: World) -> Iterator[EmbeddedWorker]:
    worker = EmbeddedWorker(world.settings)
    worker.start()
    token = world.make.annotator("admin")
    app = create_app(world.settings, database=worker.database, blobs=world.blobs)
    world.client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    yield worker
    worker.stop()


def test_rounds_go_by_themselves(world: World, started: EmbeddedWorker) -> None:
    def labelled() -> int:
        world.label_all()
        counts: dict[str, int] = world.call("GET", f"/projects/{world.project.id}")["regions"]
        return counts.get("labelled", 0)

    wait_for(lambda: labelled() == 8)
    wait_for(lambda: [each["state"] for each in world.rounds()] == ["told", "told"])
    wait_for(lambda: [each["kind"] for each in jobs(world) if each["state"] == "done"].count("finish"))


def test_a_long_job_is_put_away_at_once_and_continued_by_the_next_life(world: World, started: EmbeddedWorker) -> None:
    settings = {"max_epochs": 10_000, "patience": 10_000, "batch": 4, "source": "none"}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json={"kind": "pretrain", "settings": settings})
    wait_for(lambda: world.job(job["id"]).progress > 0.5)
    begun = time.monotonic()
    started.stop()
    assert time.monotonic() - begun < 10
    stopped = world.job(job["id"])
    assert stopped.state == "queued"
    next_life = EmbeddedWorker(world.settings)
    next_life.start()
    try:
        wait_for(lambda: world.job(job["id"]).progress > stopped.progress)
        world.call("POST", f"/jobs/{job['id']}/cancel")
        wait_for(lambda: world.job(job["id"]).state == "cancelled")
    finally:
        next_life.stop()


def jobs(world: World) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = world.call("GET", f"/projects/{world.project.id}/jobs")["items"]
    return listed
