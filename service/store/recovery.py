"""Jobs found again: forgotten by the broker, due after a wait, or held by a worker that is no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update
from sqlalchemy.orm import Session

from service.domain.waits import Waits, at_once
from service.store.job_lines import note_failure
from service.store.jobs import begin_wait, end_job, postpone_job, send, set_back, wake_waiting
from service.tables import Job, WorkerHost, table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A running job, the try that it is in, and what its worker's process said last; None where it is not announced any more.

    `at_work`: the process is at this job. It may be alive, and have lost it with the database's answer.
    """

    job_id: int
    lock: str
    attempt: int
    seen_at: datetime | None
    at_work: bool


def sweep(
    session: Session,
    *,
    now: datetime,
    resend_after: timedelta,
    stale_after: timedelta,
    max_attempts: int,
    waits: Waits = at_once,
    longest_wait: timedelta = timedelta(days=1),
) -> int:
    """Send what is due, what the broker forgot and what a dead worker held; returns how many.

    A queued job that waits is due at its time, another one if it was sent longer than `resend_after` ago. A running one that was
    silent for `stale_after` has lost its worker. Where the clock was set back, times lie further ahead than any that it sets
    now, `longest_wait` and `resend_after` from here: such jobs are sent at once, not when the clock has come there again.
    """
    sent_when = or_(Job.sent_at.is_(None), Job.sent_at < now - resend_after, Job.sent_at > now + resend_after)
    forgotten = and_(Job.due_at.is_(None), sent_when)
    due = select(Job).where(
        or_(
            and_(Job.state == "queued", or_(forgotten, Job.due_at <= now, Job.due_at > now + longest_wait)),
            and_(Job.state == "running", Job.heartbeat_at < now - stale_after),
        )
    )
    jobs = session.scalars(due.order_by(Job.id).limit(100).with_for_update(skip_locked=True)).all()
    for job in jobs:
        if job.state == "running" and not (
            _worker_lost(session, job, now, max_attempts, waits) and job.due_at is not None and job.due_at <= now
        ):
            continue
        if job.due_at is not None or job.sent_at is None:
            begin_wait(job, now)
        job.state, job.lock, job.sent_at, job.due_at = "queued", None, now, None
        send(session, [job])
    return len(jobs)


def _worker_lost(session: Session, job: Job, now: datetime, max_attempts: int, waits: Waits) -> bool:
    """Queue a job whose worker died; the first time at once. False where it has taken its last worker down: it has failed."""
    if job.attempt >= max_attempts:
        job.error = f"The worker stopped without a word {job.attempt} times, without any progress in between."
        end_job(job, "failed", now)
        note_failure(session, job, now)
        wake_waiting(session, job.project_id, now)
        return False
    job.error = "The worker stopped without a word: killed, or out of memory."
    set_back(job, now=now, wait=timedelta(0) if job.attempt <= 1 else waits(job.attempt - 1))
    note_failure(session, job, now)
    return True


def held_jobs(session: Session) -> list[HeldJob]:
    """The running jobs of workers that announce their processes."""
    chosen = select(Job.id, Job.lock, Job.attempt, WorkerHost.seen_at, WorkerHost.job_id)
    chosen = chosen.join(WorkerHost, WorkerHost.name == Job.worker, isouter=True)
    rows = session.execute(chosen.where(Job.state == "running", Job.worker.is_not(None), Job.lock.is_not(None)))
    return [
        HeldJob(job_id=job_id, lock=lock or "", attempt=attempt, seen_at=seen_at, at_work=at == job_id)
        for job_id, lock, attempt, seen_at, at in rows
    ]


def release_jobs(
    session: Session, lost: Sequence[HeldJob], *, now: datetime, max_attempts: int, waits: Waits
) -> list[int]:
    """Take jobs from workers that are no more, unless these have been heard of since; returns the numbers of those sent again."""
    sent = []
    for held in lost:
        job = session.scalars(select(Job).where(Job.id == held.job_id).with_for_update(skip_locked=True)).one_or_none()
        if job is None or job.state != "running" or job.lock != held.lock:
            continue
        seen_at = session.scalar(select(WorkerHost.seen_at).where(WorkerHost.name == job.worker))
        if held.at_work and seen_at != held.seen_at:
            continue
        if held.at_work or held.seen_at is None:
            _worker_lost(session, job, now, max_attempts, waits)
        else:
            error = (
                job.error or "The worker could not write how the job ended: was the database away, or its disk full?"
            )
            postpone_job(session, job, now=now, error=error, wait=waits(job.postponed + 1))
        if job.due_at is not None and job.due_at <= now:
            begin_wait(job, now)
            job.due_at = None
            send(session, [job])
            sent.append(job.id)
    return sent


def restart_jobs(session: Session, now: datetime, *, max_attempts: int) -> None:
    """On the start of an embedded worker: nothing can be running any more, and its broker remembers nothing.

    A job that has taken this process down `max_attempts` times is given up; else it would do so at every start.
    """
    for job in session.scalars(select(Job).where(Job.state == "running").order_by(Job.id).with_for_update()).all():
        _worker_lost(session, job, now, max_attempts, at_once)
    session.execute(update(Job).where(Job.state == "queued").values(sent_at=now, heartbeat_at=now, due_at=None))
    send(session, session.scalars(select(Job).where(Job.state == "queued").order_by(Job.id)).all())


def set_back_restored(connection: Connection) -> None:
    """Queue what ran when a backup was taken: no worker has it. A sweep sends it."""
    jobs = table_of(Job)
    idle = {"state": "queued", "lock": None, "sent_at": None, "due_at": None}
    running = update(jobs).where(jobs.c.state == "running")
    connection.execute(running.values(**idle, error="The backup was taken while it ran."))


def give_back(session: Session, worker: str, now: datetime) -> None:
    """The process of this name ends though its job does not: the job is queued again, and this was no failure of it."""
    for job in session.scalars(select(Job).where(Job.state == "running", Job.worker == worker).with_for_update()).all():
        set_back(job, now=now, wait=timedelta(0))
