"""How every job keeps a network that it has trained: bytes first, then the row."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from service.store.checkpoints import NewCheckpoint, checkpoint_of_job
from service.tables import Checkpoint
from workers.jobs.delivery import JobRun

Written = TypeVar("Written")


def made_already(run: JobRun, kind: str) -> dict[str, Any] | None:
    """The description of the checkpoint that this job has saved, where its worker died before it could say so; else None."""
    with run.worker.database.read() as session:
        row = checkpoint_of_job(session, run.job_id, kind)
    return None if row is None else dict(row.description)


def save_checkpoint(
    run: JobRun,
    data: bytes,
    *,
    kind: str,
    description: dict[str, Any],
    parent: Checkpoint | None,
    write: Callable[[Session, NewCheckpoint, datetime], Written],
) -> Written:
    """Put a network's bytes into the blobs, then let the store's `write` add the row and what belongs to it, all or nothing.

    The bytes are there whole before a row names them: a worker that dies in between leaves bytes that nothing refers to.
    Returns what `write` does.
    """
    new = NewCheckpoint(
        project_id=run.project_id,
        kind=kind,
        blob_key=run.worker.blobs.put_content("checkpoints", data, ".safetensors"),
        description=description,
        parent_id=None if parent is None else parent.id,
        job_id=run.job_id,
    )
    now = run.worker.clock()
    with run.worker.database.write() as session:
        return write(session, new, now)
