"""How every job keeps a network that it has trained, bytes first, then the row; and how it measures one."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from models.segmenter import Segmenter
from service.domain.metrics import mean_iou
from service.removal import require_bytes
from service.store.checkpoints import NewCheckpoint, checkpoint_of_job, record_checkpoint
from service.store.jobs import owned_job
from service.tables import Checkpoint
from workers.jobs.delivery import JobRun
from workers.jobs.project import ProjectData, labelled_part
from workers.training.checkpoints import save_segmenter
from workers.training.convergence import measure

Written = TypeVar("Written")

# What slices of jobs leave for each other.
PHASES = (
    "base",
    "looked",
    "regions",
    "fit",
    "since",
    "head",
    "tuned",
    "theta_pre",
    "theta_0",
    "final",
    "policy",
    "comparison",
)


def made_already(run: JobRun, kind: str) -> dict[str, Any] | None:
    """The description of the checkpoint that this job has saved, where its worker died before it could say so; else None.

    Nothing goes on from what slices of the job left then, so it is cleared.
    """
    with run.worker.database.read() as session:
        row = checkpoint_of_job(session, run.job_id, kind)
    if row is None:
        return None
    forget(run)
    return dict(row.description)


def forget(run: JobRun) -> None:
    """Clear what slices of the job have left for each other."""
    for phase in PHASES:
        run.state(phase).clear()


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
    Returns what `write` does. Raises JobLost where the job was given to another worker: then there is no row.
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
        written = write(session, new, now)
        require_bytes(run.worker.blobs, [new.blob_key])
        # At the end: whoever claims a job locks the project's row before the job's, too.
        owned_job(session, run.job_id, run.lock)
    return written


def measured(project: ProjectData, segmenter: Segmenter) -> dict[str, Any]:
    """mIoU on the labelled images of D_R and of the test split, where there are any."""
    figures: dict[str, Any] = {}
    for split, name in (("reward", "miou"), ("test", "miou_test")):
        images = labelled_part(project.images(split))
        if len(images):
            figures[name] = mean_iou(measure(segmenter, images, classes=len(project.classes)))
    return figures


def save_network(
    run: JobRun,
    project: ProjectData,
    segmenter: Segmenter,
    kind: str,
    description: dict[str, Any],
    parent: Checkpoint | None,
) -> Checkpoint:
    """Keep a segmenter of which no round speaks."""
    return save_checkpoint(
        run,
        save_segmenter(segmenter, project.classes, **description),
        kind=kind,
        description=description,
        parent=parent,
        write=record_checkpoint,
    )
