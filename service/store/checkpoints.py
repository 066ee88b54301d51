"""Rows of network weights; the bytes are blobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import events
from service.tables import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckpoint:
    """Weights whose bytes are stored under `blob_key`: what they are of, what they came from, and by which job."""

    project_id: int
    kind: str
    blob_key: str
    description: dict[str, Any]
    parent_id: int | None = None
    job_id: int | None = None


def latest_checkpoint(session: Session, project_id: int, kind: str) -> Checkpoint | None:
    """The newest checkpoint of a kind: source, segmenter, policy or final."""
    chosen = select(Checkpoint).where(Checkpoint.project_id == project_id, Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id.desc()).limit(1)).first()


def add_checkpoint(session: Session, new: NewCheckpoint, now: datetime) -> Checkpoint:
    """A new row for weights whose bytes are stored already."""
    checkpoint = Checkpoint(
        project_id=new.project_id,
        kind=new.kind,
        blob_key=new.blob_key,
        description=new.description,
        parent_id=new.parent_id,
        job_id=new.job_id,
        created_at=now,
    )
    session.add(checkpoint)
    session.flush()
    return checkpoint


def record_checkpoint(session: Session, new: NewCheckpoint, now: datetime) -> Checkpoint:
    """A new row, and an event that says so: for weights that no round speaks of."""
    events.record(
        session, now=now, kind="checkpoint_saved", project_id=new.project_id, checkpoint=new.kind, job=new.job_id
    )
    return add_checkpoint(session, new, now)


def checkpoint_of_job(session: Session, job_id: int, kind: str) -> Checkpoint | None:
    """The checkpoint of a kind that a job has made, if it came that far."""
    chosen = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id.desc()).limit(1)).first()
