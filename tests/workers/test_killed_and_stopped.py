"""Processes that are killed cost seconds, and those that are asked to end nothing: with real ones, and the usual settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service import migrate
from service.tables import Job, WorkerHost
from tests.conftest import REDIS
from tests.workers.deployment import Deployment, until

USUAL = {
    "REGIONWISE_HEARTBEAT_SECONDS": "2",
    "REGIONWISE_SLICE_SECONDS": "20",
    "REGIONWISE_STALE_SECONDS": "120",
    "REGIONWISE_SWEEP_SECONDS": "5",
}
LONG = {"max_epochs": 10_000, "patience": 10_000, "batch": 4}
# With the usual settings regions come again within 15 seconds. These machines may do other things besides.
WITHIN = 45.0


@pytest.fixture
def distributed(tmp_path: Path, own_database_url: str) -> Iterator[Deployment]:
    """An API that runs; each test starts its workers."""
    deployment = Deployment(tmp_path, own_database_url, **USUAL)
    deployment.forget()
    try:
        deployment.start("serve")
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    """A server with its worker inside, not started."""
    url = f"sqlite:///{tmp_path / 'regionwise.db'}"
    migrate.upgrade(url)
    deployment = Deployment(tmp_path, url, **USUAL, REGIONWISE_BROKER_URL="memory://")
    try:
        yield deployment
    finally:
        deployment.close()


def job_at(deployment: Deployment, project: int, kind: str) -> tuple[Job, WorkerHost] | None:
    """The running job of this kind, and its process."""
    chosen = select(Job, WorkerHost).join(WorkerHost, WorkerHost.name == Job.worker)
    with deployment.database.read() as session:
        found = session.execute(
            chosen.where(Job.project_id == project, Job.kind == kind, Job.state == "running")
        ).first()
        return None if found is None else (found[0], found[1])


def stop_within(deployment: Deployment, project: int, kind: str) -> tuple[Job, int]:
    """Halt the process that is at a job of this kind, with the job half done; returns the job and the process's number.

    Rounds are labelled until one is caught.
    """
    for _ in range(10):
        deployment.annotator(project, limit=4).run()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(
            each["kind"] == kind and each["state"] in ("queued", "running") for each in deployment.jobs(project)
        ):
            if deployment.client.call("GET", "/next-regions", params={"project": project})["items"]:
                break
        while (found := job_at(deployment, project, kind)) is None and time.monotonic() < deadline:
            if all(each["state"] == "done" for each in deployment.jobs(project) if each["kind"] == kind):
                break
        if found is None:
            continue
        pid = found[1].pid or 0
        os.kill(pid, signal.SIGSTOP)
        again = job_at(deployment, project, kind)
        if again is not None and again[0].id == found[0].id:
            return again[0], pid
        os.kill(pid, signal.SIGCONT)
    raise AssertionError(f"No {kind} could be caught.")


def seconds_until_regions(deployment: Deployment, project: int, since: float) -> float:
    def given() -> bool:
        return bool(deployment.client.call("GET", "/next-regions", params={"project": project})["items"])

    until(given, "there were regions again", seconds=WITHIN)
    took = time.monotonic() - since
    print(f"regions again after {took:.1f} s")  # noqa: T201 - for whoever measures with -s
    return took


@pytest.mark.redis
@pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker")
class TestWorkersOnRedis:
    def test_a_worker_killed_within_tell_leaves_its_round_to_another(self, distributed: Deployment) -> None:
        for name in ("one", "other"):
            distributed.start("worker", name)
        project = distributed.project(budget=40)
        _, pid = stop_within(distributed, project, "tell")
        (victim,) = [name for name in ("one", "other") if distributed.group(name) == os.getpgid(pid)]
        since = time.monotonic()
        distributed.kill(victim)
        assert seconds_until_regions(distributed, project, since) < WITHIN
        assert not distributed.client.call("GET", f"/projects/{project}")["stalled"]

    def test_a_child_that_the_system_kills_within_tell_is_replaced(self, distributed: Deployment) -> None:
        distributed.start("worker")
        project = distributed.project(budget=40)
        job, pid = stop_within(distributed, project, "tell")
        since = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        assert seconds_until_regions(distributed, project, since) < WITHIN
        assert distributed.job(job.id)["state"] == "done"

    @pytest.mark.parametrize("to_all", [False, True], ids=["parent", "group"])
    def test_a_worker_that_is_asked_to_end_saves_where_it_is(self, distributed: Deployment, to_all: bool) -> None:
        distributed.start("worker")
        project = distributed.project()
        job = distributed.train(project, **LONG)
        until(lambda: distributed.job(job)["progress"] > 0.5, "training had begun")
        assert distributed.terminate("worker", to_all=to_all) == 0
        stopped = distributed.job(job)
        assert (stopped["state"], stopped["attempt"], stopped["error"]) == ("queued", 0, None)
        assert (distributed.folder / "blobs" / "jobs" / str(job) / "theta_0.safetensors").exists()
        distributed.client.call("POST", f"/jobs/{job}/cancel")


def test_an_embedded_server_killed_within_tell_goes_on_when_it_is_started_again(embedded: Deployment) -> None:
    embedded.start("serve")
    project = embedded.project(budget=40)
    job, _ = stop_within(embedded, project, "tell")
    embedded.kill("serve")
    since = time.monotonic()
    embedded.start("serve")
    print(f"ready after {time.monotonic() - since:.1f} s")  # noqa: T201
    assert seconds_until_regions(embedded, project, since) < WITHIN
    assert embedded.job(job.id)["state"] == "done"


def test_an_embedded_server_that_is_asked_to_end_saves_where_it_is_as_often_as_it_is_asked(
    embedded: Deployment,
) -> None:
    progress, job = 0.0, 0
    for life in range(4):  # one more than a failing job is tried
        embedded.start("serve")
        if life == 0:
            job = embedded.train(embedded.project(), **LONG)
        until(lambda: embedded.job(job)["progress"] > max(0.5, progress), "training went on")  # noqa: B023
        if life == 0:
            assert_refused(embedded)
        assert embedded.terminate("serve") == 0
        stopped = row(embedded, job)
        assert (stopped.state, stopped.attempt, stopped.error) == ("queued", 0, None)
        assert stopped.progress >= progress
        progress = stopped.progress


def row(deployment: Deployment, job: int) -> Any:
    with deployment.database.read() as session:
        return session.get_one(Job, job)


def assert_refused(running: Deployment) -> None:
    """Neither a second server nor the demo may have the folder of one that runs."""
    environment = os.environ | {
        "REGIONWISE_DATA_DIR": str(running.folder),
        "REGIONWISE_BROKER_URL": "memory://",
        "REGIONWISE_PORT": "0",
    }
    for command in ("serve", "demo"):
        ended = subprocess.run(
            [sys.executable, "-m", "service", command], env=environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 1
        assert f"Another server is at {running.folder} (process {running.group('serve')})" in ended.stderr
        assert "REGIONWISE_DATA_DIR" in ended.stderr
