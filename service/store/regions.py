"""Regions in the database: found, described, and locked in the one order that cannot deadlock."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, select
from sqlalchemy.orm import Session, defer

from service.domain.classes import ClassSet
from service.domain.label_kinds import DRAWN
from service.domain.regions import Box
from service.errors import NotFound
from service.store.rounds import lock_round
from service.tables import GoldTurn, Image, Label, Lease, Project, Region, Round, by_dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A region, its round's number, its image's name, and whether the model has predicted it."""

    id: int
    project_id: int
    image_id: int
    box: Box
    score: float
    state: str
    skip_reason: str | None
    prediction_checkpoint_id: int | None
    round_number: int
    image_name: str
    has_prediction: bool
    overlap: int
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A label map that a network predicted, as PNG, and the checkpoint of that network, where it is known."""

    png: bytes
    checkpoint_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a label map of a region must look like, and the region's round and project."""

    height: int
    width: int
    round_id: int
    project_id: int
    classes: ClassSet


_CLASSES: dict[int, tuple[dict[str, Any], ClassSet]] = {}
_PROJECTS_KEPT = 256

# Built once: building takes longer than the database's answer.
_FRAMES = by_dialect(
    lambda among: (
        select(Region.id, Region.height, Region.width, Region.round_id, Region.project_id, Project.classes)
        .join(Project, Region.project_id == Project.id)
        .where(among(Region.id, "ids"))
    )
)
_LOCK = (
    select(Region)
    .where(Region.id.in_(bindparam("ids", expanding=True)))
    .order_by(Region.id)
    .options(defer(Region.prediction))
    .with_for_update()
    .execution_options(populate_existing=True)
)

PLACED = (
    Region.id,
    Region.project_id,
    Region.image_id,
    Region.row,
    Region.col,
    Region.height,
    Region.width,
    Region.score,
    Region.state,
    Region.skip_reason,
    Region.prediction_checkpoint_id,
    Round.number.label("round_number"),
    Image.name.label("image_name"),
    Region.prediction.is_not(None).label("has_prediction"),
    Region.overlap,
    Region.answers,
)
"""Columns for `placed`; the prediction's bytes stay where they are."""


def placed(row: Any) -> Placed:
    """A row of `PLACED`."""
    return Placed(
        id=row.id,
        project_id=row.project_id,
        image_id=row.image_id,
        box=Box(row=row.row, col=row.col, height=row.height, width=row.width),
        score=row.score,
        state=row.state,
        skip_reason=row.skip_reason,
        prediction_checkpoint_id=row.prediction_checkpoint_id,
        round_number=row.round_number,
        image_name=row.image_name,
        has_prediction=bool(row.has_prediction),
        overlap=row.overlap,
        answers=row.answers,
    )


def get_region(session: Session, region_id: int) -> Placed:
    """The region, or NotFound."""
    chosen = select(*PLACED).join(Round, Region.round_id == Round.id).join(Image, Region.image_id == Image.id)
    row = session.execute(chosen.where(Region.id == region_id)).one_or_none()
    if row is None:
        raise missing([region_id])
    return placed(row)


def missing(region_ids: Collection[int]) -> NotFound:
    """The error for regions that there are none of."""
    first = min(region_ids)
    return NotFound(
        f"There is no region {first}.", code="region_not_found", detail={"region_ids": sorted(region_ids)[:100]}
    )


def image_of(session: Session, region_id: int) -> tuple[Region, Image]:
    """The region and its image, or NotFound."""
    chosen = select(Region, Image).join(Image, Region.image_id == Image.id).options(defer(Region.prediction))
    row = session.execute(chosen.where(Region.id == region_id)).one_or_none()
    if row is None:
        raise missing([region_id])
    return row[0], row[1]


def prediction_of(session: Session, region_id: int, *, seen_by: int) -> Prediction:
    """The model's label map of a region, or NotFound: of a gold one that somebody has done with, that of then."""
    ended = and_(GoldTurn.region_id == Region.id, GoldTurn.annotator_id == seen_by, GoldTurn.state != "open")
    columns = (
        case((GoldTurn.id.is_not(None), of_then), else_=of_now)
        for of_then, of_now in (
            (GoldTurn.prediction, Region.prediction),
            (GoldTurn.prediction_checkpoint_id, Region.prediction_checkpoint_id),
        )
    )
    chosen = select(*columns).select_from(Region).outerjoin(GoldTurn, ended)
    row = session.execute(chosen.where(Region.id == region_id)).one_or_none()
    if row is None:
        raise missing([region_id])
    if row[0] is None:
        raise NotFound(f"No network has predicted region {region_id}.", code="no_prediction")
    return Prediction(png=row[0], checkpoint_id=row[1])


def latest_label(session: Session, region_id: int, *, by: int | None = None) -> Label | None:
    """The version that counts, if there is one; the newest that an annotator drew where they are named."""
    chosen = select(Label).where(Label.region_id == region_id).order_by(Label.version.desc()).limit(1)
    own = (Label.annotator_id == by, Label.kind.in_((*DRAWN, "corrected")))
    return session.scalars(chosen if by is None else chosen.where(*own)).one_or_none()


def counting_label(session: Session, region_id: int, *, by: int | None = None) -> Label:
    """Like `latest_label`; NotFound where there is none."""
    label = latest_label(session, region_id, by=by)
    if label is None:
        get_region(session, region_id)
        raise NotFound(f"Region {region_id} has no label.", code="no_label")
    return label


def active_lease(session: Session, region_id: int) -> Lease | None:
    """The lease without an end that lasts longest, if there is one; it may have expired."""
    chosen = select(Lease).where(Lease.region_id == region_id, Lease.ended_at.is_(None))
    return session.scalar(chosen.order_by(Lease.expires_at.desc()).limit(1))


def frames(session: Session | Connection, region_ids: Collection[int]) -> dict[int, Frame]:
    """Size and classes of each region. Raises NotFound naming those that do not exist."""
    connection = session.connection() if isinstance(session, Session) else session
    rows = connection.execute(_FRAMES[connection.dialect.name], {"ids": list(region_ids)}).all()
    absent = set(region_ids) - {row.id for row in rows}
    if absent:
        raise missing(absent)
    classes = {project_id: _class_set(project_id, of) for project_id, of in {row[4]: row[5] for row in rows}.items()}
    return {
        row.id: Frame(
            height=row.height,
            width=row.width,
            round_id=row.round_id,
            project_id=row.project_id,
            classes=classes[row.project_id],
        )
        for row in rows
    }


def _class_set(project_id: int, of: dict[str, Any]) -> ClassSet:
    """The classes of a project: those that were read last, where they are still the same."""
    kept = _CLASSES.get(project_id)
    if kept is None or kept[0] != of:
        if len(_CLASSES) >= _PROJECTS_KEPT:
            _CLASSES.clear()
        kept = _CLASSES[project_id] = (of, ClassSet.from_json(of))
    return kept[1]


def lock_regions(
    session: Session, region_ids: Collection[int], round_ids: Collection[int]
) -> tuple[dict[int, Region], dict[int, Round]]:
    """The regions and their rounds by id, locked until the transaction ends: rounds first, then regions, each by id.

    The two kinds have an order so that no two transactions wait for each other. Raises NotFound where one was deleted.
    """
    rounds = {round_id: lock_round(session, round_id) for round_id in sorted(set(round_ids))}
    locked = {region.id: region for region in session.scalars(_LOCK, {"ids": list(region_ids)})}
    if absent := set(region_ids) - locked.keys():
        raise missing(absent)
    return locked, rounds


def no_lease(region_id: int) -> NotFound:
    """The error for a lease that the annotator was never given."""
    sentence = f"There is no such lease of yours of region {region_id}: ask GET /next-regions, and send it with what that gives."
    return NotFound(sentence, code="lease_not_found", detail={"region_id": region_id})


def unknown_lease() -> NotFound:
    """The error for a lease that there is none of, or that is somebody else's."""
    return NotFound("There is no such lease of yours.", code="lease_not_found")
