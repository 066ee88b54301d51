"""Rows of network weights; the bytes are blobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors import Conflict, Gone, NotFound
from service.store import events, removals
from service.store.jobs import pending_job
from service.store.project_lock import lock_project
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A checkpoint and whether it came with this call."""

    checkpoint: Checkpoint
    created: bool


def get_checkpoint(session: Session, checkpoint_id: int) -> Checkpoint:
    """The checkpoint, or NotFound."""
    checkpoint = session.get(Checkpoint, checkpoint_id)
    if checkpoint is None:
        raise NotFound(f"There is no checkpoint {checkpoint_id}.")
    return checkpoint


def require_weights(checkpoint: Checkpoint) -> None:
    """Raises Gone where the weights were removed."""
    if checkpoint.weights_gone_at is not None:
        raise Gone(
            f"The weights of checkpoint {checkpoint.id} were removed on {checkpoint.weights_gone_at:%Y-%m-%d}: the project "
            "keeps those of its newest rounds (keep_segmenters), and its best. Ask for a newer checkpoint.",
            code="weights_gone",
            detail={"checkpoint_id": checkpoint.id},
        )


def list_checkpoints(
    session: Session, project_id: int, *, kind: str | None, limit: int, after: int
) -> Sequence[Checkpoint]:
    """Checkpoints of a project with ids above `after`, oldest first."""
    chosen = select(Checkpoint).where(Checkpoint.project_id == project_id, Checkpoint.id > after)
    if kind is not None:
        chosen = chosen.where(Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id).limit(limit)).all()


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
    removals.keep(session, [new.blob_key])
    return checkpoint


def record_checkpoint(session: Session, new: NewCheckpoint, now: datetime) -> Checkpoint:
    """A new row, and an event that says so: for weights that no round speaks of."""
    events.record(
        session, now=now, kind="checkpoint_saved", project_id=new.project_id, checkpoint=new.kind, job=new.job_id
    )
    return add_checkpoint(session, new, now)


def upload_checkpoint(session: Session, new: NewCheckpoint, now: datetime, *, by: int | None = None) -> Uploaded:
    """A new row, and an event that says so, for weights that somebody brought; the project uses the newest of a kind.

    Where the newest has these very bytes, it is returned as it is. Older ones with these bytes are no reason to stop: whoever
    brings one back wants it to be used. Raises Conflict for a policy while a job is to make one.
    """
    # One upload at a time in each project: of two that are the same, the second finds the first.
    lock_project(session, new.project_id)
    newest = latest_checkpoint(session, new.project_id, new.kind)
    if newest is not None and newest.blob_key == new.blob_key:
        return Uploaded(checkpoint=newest, created=False)
    job = pending_job(session, new.project_id, "train-policy") if new.kind == "policy" else None
    if job is not None:
        sentence = f"Job {job.id}, train-policy, is under way, and what it makes would be used in place of what is uploaded now"
        raise Conflict(
            f"{sentence}: cancel it, or wait until it has ended.", code="job_running", detail={"job_id": job.id}
        )
    checkpoint = add_checkpoint(session, new, now)
    events.record(
        session,
        now=now,
        kind="checkpoint_uploaded",
        project_id=new.project_id,
        annotator_id=by,
        checkpoint=new.kind,
        checkpoint_id=checkpoint.id,
    )
    return Uploaded(checkpoint=checkpoint, created=True)


def checkpoint_of_job(session: Session, job_id: int, kind: str) -> Checkpoint | None:
    """The checkpoint of a kind that a job has made, if it came that far."""
    chosen = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.kind == kind)
    return session.scalars(chosen.order_by(Checkpoint.id.desc()).limit(1)).first()
