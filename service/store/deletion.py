"""What is deleted for good, all of it or nothing: projects with all that is theirs, and single images."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.store import events, removals
from service.store.images import get_image
from service.store.project_lock import lock_project
from service.store.rounds import UNDECIDED, UNFINISHED
from service.tables import (
    Checkpoint,
    ClassChange,
    Comparison,
    GoldTurn,
    Image,
    ImageGroup,
    Job,
    JobLine,
    Label,
    Lease,
    Membership,
    Project,
    Region,
    RegionHints,
    Review,
    Round,
)

# Of rows that the session holds it need not know.
_AS_SAID = {"synchronize_session": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """How many rows of each kind a deletion takes; `labels` are labelled regions, whatever versions of their labels there are."""

    images: int
    regions: int
    labels: int
    rounds: int = 0
    checkpoints: int = 0
    jobs: int = 0

    def __str__(self) -> str:
        words = (
            ("images", "image"),
            ("labels", "labelled region"),
            ("rounds", "round"),
            ("checkpoints", "checkpoint"),
            ("jobs", "job"),
        )
        counted = ((getattr(self, name), word) for name, word in words)
        listed = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count] or ["nothing else"]
        return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def delete_project(
    session: Session,
    project_id: int,
    *,
    confirm: str | None,
    now: datetime,
    force: bool = False,
    by: int | None = None,
) -> Losses:
    """Delete a project and all that is its own; returns what went. Its events stay. Bytes go later (service/removal.py).

    Raises NotFound, and Conflict while one of its jobs runs, and where `confirm` is not its name: that says what would go;
    and, but for `force`, where it has labels that no export has.
    """
    # Whoever labels locks a round before the project.
    session.execute(select(Round.id).where(Round.project_id == project_id).order_by(Round.id).with_for_update())
    project = session.scalars(select(Project).where(Project.id == project_id).with_for_update()).one_or_none()
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    _lock_jobs(session, project_id)
    lost = _losses_of_project(session, project_id)
    _require_confirmed(confirm, project.name, f"the project {project.name} with", lost)
    if not force:
        _require_exported(session, project)
    removals.note_project(session, project_id, now)
    _delete_project_rows(session, project_id)
    events.record(
        session,
        now=now,
        kind="project_deleted",
        project_id=project_id,
        annotator_id=by,
        name=project.name,
        **asdict(lost),
    )
    return lost


def _lock_jobs(session: Session, project_id: int) -> None:
    """Raises Conflict while a job runs; one that waits goes with its project, and a worker finds nothing to claim."""
    jobs = session.scalars(select(Job).where(Job.project_id == project_id).with_for_update(skip_locked=True)).all()
    running = [job for job in jobs if job.state == "running"]
    if running:
        raise _job_running(running[0])
    if len(jobs) < _count(session, select(Job.id).where(Job.project_id == project_id)):
        raise Conflict("A job of the project is being changed at this moment; please try again.")


def _job_running(job: Job) -> Conflict:
    sentence = f"Job {job.id}, {job.kind}, is under way: cancel it, or wait until it has ended."
    return Conflict(sentence, code="job_running", detail={"job_id": job.id})


def _losses_of_project(session: Session, project_id: int) -> Losses:
    def rows(table: type[Image | Region | Round | Checkpoint | Job]) -> int:
        return _count(session, select(table.id).where(table.project_id == project_id))

    labelled = select(Label.region_id).join(Region, Label.region_id == Region.id).where(Region.project_id == project_id)
    return Losses(
        images=rows(Image),
        regions=rows(Region),
        labels=_count(session, labelled.distinct()),
        rounds=rows(Round),
        checkpoints=rows(Checkpoint),
        jobs=rows(Job),
    )


def _count(session: Session, chosen: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(chosen.subquery())) or 0


def _require_confirmed(confirm: str | None, name: str, what: str, lost: Losses) -> None:
    if confirm != name:
        sentence = f"This deletes {what} {lost}, for good. To go on, say confirm={name}."
        raise Conflict(sentence, code="confirm_deletion", detail={"confirm": name, **asdict(lost)})


def _require_exported(session: Session, project: Project) -> None:
    chosen = select(Label.id).join(Region, Label.region_id == Region.id).where(Region.project_id == project.id)
    newer = Label.id > (project.exported_label_id or 0)
    count = _count(session, chosen.where(newer))
    waiting = 0
    if project.exported_label_id is not None:  # no export has what waits for another label or for a reviewer
        rejected = exists().where(Review.label_id == Label.id, Review.decision == "rejected")
        waiting = _count(session, chosen.where(~newer, UNDECIDED, ~rejected))
    if count:
        what, instead = f"{_labels(count)} made since the project was exported last", "export it first"
    elif waiting:
        what = f"{_labels(waiting)} made of regions that wait for another label or a reviewer, which no export has"
        instead = "have these regions decided and export it"
    else:
        return
    raise Conflict(
        f"{what}, and would be lost for good: {instead}, or say force=true.",
        code="labels_not_exported",
        detail={"labels": count + waiting},
    )


def _labels(count: int) -> str:
    return f"{count} label{' was' if count == 1 else 's were'}"


def _delete_project_rows(session: Session, project_id: int) -> None:
    """Rows that name others go before these."""
    delete_regions(session, select(Region.id).where(Region.project_id == project_id))
    jobs = select(Job.id).where(Job.project_id == project_id)
    session.execute(delete(JobLine).where(JobLine.job_id.in_(jobs)), execution_options=_AS_SAID)
    for table in (ClassChange, Round, Image, ImageGroup, Checkpoint, Job, Membership):
        session.execute(delete(table).where(table.project_id == project_id), execution_options=_AS_SAID)
    session.execute(delete(Project).where(Project.id == project_id), execution_options=_AS_SAID)


def delete_regions(session: Session, regions: Select[int]) -> None:
    """Delete regions, which are locked, with their labels, what was said of these, and leases."""
    for table in (Comparison, Review, GoldTurn, RegionHints, Label, Lease):
        session.execute(delete(table).where(table.region_id.in_(regions)), execution_options=_AS_SAID)
    session.execute(delete(Region).where(Region.id.in_(regions)), execution_options=_AS_SAID)


def delete_image(
    session: Session, image_id: int, *, confirm: str | None, now: datetime, by: int | None = None
) -> Losses:
    """Delete an image with its regions and their labels; returns what went. The last image of its group takes its place.

    Rounds that asked for its regions keep their figures, and networks what they have learned. Raises NotFound, and Conflict
    while a job is under way or a round waits for the image's labels, and where `confirm` is not its name: that says what
    would go.
    """
    project_id = get_image(session, image_id).project_id
    # Before the project: labels that are imported are written in this order too.
    session.execute(select(Region.id).where(Region.image_id == image_id).order_by(Region.id).with_for_update()).all()
    # Claims of jobs wait for this, as other uploads and deletions do.
    lock_project(session, project_id)
    chosen = select(Image).where(Image.id == image_id).execution_options(populate_existing=True)
    image = session.scalars(chosen).one_or_none()
    if image is None:
        raise NotFound(f"There is no image {image_id}.")
    _require_not_needed(session, image)
    regions = session.scalars(
        select(Region.id).where(Region.image_id == image_id).order_by(Region.id).with_for_update()
    )
    labelled = select(Label.region_id).join(Region, Label.region_id == Region.id).where(Region.image_id == image_id)
    lost = Losses(images=1, regions=len(regions.all()), labels=_count(session, labelled.distinct()))
    _require_confirmed(confirm, image.name, f"the image {image.name}:", lost)
    removals.note_image(session, image, now)
    delete_regions(session, select(Region.id).where(Region.image_id == image_id))
    _take_out(session, image)
    events.record(
        session,
        now=now,
        kind="image_deleted",
        project_id=project_id,
        annotator_id=by,
        image=image_id,
        name=image.name,
        regions=lost.regions,
        labels=lost.labels,
    )
    return lost


def _require_not_needed(session: Session, image: Image) -> None:
    """Raises Conflict where a job that has begun may hold the images' places, or a round has regions of the image."""
    begun = or_(Job.state == "running", (Job.state == "queued") & Job.started_at.is_not(None))
    job = session.scalars(select(Job).where(Job.project_id == image.project_id, begun).limit(1)).first()
    if job is not None:
        raise _job_running(job)
    waiting = select(Round).join(Region, Region.round_id == Round.id).where(Region.image_id == image.id)
    round_ = session.scalars(waiting.where(Round.state.in_(UNFINISHED)).limit(1)).first()
    if round_ is not None:
        sentence = (
            f"Round {round_.number} has regions of {image.name}, and is not learned from yet: label or skip them first, and "
            "wait until it is."
        )
        raise Conflict(sentence, code="round_needs_image", detail={"round_id": round_.id})


def _take_out(session: Session, image: Image) -> None:
    """Ordinals stay without gaps; a group without images goes, too."""
    group = session.get_one(ImageGroup, image.group_id, with_for_update=True)
    gap, last = image.ordinal, group.count - 1
    session.delete(image)
    session.flush()  # the place must be free first
    if gap < last:
        moved = session.scalars(select(Image).where(Image.group_id == group.id, Image.ordinal == last)).one()
        moved.ordinal = gap
    group.count = last
    session.flush()
    if group.count == 0:
        session.delete(group)
        session.flush()
