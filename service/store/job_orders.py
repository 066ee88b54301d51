"""What people order of jobs: that one begins, stops, or is tried again."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.domain.job_kinds import ROUND_KINDS, JobKind
from service.errors import Conflict, NotFound
from service.logs import request_id
from service.store import job_lines
from service.store.jobs import (
    CANCELLED,
    ENDED,
    begin_wait,
    end_job,
    lock_job,
    pending_job,
    queue_job,
    send,
    wake_waiting,
)
from service.store.migrated import altered_since
from service.store.project_lock import lock_project
from service.tables import Job, Project


def start_job(session: Session, project: Project, *, kind: JobKind, payload: dict[str, Any], now: datetime) -> Job:
    """A new job, unless one of its kind has not ended: then Conflict."""
    lock_project(session, project.id)
    _require_no_other(session, project.id, kind)
    return queue_job(session, project_id=project.id, kind=kind, payload=payload, now=now)


def _locked(session: Session, job_id: int) -> Job:
    job = lock_job(session, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def _require_no_other(session: Session, project_id: int, kind: str) -> None:
    running = pending_job(session, project_id, kind)
    if running is not None:
        sentence = f"Job {running.id} of this kind is {running.state}; cancel it or wait."
        raise Conflict(sentence, code="job_running", detail={"job_id": running.id})


def request_cancel(session: Session, job_id: int, *, now: datetime) -> Job:
    """Ask a job to stop: at once where it is queued, at its next step where it runs."""
    job = _locked(session, job_id)
    if job.state in ENDED:
        raise Conflict(f"Job {job_id} has ended: it is {job.state}.", code="job_ended")
    if job.kind in ROUND_KINDS:
        raise Conflict("Rounds cannot be cancelled; set the project inactive instead.", code="not_cancellable")
    job.cancel_requested = True
    if job.state == "queued":
        end_job(job, "cancelled", now)
        # A policy's training waits for a segmenter's, though that has not begun.
        wake_waiting(session, job.project_id, now)
    job_lines.note(session, job, "It is to stop." if job.state == "running" else CANCELLED, now)
    return job


def retry_job(session: Session, job_id: int, *, now: datetime) -> Job:
    """Queue a failed or cancelled job again; it goes on from what it had saved, with what there is to learn from by now."""
    job = _locked(session, job_id)
    if job.state not in ("failed", "cancelled"):
        raise Conflict(
            f"Job {job_id} is {job.state}; only a failed or cancelled job is tried again.", code="job_not_ended"
        )
    if job.kind not in ROUND_KINDS:
        if altered_since(session, job.project_id, job.created_at):
            sentence = f"The project's classes were changed since job {job_id} was begun: start a new one."
            raise Conflict(sentence, code="classes_changed", detail={"job_id": job_id})
        _require_no_other(session, job.project_id, job.kind)
    job.state, job.attempt, job.cancel_requested, job.error, job.finished_at = "queued", 0, False, None, None
    job.started_at, job.due_at, job.postponed, job.request_id = None, None, 0, request_id()
    begin_wait(job, now)
    job_lines.note(session, job, "Somebody has it tried again.", now)
    send(session, [job])
    return job
