"""Jobs of processes that died are found by what these say, whatever clocks say; a stop that was asked for is no failure."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from service.blobs import Blobs
from service.db import Database
from service.domain.job_kinds import JobKind
from service.domain.waits import at_once
from service.settings import Settings
from service.store import jobs, recovery, workers
from service.sweeper import Sweeper
from service.tables import Job, WorkerHost
from service.watcher import Watcher
from tests.conftest import START, FakeClock, Outbox
from tests.maker import Maker

STALE = timedelta(seconds=120)
WORKER, OTHER = "left:1", "right:2"


@pytest.fixture
def watcher(database: Database, settings: Settings, clock: FakeClock) -> Watcher:
    """One that takes a process for dead after 5 seconds of silence."""
    return Watcher(database, settings.model_copy(update={"heartbeat_seconds": 2.0}), clock)


@pytest.fixture
def queued(database: Database, make: Maker, outbox: Outbox) -> Callable[..., int]:
    """Queues a job of a project."""
    project = make.project().id

    def queue(kind: JobKind = "finish") -> int:
        with database.write() as session:
            return jobs.queue_job(session, project_id=project, kind=kind, now=START).id

    return queue


def announce(database: Database, name: str = WORKER, now: datetime = START) -> None:
    with database.write() as session:
        workers.announce(session, name, {}, now, host="left", pid=1)


def say(database: Database, job: int | None, now: datetime, name: str = WORKER) -> bool:
    with database.write() as session:
        return workers.heard_of(session, name, now, job_id=job)


def claim(database: Database, job: int, name: str | None = WORKER) -> Job:
    with database.write() as session:
        claimed = jobs.claim_job(session, job, now=START, stale_after=STALE, worker=name)
        assert claimed is not None
        return claimed


def row(database: Database, job: int) -> Job:
    with database.read() as session:
        return jobs.get_job(session, job)


def sweep(database: Database, now: datetime) -> None:
    with database.write() as session:
        recovery.sweep(
            session, now=now, resend_after=timedelta(seconds=30), stale_after=STALE, max_attempts=3, waits=at_once
        )


def test_a_process_that_says_nothing_new_for_two_beats_and_a_half_loses_its_job_at_once(
    database: Database, watcher: Watcher, queued: Callable[..., int], outbox: Outbox
) -> None:
    announce(database)
    job = queued()
    claim(database, job)
    outbox.clear()
    assert [watcher.look(at) for at in (0.0, 3.0, 4.9)] == [[], [], []]
    assert watcher.look(5.0) == [job]
    assert outbox == [(job, "finish")]
    found = row(database, job)
    assert (found.state, found.lock, found.attempt, found.due_at) == ("queued", None, 1, None)
    assert "without a word" in str(found.error)


@pytest.mark.parametrize("skew", [-1000, 1000], ids=["slow", "fast"])
def test_a_process_that_goes_on_keeps_its_job_however_wrong_its_clock_is(
    database: Database, watcher: Watcher, queued: Callable[..., int], skew: float
) -> None:
    announce(database)
    job = queued()
    claim(database, job)
    for beat in range(12):
        assert say(database, job, START + timedelta(seconds=skew + 2 * beat))
        assert watcher.look(2.0 * beat) == []
    assert row(database, job).state == "running"


def test_a_living_process_that_is_not_at_its_job_any_more_loses_it_and_the_try_is_not_counted(
    database: Database, watcher: Watcher, queued: Callable[..., int]
) -> None:
    announce(database)
    job = queued()
    claim(database, job)
    for beat in range(5):  # the database was away when it wanted to write the job's end
        say(database, None, START + timedelta(seconds=2 * beat))
        watcher.look(2.0 * beat)
    found = row(database, job)
    assert (found.state, found.attempt, found.postponed) == ("queued", 0, 1)
    assert found.due_at is not None


def test_later_tries_are_given_more_time_before_their_worker_counts_as_dead(
    database: Database, watcher: Watcher, queued: Callable[..., int]
) -> None:
    announce(database)
    job = queued()
    claim(database, job)
    watcher.look(0.0)
    watcher.look(5.0)
    claim(database, job)
    assert [watcher.look(at) for at in (10.0, 20.0, 29.0)] == [[], [], []]
    watcher.look(30.0)
    assert row(database, job).state == "queued"


def test_a_worker_of_the_release_before_is_left_to_the_longer_time(
    database: Database, watcher: Watcher, queued: Callable[..., int]
) -> None:
    job = queued()
    claim(database, job, None)
    assert [watcher.look(at) for at in (0.0, 100.0)] == [[], []]
    assert row(database, job).state == "running"


def test_a_job_that_takes_its_workers_down_is_given_up_and_others_are_not_held_back(
    database: Database, queued: Callable[..., int]
) -> None:
    job = queued()
    for _ in range(3):
        claim(database, job)
        with database.write() as session:
            recovery.restart_jobs(session, START, max_attempts=3)
    found = row(database, job)
    assert (found.state, found.attempt) == ("failed", 3)
    assert "3 times" in str(found.error)


def test_restarts_that_were_asked_for_are_no_failures(database: Database, queued: Callable[..., int]) -> None:
    job = queued()
    for _ in range(9):
        claimed = claim(database, job)
        with database.write() as session:
            jobs.excuse_try(session, job, str(claimed.lock))
            recovery.give_back(session, WORKER, START)
        with database.write() as session:
            recovery.restart_jobs(session, START, max_attempts=3)
    assert row(database, job).state == "queued"


def test_kills_count_only_where_nothing_was_saved_in_between(database: Database, queued: Callable[..., int]) -> None:
    job = queued()
    for _ in range(9):
        claimed = claim(database, job)
        with database.write() as session:
            jobs.note_progress(session, job, str(claimed.lock))
        with database.write() as session:
            recovery.restart_jobs(session, START, max_attempts=3)
    assert row(database, job).state == "queued"


def test_what_is_away_is_waited_for_without_end_and_the_reason_stays_readable(
    database: Database, queued: Callable[..., int], outbox: Outbox
) -> None:
    job, now = queued(), START
    for failures in range(1, 12):
        with database.write() as session:
            claimed = jobs.claim_job(session, job, now=now, stale_after=STALE)
            assert claimed is not None
            assert claimed.error == (None if failures == 1 else "disk full")
        with database.write() as session:
            owned = jobs.owned_job(session, job, str(claimed.lock))
            assert owned.postponed == failures - 1
            jobs.postpone_job(session, owned, now=now, error="disk full", wait=timedelta(seconds=60))
        found = row(database, job)
        assert (found.state, found.error, found.attempt) == ("queued", "disk full", 0)
        outbox.clear()
        sweep(database, now + timedelta(seconds=59))
        assert outbox == []
        now += timedelta(seconds=60)
        sweep(database, now)
        assert outbox == [(job, "finish")]


def test_what_is_done_says_nothing_of_earlier_failures(database: Database, queued: Callable[..., int]) -> None:
    job = queued()
    for end in (True, False):
        claimed = claim(database, job)
        with database.write() as session:
            owned = jobs.owned_job(session, job, str(claimed.lock))
            if end:
                jobs.postpone_job(session, owned, now=START, error="disk full", wait=timedelta(0))
            else:
                jobs.finish_job(session, owned, now=START, result={})
    assert (row(database, job).state, row(database, job).error) == ("done", None)


def test_processes_that_were_not_heard_of_for_a_day_are_forgotten(database: Database) -> None:
    announce(database)
    announce(database, OTHER, START + timedelta(hours=20))
    with database.write() as session:
        workers.prune(session, START + timedelta(hours=25))
    with database.read() as session:
        assert [each.name for each in session.query(WorkerHost)] == [OTHER]
    assert not say(database, None, START, WORKER)


def test_a_claim_says_at_once_which_job_its_process_is_at(database: Database, queued: Callable[..., int]) -> None:
    announce(database)
    job = queued()
    claim(database, job)
    with database.read() as session:
        (held,) = recovery.held_jobs(session)
    assert (held.job_id, held.at_work, held.attempt) == (job, True, 1)


@pytest.mark.parametrize("ahead", [timedelta(seconds=91), timedelta(hours=1)])
def test_what_a_clock_that_was_set_back_since_had_put_off_is_sent_at_once(
    database: Database, queued: Callable[..., int], outbox: Outbox, ahead: timedelta
) -> None:
    waits, forgotten = queued(), queued("ask")
    with database.write() as session:
        jobs.get_job(session, waits).due_at = START + ahead
        jobs.get_job(session, forgotten).sent_at = START + ahead
    outbox.clear()
    for _ in range(2):
        with database.write() as session:
            recovery.sweep(
                session,
                now=START,
                resend_after=timedelta(seconds=30),
                stale_after=STALE,
                max_attempts=3,
                longest_wait=timedelta(seconds=90),
            )
    assert outbox == [(waits, "finish"), (forgotten, "ask")]
    assert row(database, waits).due_at is None


def test_what_waits_no_longer_than_a_job_may_is_left_to_wait(
    database: Database, queued: Callable[..., int], outbox: Outbox, settings: Settings, blobs: Blobs, clock: FakeClock
) -> None:
    job = queued()
    sweeper = Sweeper(database, blobs, settings, clock)
    for ahead, sent in ((74.9, []), (75.1, [(job, "finish")])):
        with database.write() as session:
            jobs.get_job(session, job).due_at = START + timedelta(seconds=ahead)
        outbox.clear()
        sweeper.sweep_once()
        assert outbox == sent
