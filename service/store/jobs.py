"""Jobs in the database: queued, claimed by one worker at a time, kept alive, and finished."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.doubts import said_of
from service.domain.job_kinds import JobKind
from service.errors import NotFound
from service.logs import request_id
from service.store import job_lines
from service.store.project_lock import lock_project
from service.tables import Job, WorkerHost

ENDED = ("done", "failed", "cancelled")
CANCELLED = "It is cancelled."


class JobLost(Exception):
    """The job was given to another worker, because this one was silent for too long."""


def queue_job(
    session: Session,
    *,
    project_id: int,
    kind: JobKind,
    now: datetime,
    payload: dict[str, Any] | None = None,
    key: str | None = None,
) -> Job:
    """A new queued job, sent when the session commits; with a `key` that exists in the project, the job that has it."""
    if key is not None:
        existing = session.scalar(select(Job).where(Job.project_id == project_id, Job.dedup_key == key))
        if existing is not None:
            return existing
    job = Job(
        project_id=project_id,
        kind=kind,
        dedup_key=key,
        payload=payload or {},
        state="queued",
        sent_at=now,
        created_at=now,
        request_id=request_id(),
    )
    session.add(job)
    session.flush()
    send(session, [job])
    return job


def lock_job(session: Session, job_id: int) -> Job | None:
    """The job as it is now, locked after its project; None where there is none, or its project was deleted meanwhile."""
    job = session.get(Job, job_id)
    if job is None:
        return None
    lock_project(session, job.project_id)
    found = select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    return session.scalars(found).one_or_none()


def get_job(session: Session, job_id: int) -> Job:
    """The job, or NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def list_jobs(session: Session, project_id: int, *, limit: int, after: int, newest: bool = False) -> Sequence[Job]:
    """Jobs of a project with ids above `after`, oldest first; or `newest` first with ids below it, 0: any."""
    chosen = select(Job).where(Job.project_id == project_id).limit(limit)
    if newest:
        chosen = chosen.where(Job.id < after) if after else chosen
        return session.scalars(chosen.order_by(Job.id.desc())).all()
    return session.scalars(chosen.where(Job.id > after).order_by(Job.id)).all()


def pending_job(session: Session, project_id: int, kind: str) -> Job | None:
    """A job of this kind that has not ended, if any."""
    chosen = select(Job).where(Job.project_id == project_id, Job.kind == kind, Job.state.in_(("queued", "running")))
    return session.scalars(chosen.limit(1)).first()


def claim_job(
    session: Session, job_id: int, *, now: datetime, stale_after: timedelta, worker: str | None = None
) -> Job | None:
    """Take a job for this worker; None where another has it, it has ended, or another of its project must stop first.

    A project has one job at a time: most read the newest segmenter, and some save its successor.

    `worker` is the name under which its process is announced.
    """
    job = lock_job(session, job_id)
    if job is None:
        return None
    alive = job.heartbeat_at is not None and job.heartbeat_at > now - stale_after
    if job.state in ENDED or (job.state == "running" and alive):
        return None
    if job.cancel_requested:
        end_job(job, "cancelled", now)
        wake_waiting(session, job.project_id, now)
        return None
    if _must_wait(session, job, now - stale_after):
        job.sent_at = None  # no message speaks of it any more; the job that it waits for sends it again
        return None
    job.state, job.lock, job.heartbeat_at = "running", uuid4().hex, now
    job.attempt += 1
    job.worker, job.due_at = worker, None
    if job.started_at is None or job.attempt > 1:
        job_lines.note(session, job, f"A worker begins with it, try {job.attempt}.", now)
    job.started_at = job.started_at or now
    session.execute(update(WorkerHost).where(WorkerHost.name == worker).values(job_id=job_id, seen_at=now))
    return job


def _must_wait(session: Session, job: Job, stale_before: datetime) -> bool:
    if job.kind == "train-policy" and pending_job(session, job.project_id, "pretrain") is not None:
        return True
    if job.kind in ("finish", "tell") and _same_before(session, job):
        # Slices of two would take turns, and the one that knows fewer labels might end last; rounds are learned from in order.
        return True
    if job.kind == "tell" and _ask_before(session, job) is not None:
        return True  # annotators wait for it, and what it chooses must not depend on which worker was quicker
    others = select(Job.id).where(
        Job.project_id == job.project_id, Job.id != job.id, Job.state == "running", Job.heartbeat_at > stale_before
    )
    return session.scalars(others.limit(1)).first() is not None


def _ask_before(session: Session, job: Job) -> int | None:
    """An `ask` of the project that was queued before a job, and could be taken now."""
    asks = select(Job.id).where(Job.project_id == job.project_id, Job.kind == "ask", Job.id < job.id)
    return session.scalar(asks.where(Job.state == "queued", Job.due_at.is_(None), Job.attempt == 0).limit(1))


def _same_before(session: Session, job: Job) -> bool:
    """Whether another one of its kind in the project that was queued before a job has not ended."""
    others = select(Job.id).where(Job.project_id == job.project_id, Job.kind == job.kind, Job.id < job.id)
    return session.scalar(others.where(Job.state.in_(("queued", "running"))).limit(1)) is not None


def ask_held_back(session: Session, project_id: int) -> bool:
    """Whether a worker has come for an `ask` of the project, and was turned away by the job that runs: annotators wait for it."""
    held = select(Job.id).where(Job.project_id == project_id, Job.kind == "ask", Job.state == "queued")
    return session.scalars(held.where(Job.sent_at.is_(None), Job.due_at.is_(None)).limit(1)).first() is not None


def owned_job(session: Session, job_id: int, lock: str) -> Job:
    """The job, locked, if this delivery still owns it; else JobLost."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None or job.state != "running" or job.lock != lock:
        raise JobLost(f"Job {job_id} is not this worker's any more.")
    return job


def owns_job(session: Session, job_id: int, lock: str) -> bool:
    """Whether this delivery still owns the job; unlike `owned_job` it locks nothing."""
    owned = select(Job.id).where(Job.id == job_id, Job.state == "running", Job.lock == lock)
    return session.scalar(owned) is not None


def beat(
    session: Session, job_id: int, lock: str, *, now: datetime, progress: float | None, message: str | None
) -> bool:
    """Say that the job is alive; returns whether it should stop because somebody cancelled it."""
    job = owned_job(session, job_id, lock)
    job.heartbeat_at = now
    if progress is not None:
        job.progress = progress
    if message is not None:
        job.message = message
    return job.cancel_requested


def note_progress(session: Session, job_id: int, lock: str) -> None:
    """The job has saved more than it began with: from here this is its first try."""
    job = owned_job(session, job_id, lock)
    job.attempt, job.postponed, job.error = 1, 0, None


def excuse_try(session: Session, job_id: int, lock: str) -> None:
    """The worker was asked to end: a try that does not come to its end for that reason is not counted."""
    job = owned_job(session, job_id, lock)
    job.attempt = max(0, job.attempt - 1)


def finish_job(session: Session, job: Job, *, now: datetime, result: dict[str, Any]) -> None:
    """The job is done; jobs that waited for it are sent."""
    job.result, job.progress, job.error, job.postponed = result, 1.0, None, 0
    end_job(job, "done", now)
    job_lines.note(session, job, said_of(result), now, "warning")
    job_lines.note(session, job, "It is done.", now)
    wake_waiting(session, job.project_id, now)


def cancel_job(session: Session, job: Job, *, now: datetime) -> None:
    """The job stopped because it was told to."""
    end_job(job, "cancelled", now)
    job_lines.note(session, job, CANCELLED, now)
    wake_waiting(session, job.project_id, now)


def yield_job(session: Session, job: Job, *, now: datetime) -> None:
    """Put a job that made progress behind those that wait; its next slice goes on where this one stopped."""
    job.state, job.lock, job.attempt, job.sent_at = "queued", None, 0, now
    job.postponed, job.error = 0, None
    wake_waiting(session, job.project_id, now)
    send(session, [job])


def fail_job(
    session: Session,
    job: Job,
    *,
    now: datetime,
    error: str,
    max_attempts: int,
    final: bool = False,
    wait: timedelta = timedelta(0),
) -> None:
    """The try failed: queue the job for another one after `wait` (the sweeper sends it), or give it up after the last attempt."""
    job.error = error
    if final or job.attempt >= max_attempts:
        end_job(job, "failed", now)
    else:
        set_back(job, now=now, wait=wait)
    job_lines.note_failure(session, job, now)
    wake_waiting(session, job.project_id, now)


def postpone_job(session: Session, job: Job, *, now: datetime, error: str, wait: timedelta) -> None:
    """What the job needs is away, for no fault of its own: it is tried again after `wait`, and the try is not counted."""
    job.error = error
    job.attempt, job.postponed = max(0, job.attempt - 1), job.postponed + 1
    set_back(job, now=now, wait=wait)
    job_lines.note_failure(session, job, now, "warning")
    wake_waiting(session, job.project_id, now)


def set_back(job: Job, *, now: datetime, wait: timedelta) -> None:
    """Queue a job that was running; it is due after `wait`, and then sent."""
    job.state, job.lock, job.sent_at, job.due_at = "queued", None, now, now + wait


def wake_waiting(session: Session, project_id: int, now: datetime) -> None:
    """Send the project's queued jobs that were held back by the one that has stopped, and only those: each has one message."""
    session.flush()
    waiting = select(Job).where(Job.project_id == project_id, Job.state == "queued", Job.sent_at.is_(None))
    jobs = session.scalars(waiting.order_by(Job.id)).all()
    for job in jobs:
        begin_wait(job, now)
    send(session, jobs)


def begin_wait(job: Job, now: datetime) -> None:
    """A worker may take the job from now on: one that does not look at it is late by this moment, not by the last heartbeat."""
    job.sent_at = job.heartbeat_at = now


def end_job(job: Job, state: str, now: datetime) -> None:
    """The job is done, failed or cancelled."""
    job.state, job.lock, job.due_at, job.finished_at = state, None, None, now


def send(session: Session, jobs: Sequence[Job]) -> None:
    """Wake a worker for each of these jobs once the session has committed."""
    session.info.setdefault("outbox", []).extend((job.id, job.kind) for job in jobs)
