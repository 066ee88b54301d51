"""A database that is away for a moment while a job is taken or ended costs that moment, not the job."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from service.tables import Job
from tests.workers.conftest import Rectangles, World
from workers.jobs.delivery import JobRun, Worker, run_claimed
from workers.jobs.patience import patiently


def away() -> OperationalError:
    return OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))


def test_what_the_database_could_not_do_is_done_when_it_is_back() -> None:
    errors = [away(), away()]

    def do() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert patiently(do, threading.Event()) == "done"


@pytest.mark.parametrize("error", [IntegrityError("INSERT", {}, Exception("twice")), ValueError("no number")])
def test_what_does_not_pass_is_not_waited_for(error: Exception) -> None:
    tried = []

    def do() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(do, threading.Event())
    assert len(tried) == 1


def test_nobody_waits_longer_than_the_sweeper_or_while_asked_to_end() -> None:
    stopping, tried = threading.Event(), []

    def do() -> None:
        tried.append(1)
        raise away()

    with pytest.raises(OperationalError):
        patiently(do, stopping, seconds=0.25)
    assert len(tried) == 2
    stopping.set()
    with pytest.raises(OperationalError):
        patiently(do, stopping)
    assert len(tried) == 3


def test_a_job_is_taken_and_ended_once_though_the_database_was_away_at_both(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(strategy="random")
    world.add("pool", Rectangles(6, 1), labelled=False)
    world.call("GET", "/next-regions", params={"project": world.project.id})
    with world.database.read() as session:
        job = session.scalars(select(Job.id)).one()
    worker = Worker(
        database=world.database,
        blobs=world.blobs,
        settings=world.settings,
        clock=lambda: datetime.now(UTC),
        device="cpu",
    )
    done: list[int] = []
    write, errors = world.database.write, [away()]

    def sometimes(**given: Any) -> AbstractContextManager[Session]:
        if errors:
            raise errors.pop()
        return write(**given)

    def handler(run: JobRun) -> dict[str, Any]:
        done.append(run.job_id)
        errors.append(away())
        return {}

    monkeypatch.setattr(world.database, "write", sometimes)
    assert run_claimed(worker, job, {"ask": handler}) == "done"
    assert (done, world.job(job).state, world.job(job).attempt) == ([job], "done", 1)
