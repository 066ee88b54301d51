"""Labels that come once a campaign has ended: another finish learns from them, one after the other."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, select
from sqlalchemy.orm import Session, aliased

from service.schemas.jobs import FinishPayload
from service.store import events
from service.store.jobs import queue_job
from service.store.needs import lacking, payload_of
from service.store.project_lock import lock_project
from service.store.rounds import UNFINISHED, advance
from service.tables import Job, Project, Round


def learn_afterwards(session: Session, round_ids: Collection[int], now: datetime) -> None:
    """Regions of these rounds, which are locked, have got labels: queue a finish where nothing else will learn from them.

    While rounds go on, a tell does. Afterwards one finish waits at a time, for all that comes until a worker begins with it;
    what comes later is for the next, of the same settings. Who cancels one is not asked again, and one that failed is tried
    again by hand: they learn from what there is by then.
    """
    if all(session.get_one(Round, each).state != "told" for each in round_ids):
        return  # as of nearly every label: they are locked, and so at hand
    other = aliased(Round)
    goes_on = exists().where(other.project_id == Project.id, other.state.in_(UNFINISHED))
    chosen = select(Project).join(Round, Round.project_id == Project.id)
    chosen = chosen.where(Round.id.in_(round_ids), Round.state == "told", Project.active.is_(True), ~goes_on)
    project = session.scalars(chosen.limit(1)).first()
    if project is None:
        return
    last = _newest(session, project.id)
    if last is None:
        advance(session, project, now)  # when the last round was told there was nothing yet to train on
    elif _has_begun(last):
        lock_project(session, project.id)
        last = _newest(session, project.id)  # somebody else may have queued one while this waited
        if last is not None and _has_begun(last):
            _queue(session, project, last, now)


def _newest(session: Session, project_id: int) -> Row[Any] | None:
    chosen = select(Job.id, Job.state, Job.started_at, Job.payload)
    chosen = chosen.where(Job.project_id == project_id, Job.kind == "finish")
    return session.execute(chosen.order_by(Job.id.desc()).limit(1)).first()


def _has_begun(last: Row[Any]) -> bool:
    """Whether a finish may have read the labels before one that is being written; it waits for those when it begins."""
    return last.state == "done" or (last.state in ("queued", "running") and last.started_at is not None)


def _queue(session: Session, project: Project, last: Row[Any], now: datetime) -> None:
    payload = payload_of("finish", last.payload)
    if lacking(session, project, payload or FinishPayload()):
        return
    values = {} if payload is None else last.payload
    key = f"finish:after:{last.id}"
    job = queue_job(session, project_id=project.id, kind="finish", payload=values, now=now, key=key)
    events.record(session, now=now, kind="job_queued", project_id=project.id, job=job.id, job_kind="finish")
