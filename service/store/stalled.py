"""Campaigns that stand still: rounds whose job has failed or waits after a failure, and their way on without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, and_, cast, or_, select
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.store import events
from service.store.jobs import end_job
from service.store.project_lock import lock_project
from service.store.rounds import advance, close_round, lock_round
from service.tables import Job, Project, Round

_JOB_OF = {"scoring": "ask", "labelled": "tell"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """A round that does not come further: the job that it needs has `failed` for good, or will be tried again.

    `sentence` is the job's error.
    """

    project_id: int
    round_id: int
    round: int
    job_id: int
    kind: str
    failed: bool
    sentence: str


def stalled_projects(session: Session, project_id: int | None = None) -> Sequence[Stalled]:
    """The rounds that stand still of all active projects, or of one; those that failed first, then by project and round."""
    needed = [
        and_(Round.state == state, Job.kind == kind, Job.dedup_key == f"{kind}:" + cast(Round.id, String))
        for state, kind in _JOB_OF.items()
    ]
    waits = and_(Job.state.in_(("queued", "running")), Job.error.is_not(None))
    chosen = (
        select(Round.project_id, Round.id, Round.number, Job.id, Job.kind, Job.state, Job.error)
        .join(Job, and_(Job.project_id == Round.project_id, or_(*needed)))
        .join(Project, Project.id == Round.project_id)
        .where(Project.active, or_(Job.state == "failed", waits))
        .order_by(Job.state != "failed", Round.project_id, Round.number)
    )
    if project_id is not None:
        chosen = chosen.where(Round.project_id == project_id)
    return [
        Stalled(
            project_id=project,
            round_id=round_id,
            round=number,
            job_id=job,
            kind=kind,
            failed=state == "failed",
            sentence=error or "",
        )
        for project, round_id, number, job, kind, state, error in session.execute(chosen)
    ]


def said_of(stalled: Stalled) -> str:
    """In a sentence, without what only those may know who have a token."""
    what = "has failed" if stalled.failed else "waits after a failure"
    return f"Job {stalled.job_id}, {stalled.kind} of round {stalled.round}, {what}: see GET /jobs/{stalled.job_id}."


def close_stalled(session: Session, round_id: int, *, now: datetime, by: int) -> Round:
    """Go on without the job of a round: one whose regions are not chosen is closed empty, a labelled one is passed over.

    Labels stay. Raises NotFound, and Conflict where nothing stands in the round's way.
    """
    round_ = lock_round(session, round_id)
    # Locks go from rounds to projects to jobs.
    lock_project(session, round_.project_id)
    kind = _JOB_OF.get(round_.state)
    if kind is None:
        raise Conflict(
            f"Round {round_.number} is {round_.state}: only one that waits for its ask or tell is closed.",
            code="round_not_stalled",
        )
    found = select(Job).where(Job.project_id == round_.project_id, Job.dedup_key == f"{kind}:{round_id}")
    job = session.scalars(found.with_for_update()).one_or_none()
    if job is not None:
        _require_stalled(job)
    note = f"Closed without its {kind}" + (f" (job {job.id}): {job.error}" if job and job.error else ".")
    if job is not None and job.state == "queued":
        end_job(job, "cancelled", now)
    events.record(
        session, now=now, kind="round_closed", project_id=round_.project_id, annotator_id=by, round=round_.number
    )
    if kind == "tell":
        close_round(session, round_id, None, now=now, note=note)
        return round_
    round_.state, round_.size, round_.told_at = "told", 0, now
    round_.note = " ".join(filter(None, (round_.note, note)))
    session.flush()
    advance(session, session.get_one(Project, round_.project_id), now)
    return round_


def _require_stalled(job: Job) -> None:
    if job.state == "failed" or (job.state == "queued" and job.error):
        return
    raise Conflict(
        f"Job {job.id}, {job.kind}, is {job.state}: a round is closed without its job where that has failed, or waits after a "
        "failure.",
        code="round_not_stalled",
        detail={"job_id": job.id},
    )
