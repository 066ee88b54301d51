"""What an export is made of: images in order, each with the latest label of its regions and what is predicted of others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.domain.regions import Box
from service.store.pool import latest_labels
from service.tables import Annotator, Checkpoint, Image, Label, Project, Region, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRegion:
    """A labelled region of an image: where it is, its mask (8-bit PNG of class ids), and where the label came from.

    `checkpoint_id` is the segmenter that the round was chosen by, `policy_id` the policy, and `prediction_checkpoint_id` the
    segmenter whose prediction the annotator began with.
    """

    region_id: int
    box: Box
    score: float
    round_number: int
    strategy: str | None
    checkpoint_id: int | None
    policy_id: int | None
    prediction_checkpoint_id: int | None
    annotator: str
    label_id: int
    version: int
    kind: str
    seconds: float | None
    created_at: datetime
    mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedRegion:
    """A region that waits for its label: where it is, what a segmenter predicts (8-bit PNG of class ids), and which one."""

    region_id: int
    box: Box
    round_number: int
    checkpoint_id: int | None
    mask: bytes


def newest_label(session: Session, project_id: int) -> int | None:
    """The newest label of a project, if it has any."""
    chosen = select(func.max(Label.id)).join(Region, Label.region_id == Region.id)
    return session.scalar(chosen.where(Region.project_id == project_id))


def note_exported(session: Session, project_id: int, label_id: int) -> None:
    """All labels of the project up to this one have been exported."""
    before = func.coalesce(Project.exported_label_id, 0) < label_id
    session.execute(update(Project).where(Project.id == project_id, before).values(exported_label_id=label_id))


def image_names(session: Session, project_id: int, *, after: int, limit: int) -> list[tuple[int, str]]:
    """(id, name) of the project's images with ids above `after`, in the order of ids."""
    chosen = select(Image.id, Image.name).where(Image.project_id == project_id, Image.id > after)
    return [(id, name) for id, name in session.execute(chosen.order_by(Image.id).limit(limit))]


def images_with_labels(session: Session, project_id: int, *, after: int, last: int, complete: bool = False) -> set[int]:
    """Images with ids above `after` and up to `last` that have labelled regions, or with `complete` nothing else."""
    chosen = select(Region.image_id).join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled")
    chosen = chosen.where(Image.id > after, Image.id <= last).group_by(Region.image_id, Image.height, Image.width)
    if complete:
        # No pixel is in two regions that are asked for.
        chosen = chosen.having(func.sum(Region.height * Region.width) >= Image.height * Image.width)
    return set(session.scalars(chosen))


def images_with_predictions(session: Session, project_id: int, *, after: int, last: int) -> set[int]:
    """Images with ids above `after` and up to `last` of which something is predicted that waits for its label."""
    chosen = select(Region.image_id).where(Region.project_id == project_id, Region.state == "open")
    chosen = chosen.where(Region.prediction.is_not(None), Region.image_id > after, Region.image_id <= last)
    return set(session.scalars(chosen.distinct()))


def regions_of_image(session: Session, image_id: int) -> Sequence[ExportedRegion]:
    """The labelled regions of an image, in the order of the grid."""
    chosen = latest_labels(select(Region, Label, Round, Annotator.name)).join(Round, Region.round_id == Round.id)
    chosen = chosen.join(Annotator, Label.annotator_id == Annotator.id)
    chosen = chosen.where(Region.image_id == image_id, Region.state == "labelled").order_by(Region.cell)
    return [
        ExportedRegion(
            region_id=region.id,
            box=_box(region),
            score=region.score,
            round_number=round.number,
            strategy=round.strategy,
            checkpoint_id=round.checkpoint_id,
            policy_id=round.policy_id,
            prediction_checkpoint_id=region.prediction_checkpoint_id,
            annotator=name,
            label_id=label.id,
            version=label.version,
            kind=label.kind,
            seconds=label.seconds,
            created_at=label.created_at,
            mask=label.mask,
        )
        for region, label, round, name in session.execute(chosen)
    ]


def predictions_of_image(session: Session, image_id: int) -> Sequence[PredictedRegion]:
    """What is predicted of an image's regions that wait for their labels, in the order of the grid."""
    chosen = select(Region, Round.number).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.image_id == image_id, Region.state == "open", Region.prediction.is_not(None))
    return [
        PredictedRegion(
            region_id=region.id,
            box=_box(region),
            round_number=number,
            checkpoint_id=region.prediction_checkpoint_id,
            mask=region.prediction or b"",
        )
        for region, number in session.execute(chosen.order_by(Region.cell))
    ]


def checkpoints_of(session: Session, ids: Iterable[int]) -> Sequence[Checkpoint]:
    """The checkpoints of these ids, oldest first."""
    wanted = sorted(set(ids))
    parts = [
        wanted[start : start + 500] for start in range(0, len(wanted), 500)
    ]  # SQLite bounds a statement's parameters
    chosen = [select(Checkpoint).where(Checkpoint.id.in_(part)).order_by(Checkpoint.id) for part in parts]
    return [checkpoint for each in chosen for checkpoint in session.scalars(each)]


def _box(region: Region) -> Box:
    return Box(row=region.row, col=region.col, height=region.height, width=region.width)
