"""Jobs: claimed once, kept alive, found again, and never two that would overwrite each other's segmenter."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from service.db import Database
from service.domain.job_kinds import JobKind
from service.store import job_orders, jobs, recovery
from service.tables import Job
from tests.conftest import START, Outbox
from tests.maker import Maker

STALE = timedelta(seconds=60)


def queue(database: Database, project_id: int, kind: JobKind = "finish", key: str | None = None) -> int:
    with database.write() as session:
        return jobs.queue_job(session, project_id=project_id, kind=kind, now=START, key=key).id


def queue_and_fail(session: Session, project_id: int) -> None:
    jobs.queue_job(session, project_id=project_id, kind="finish", now=START)
    raise RuntimeError("power cut")


def claim(database: Database, job_id: int, now: datetime = START) -> Job | None:
    with database.write() as session:
        return jobs.claim_job(session, job_id, now=now, stale_after=STALE)


def finish(database: Database, claimed: Job) -> None:
    with database.write() as session:
        jobs.finish_job(session, jobs.owned_job(session, claimed.id, str(claimed.lock)), now=START, result={})


@pytest.fixture
def project_id(make: Maker) -> int:
    return make.project().id


def test_a_job_is_sent_only_once_its_row_is_committed(database: Database, project_id: int, outbox: Outbox) -> None:
    with pytest.raises(RuntimeError, match="power cut"), database.write() as session:
        queue_and_fail(session, project_id)
    assert outbox == []
    job_id = queue(database, project_id)
    assert outbox == [(job_id, "finish")]


def test_the_same_key_is_the_same_job(database: Database, project_id: int, outbox: Outbox) -> None:
    assert queue(database, project_id, "ask", "ask:1") == queue(database, project_id, "ask", "ask:1")
    assert len(outbox) == 1


def test_a_second_delivery_of_a_running_job_is_turned_away(database: Database, project_id: int) -> None:
    job_id = queue(database, project_id)
    assert claim(database, job_id) is not None
    assert claim(database, job_id) is None


def test_a_job_whose_worker_fell_silent_is_taken_over_and_the_silent_worker_loses_it(
    database: Database, project_id: int
) -> None:
    job_id = queue(database, project_id)
    first = claim(database, job_id)
    second = claim(database, job_id, START + timedelta(seconds=61))
    assert first is not None
    assert second is not None
    assert second.attempt == 2
    with pytest.raises(jobs.JobLost), database.write() as session:
        jobs.beat(session, job_id, str(first.lock), now=START, progress=0.5, message="")
    with database.write() as session:
        assert jobs.beat(session, job_id, str(second.lock), now=START, progress=0.5, message="") is False


def test_tell_waits_for_a_running_pretrain_and_is_sent_when_that_ends(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    pretrain, tell = queue(database, project_id, "pretrain"), queue(database, project_id, "tell")
    running = claim(database, pretrain)
    assert running is not None
    assert claim(database, tell) is None
    outbox.clear()
    finish(database, running)
    assert outbox == [(tell, "tell")]
    assert claim(database, tell) is not None


def test_rounds_are_learned_from_in_order_also_where_a_worker_that_was_asked_to_end_has_put_one_away(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    first, second = queue(database, project_id, "tell"), queue(database, project_id, "tell")
    running = claim(database, first)
    assert running is not None
    assert claim(database, second) is None
    with database.write() as session:
        jobs.yield_job(session, jobs.owned_job(session, first, str(running.lock)), now=START)
    assert claim(database, second) is None
    again = claim(database, first)
    assert again is not None
    outbox.clear()
    finish(database, again)
    assert outbox == [(second, "tell")]
    assert claim(database, second) is not None


def test_policy_training_waits_for_a_pretrain_job_that_has_not_ended(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    pretrain, policy = queue(database, project_id, "pretrain"), queue(database, project_id, "train-policy")
    assert claim(database, policy) is None
    claimed = claim(database, pretrain)
    assert claimed is not None
    outbox.clear()
    finish(database, claimed)
    assert outbox == [(policy, "train-policy")]
    assert claim(database, policy) is not None


def test_jobs_of_other_projects_do_not_wait_for_each_other(database: Database, make: Maker, project_id: int) -> None:
    other = make.project("other").id
    assert claim(database, queue(database, project_id, "tell")) is not None
    assert claim(database, queue(database, other, "tell")) is not None


@pytest.mark.parametrize(("first", "second"), [("train-policy", "ask"), ("tell", "ask"), ("finish", "evaluate")])
def test_a_project_has_one_job_at_a_time(
    database: Database, project_id: int, outbox: Outbox, first: JobKind, second: JobKind
) -> None:
    one, other = queue(database, project_id, first), queue(database, project_id, second)
    running = claim(database, one)
    assert running is not None
    assert claim(database, other) is None
    outbox.clear()
    with database.write() as session:
        jobs.yield_job(session, jobs.owned_job(session, one, str(running.lock)), now=START)
    assert outbox == [(other, second), (one, first)]
    assert claim(database, other) is not None
    assert claim(database, one) is None


def test_a_job_whose_worker_fell_silent_holds_nobody_back(database: Database, project_id: int) -> None:
    assert claim(database, queue(database, project_id, "finish")) is not None
    ask = queue(database, project_id, "ask")
    assert claim(database, ask, START + timedelta(seconds=59)) is None
    assert claim(database, ask, START + timedelta(seconds=61)) is not None


def test_an_ask_that_a_worker_came_for_is_known_to_be_held_back(database: Database, project_id: int) -> None:
    running, ask = claim(database, queue(database, project_id, "finish")), queue(database, project_id, "ask")
    assert running is not None

    def held_back() -> bool:
        with database.read() as session:
            return jobs.ask_held_back(session, project_id)

    assert not held_back()
    assert claim(database, ask) is None
    assert held_back()
    with database.write() as session:
        jobs.yield_job(session, jobs.owned_job(session, running.id, str(running.lock)), now=START)
    assert not held_back()


def test_a_yielded_job_is_queued_again_with_its_attempts_forgotten(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    job_id = queue(database, project_id)
    claimed = claim(database, job_id)
    assert claimed is not None
    outbox.clear()
    with database.write() as session:
        jobs.yield_job(session, jobs.owned_job(session, job_id, str(claimed.lock)), now=START)
    assert outbox == [(job_id, "finish")]
    again = claim(database, job_id)
    assert again is not None
    assert again.attempt == 1


def test_a_queued_job_is_spoken_of_by_one_message_at_most(database: Database, project_id: int, outbox: Outbox) -> None:
    pretrain, ask = queue(database, project_id, "pretrain"), queue(database, project_id, "ask")
    for _ in range(3):
        outbox.clear()
        running = claim(database, pretrain)
        assert running is not None
        with database.write() as session:
            jobs.yield_job(session, jobs.owned_job(session, pretrain, str(running.lock)), now=START)
        assert outbox == [(pretrain, "pretrain")]
    running = claim(database, ask)
    assert running is not None
    outbox.clear()
    finish(database, running)  # pretrain, queued between two slices, has its message
    assert outbox == []


def test_a_failing_job_is_tried_again_until_its_attempts_are_used_up(database: Database, project_id: int) -> None:
    job_id = queue(database, project_id)
    states = []
    for _ in range(3):
        claimed = claim(database, job_id)
        assert claimed is not None
        with database.write() as session:
            job = jobs.owned_job(session, job_id, str(claimed.lock))
            jobs.fail_job(session, job, now=START, error="no memory", max_attempts=3)
            states.append(job.state)
    assert states == ["queued", "queued", "failed"]
    assert claim(database, job_id) is None


def test_the_sweeper_sends_what_the_broker_forgot_and_what_a_dead_worker_held(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    kinds: tuple[JobKind, ...] = ("finish", "pretrain", "evaluate")
    forgotten, held, alive = (queue(database, project_id, kind) for kind in kinds)
    assert claim(database, held) is not None
    assert claim(database, alive, START + timedelta(seconds=99)) is not None
    outbox.clear()
    with database.write() as session:
        swept = recovery.sweep(
            session,
            now=START + timedelta(seconds=100),
            resend_after=timedelta(seconds=30),
            stale_after=STALE,
            max_attempts=3,
        )
    assert swept == 2
    assert {job for job, _ in outbox} == {forgotten, held}


def test_a_job_that_kills_every_worker_is_given_up(database: Database, project_id: int) -> None:
    job_id, now = queue(database, project_id), START
    for _ in range(3):
        assert claim(database, job_id, now) is not None
        now += timedelta(seconds=100)
        with database.write() as session:
            recovery.sweep(session, now=now, resend_after=STALE, stale_after=STALE, max_attempts=3)
    with database.read() as session:
        job = jobs.get_job(session, job_id)
        assert job.state == "failed"
        assert "3 times" in str(job.error)


def test_all_slices_of_a_try_began_when_its_first_did_and_another_try_begins_later(
    database: Database, project_id: int
) -> None:
    job_id, later = queue(database, project_id), START + timedelta(hours=1)
    first = claim(database, job_id)
    assert first is not None
    with database.write() as session:
        jobs.yield_job(session, jobs.owned_job(session, job_id, str(first.lock)), now=START)
    second = claim(database, job_id, now=later)
    assert second is not None
    assert first.started_at == second.started_at == START
    with database.write() as session:
        jobs.cancel_job(session, jobs.owned_job(session, job_id, str(second.lock)), now=later)
    with database.write() as session:
        job_orders.retry_job(session, job_id, now=later)
    third = claim(database, job_id, now=later)
    assert third is not None
    assert third.started_at == later


def test_an_embedded_worker_takes_up_all_that_its_last_life_left(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    running, waiting, ended = (queue(database, project_id) for _ in range(3))
    assert claim(database, running) is not None
    with database.write() as session:
        job_orders.request_cancel(session, ended, now=START)
    outbox.clear()
    with database.write() as session:
        recovery.restart_jobs(session, START, max_attempts=3)
    assert [job for job, _ in outbox] == [running, waiting]
    assert claim(database, running) is not None


def test_a_tell_waits_for_an_ask_that_was_queued_before_it(database: Database, project_id: int) -> None:
    ask, tell = (queue(database, project_id, kind, kind) for kind in ("ask", "tell"))
    assert claim(database, tell) is None
    assert claim(database, ask) is not None
