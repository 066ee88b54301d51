"""Jobs in the database: queued, claimed by one worker at a time, kept alive, finished, and found again when forgotten."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from service.domain.job_kinds import ROUND_KINDS, JobKind
from service.errors import Conflict, NotFound
from service.logs import request_id
from service.tables import Job, Project

# These read the newest segmenter and save its successor, so two at once would lose one's training.
EXCLUSIVE_KINDS: tuple[JobKind, ...] = ("pretrain", "tell")
ENDED = ("done", "failed", "cancelled")


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
    _send(session, [job])
    return job


def start_job(session: Session, project: Project, *, kind: JobKind, payload: dict[str, Any], now: datetime) -> Job:
    """A new job, unless one of its kind has not ended: then Conflict."""
    session.execute(select(Project.id).where(Project.id == project.id).with_for_update(key_share=True))
    running = pending_job(session, project.id, kind)
    if running is not None:
        sentence = f"Job {running.id} of this kind is {running.state}; cancel it or wait."
        raise Conflict(sentence, code="job_running", detail={"job_id": running.id})
    return queue_job(session, project_id=project.id, kind=kind, payload=payload, now=now)


def get_job(session: Session, job_id: int) -> Job:
    """The job, or NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def list_jobs(session: Session, project_id: int, *, limit: int, after: int) -> Sequence[Job]:
    """Jobs of a project with ids above `after`, oldest first."""
    chosen = select(Job).where(Job.project_id == project_id, Job.id > after).order_by(Job.id).limit(limit)
    return session.scalars(chosen).all()


def pending_job(session: Session, project_id: int, kind: JobKind) -> Job | None:
    """A job of this kind that has not ended, if any."""
    chosen = select(Job).where(Job.project_id == project_id, Job.kind == kind, Job.state.in_(("queued", "running")))
    return session.scalars(chosen.limit(1)).first()


def claim_job(session: Session, job_id: int, *, now: datetime, stale_after: timedelta) -> Job | None:
    """Take a job for this worker; None where another has it, it has ended, or another of its kind must end first."""
    job = session.get(Job, job_id)
    if job is None:
        return None
    # The project's row orders the claims of its exclusive jobs.
    session.execute(select(Project.id).where(Project.id == job.project_id).with_for_update(key_share=True))
    found = select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    job = session.scalars(found).one_or_none()
    if job is None:  # its project was deleted meanwhile
        return None
    alive = job.heartbeat_at is not None and job.heartbeat_at > now - stale_after
    if job.state in ENDED or (job.state == "running" and alive):
        return None
    if job.cancel_requested:
        _end(job, "cancelled", now)
        return None
    if _must_wait(session, job, now - stale_after):
        job.sent_at = None  # no message speaks of it any more; the job that it waits for sends it again
        return None
    job.state, job.lock, job.heartbeat_at = "running", uuid4().hex, now
    job.attempt += 1
    job.started_at = job.started_at or now
    return job


def _must_wait(session: Session, job: Job, stale_before: datetime) -> bool:
    if job.kind == "train-policy":
        return pending_job(session, job.project_id, "pretrain") is not None
    return job.kind in EXCLUSIVE_KINDS and _exclusive_running(session, job, stale_before)


def _exclusive_running(session: Session, job: Job, stale_before: datetime) -> bool:
    others = select(Job.id).where(
        Job.project_id == job.project_id,
        Job.id != job.id,
        Job.kind.in_(EXCLUSIVE_KINDS),
        Job.state == "running",
        Job.heartbeat_at > stale_before,
    )
    return session.scalars(others.limit(1)).first() is not None


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


def finish_job(session: Session, job: Job, *, now: datetime, result: dict[str, Any]) -> None:
    """The job is done; jobs that waited for it are sent."""
    job.result, job.progress = result, 1.0
    _end(job, "done", now)
    wake_waiting(session, job.project_id, now)


def cancel_job(session: Session, job: Job, *, now: datetime) -> None:
    """The job stopped because it was told to."""
    _end(job, "cancelled", now)
    wake_waiting(session, job.project_id, now)


def yield_job(session: Session, job: Job, *, now: datetime) -> None:
    """Put a job that made progress behind those that wait; its next slice goes on where this one stopped."""
    job.state, job.lock, job.attempt, job.sent_at = "queued", None, 0, now
    wake_waiting(session, job.project_id, now)
    _send(session, [job])


def fail_job(session: Session, job: Job, *, now: datetime, error: str, max_attempts: int, final: bool = False) -> None:
    """The try failed: queue the job again (the sweeper sends it), or give it up after the last attempt."""
    job.error = error
    if final or job.attempt >= max_attempts:
        _end(job, "failed", now)
    else:
        job.state, job.lock, job.sent_at = "queued", None, now
    wake_waiting(session, job.project_id, now)


def wake_waiting(session: Session, project_id: int, now: datetime) -> None:
    """Send the project's queued jobs that were held back by the one that has stopped, and only those: each has one message."""
    session.flush()
    waiting = select(Job).where(Job.project_id == project_id, Job.state == "queued", Job.sent_at.is_(None))
    jobs = session.scalars(waiting.order_by(Job.id)).all()
    for job in jobs:
        job.sent_at = now
    _send(session, jobs)


def request_cancel(session: Session, job_id: int, *, now: datetime) -> Job:
    """Ask a job to stop: at once where it is queued, at its next step where it runs."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    if job.state in ENDED:
        raise Conflict(f"Job {job_id} has ended: it is {job.state}.", code="job_ended")
    if job.kind in ROUND_KINDS:
        raise Conflict("Rounds cannot be cancelled; set the project inactive instead.", code="not_cancellable")
    job.cancel_requested = True
    if job.state == "queued":
        _end(job, "cancelled", now)
    return job


def retry_job(session: Session, job_id: int, *, now: datetime) -> Job:
    """Queue a failed or cancelled job again; it goes on from what it had saved, with what there is to learn from by now."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    if job.state not in ("failed", "cancelled"):
        raise Conflict(
            f"Job {job_id} is {job.state}; only a failed or cancelled job is tried again.", code="job_not_ended"
        )
    job.state, job.attempt, job.cancel_requested, job.error, job.finished_at = "queued", 0, False, None, None
    job.started_at, job.sent_at, job.request_id = None, now, request_id()
    _send(session, [job])
    return job


def sweep(
    session: Session, *, now: datetime, resend_after: timedelta, stale_after: timedelta, max_attempts: int
) -> int:
    """Send again what the broker forgot and what a dead worker held; returns how many.

    A queued job sent longer than `resend_after` ago and a running one silent for `stale_after` are due. A job that took its
    worker down `max_attempts` times is given up.
    """
    due = select(Job).where(
        or_(
            and_(Job.state == "queued", or_(Job.sent_at.is_(None), Job.sent_at < now - resend_after)),
            and_(Job.state == "running", Job.heartbeat_at < now - stale_after),
        )
    )
    jobs = session.scalars(due.order_by(Job.id).limit(100).with_for_update(skip_locked=True)).all()
    for job in jobs:
        if job.state == "running" and job.attempt >= max_attempts:
            job.error = f"The worker stopped without a word {job.attempt} times."
            _end(job, "failed", now)
            continue
        job.state, job.lock, job.sent_at = "queued", None, now
        _send(session, [job])
    return len(jobs)


def restart_jobs(session: Session, now: datetime) -> None:
    """On the start of an embedded worker: nothing can be running any more, and its broker remembers nothing."""
    session.execute(update(Job).where(Job.state == "running").values(state="queued", lock=None))
    session.execute(update(Job).where(Job.state == "queued").values(sent_at=now))
    _send(session, session.scalars(select(Job).where(Job.state == "queued").order_by(Job.id)).all())


def _end(job: Job, state: str, now: datetime) -> None:
    job.state, job.lock, job.finished_at = state, None, now


def _send(session: Session, jobs: Sequence[Job]) -> None:
    session.info.setdefault("outbox", []).extend((job.id, job.kind) for job in jobs)
