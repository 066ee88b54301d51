"""What sets a job back: a full disk, a worker that is asked to end, a job that was given away; and what that leaves behind."""

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import snapshots
from service.store.snapshots import TellSnapshot
from service.tables import Job, WorkerHost
from tests.workers.conftest import Rectangles, World
from workers.jobs import rounds as round_tasks
from workers.jobs.delivery import JobRun, Worker, run_claimed
from workers.jobs.presence import Presence
from workers.jobs.rounds import ask, tell

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A project whose first round is being scored."""
    world = make_world(strategy="random")
    world.add("pool", Rectangles(6, 1), labelled=False)
    world.call("GET", "/next-regions", params={"project": world.project.id})
    return world


def worker_of(world: World, **more: Any) -> Worker:
    return Worker(
        database=world.database,
        blobs=world.blobs,
        settings=world.settings.model_copy(update={"heartbeat_seconds": 0.02}),
        clock=lambda: datetime.now(UTC),
        device="cpu",
        **more,
    )


def queued(world: World, kind: str) -> int:
    with world.database.read() as session:
        return session.scalars(select(Job.id).where(Job.kind == kind, Job.state == "queued")).one()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_disk_is_waited_for_longer_each_time_and_the_round_comes_when_there_is_room(world: World) -> None:
    worker = worker_of(world, waits=lambda failures: timedelta(seconds=failures))
    job = queued(world, "ask")

    def full(run: JobRun) -> dict[str, Any]:
        raise FULL

    waits = []
    for _ in range(5):  # more often than a failing job is tried
        assert run_claimed(worker, job, {"ask": full}) == "postponed"
        row = world.job(job)
        assert (row.state, row.error) == ("queued", f"OSError: {FULL}")
        assert row.due_at is not None
        waits.append(round((row.due_at - datetime.now(UTC)).total_seconds()))
    assert waits == [1, 2, 3, 4, 5]
    assert run_claimed(worker, job, {"ask": ask}) == "done"
    assert world.job(job).error is None
    assert world.rounds()[0]["state"] == "open"


def give_away(world: World, job: int) -> None:
    with world.database.write() as session:
        session.get_one(Job, job).lock = "another's"


def test_a_round_is_not_opened_by_a_worker_that_has_lost_its_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = queued(world, "ask")

    def loses_it(run: JobRun) -> dict[str, Any]:
        monkeypatch.setattr(run, "step", lambda *_: give_away(world, job))
        return ask(run)

    assert run_claimed(worker_of(world), job, {"ask": loses_it}) == "lost"
    assert world.rounds()[0]["state"] == "scoring"


def test_a_round_is_not_passed_over_by_a_worker_that_has_lost_its_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.work()
    world.label_all()
    job, found = queued(world, "tell"), snapshots.tell_snapshot

    def while_pretraining(session: Session, round_id: int) -> TellSnapshot:
        return replace(found(session, round_id), segmenter=None, pretraining=True)

    def loses_it(run: JobRun) -> dict[str, Any]:
        give_away(world, job)
        return tell(run)

    monkeypatch.setattr(round_tasks, "tell_snapshot", while_pretraining)
    assert run_claimed(worker_of(world), job, {"tell": loses_it}) == "lost"
    assert (world.rounds()[0]["state"], len(world.rounds())) == ("labelled", 1)


def test_what_a_job_saves_makes_its_next_try_the_first(world: World) -> None:
    job = queued(world, "ask")
    with world.database.write() as session:
        session.get_one(Job, job).attempt = 2

    def saves(run: JobRun) -> dict[str, Any]:
        assert world.job(job).attempt == 3
        run.state("fit").save(b"half")
        until(lambda: world.job(job).attempt == 1)
        return {}

    assert run_claimed(worker_of(world), job, {"ask": saves}) == "done"


def test_a_worker_that_is_asked_to_end_excuses_the_try_within_a_beat_and_takes_no_other_job(world: World) -> None:
    worker, job = worker_of(world), queued(world, "ask")

    def long(run: JobRun) -> dict[str, Any]:
        assert world.job(job).attempt == 1
        worker.stopping.set()
        until(lambda: world.job(job).attempt == 0)
        time.sleep(0.1)  # some beats more
        assert world.job(job).attempt == 0
        run.pause()

    assert run_claimed(worker, job, {"ask": long}) == "yielded"
    assert run_claimed(worker, job, {"ask": long}) == "not claimed"
    assert world.job(job).state == "queued"


def test_a_process_says_what_it_is_at_and_is_announced_again_where_it_was_forgotten(world: World) -> None:
    presence = Presence(world.database, lambda: datetime.now(UTC), {"smp:": "No."}, seconds=0.02)
    presence.start()

    def said() -> WorkerHost | None:
        with world.database.read() as session:
            return session.scalars(select(WorkerHost)).one_or_none()

    try:
        job = queued(world, "ask")

        def forgotten(run: JobRun) -> dict[str, Any]:
            assert getattr(said(), "job_id", None) == job
            assert world.job(job).worker == presence.name
            with world.database.write() as session:
                session.delete(session.scalars(select(WorkerHost)).one())
            until(lambda: getattr(said(), "job_id", None) == job)
            return {}

        assert run_claimed(worker_of(world, presence=presence), job, {"ask": forgotten}) == "done"
        until(lambda: said() is not None and said().job_id is None)  # type: ignore[union-attr]
        found = said()
        assert found is not None
        assert (found.missing, found.pid, found.host) == ({"smp:": "No."}, presence._pid, presence._host)
    finally:
        presence.close()
    assert said() is None
