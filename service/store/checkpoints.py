"""Rows of network weights; the bytes are blobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.tables import Checkpoint


def latest_checkpoint(session: Session, project_id: int, kind: str) -> Checkpoint | None:
    """The newest checkpoint of a kind: source, segmenter, policy or final."""
    chosen = select(Checkpoint).where(Checkpoint.project_id == project_id, Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id.desc()).limit(1)).first()


def add_checkpoint(
    session: Session,
    *,
    project_id: int,
    kind: str,
    blob_key: str,
    description: dict[str, Any],
    now: datetime,
    parent_id: int | None = None,
    job_id: int | None = None,
) -> Checkpoint:
    """A new row for weights that are already stored under `blob_key`."""
    checkpoint = Checkpoint(
        project_id=project_id,
        kind=kind,
        blob_key=blob_key,
        description=description,
        parent_id=parent_id,
        job_id=job_id,
        created_at=now,
    )
    session.add(checkpoint)
    session.flush()
    return checkpoint


def checkpoint_of_job(session: Session, job_id: int, kind: str) -> Checkpoint | None:
    """The checkpoint of a kind that a job has made, if it came that far."""
    chosen = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id.desc()).limit(1)).first()
