"""Regions in the database: found, described, and locked in the one order that cannot deadlock."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, select
from sqlalchemy.orm import Session, defer

from service.domain.classes import ClassSet
from service.domain.regions import Box
from service.errors import NotFound
from service.store.rounds import lock_round, lock_rounds
from service.tables import Image, Label, Lease, Project, Region, Round


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
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_FRAMES = (
    select(Region.id, Region.height, Region.width, Region.round_id, Region.project_id, Project.classes)
    .join(Project, Region.project_id == Project.id)
    .where(Region.id.in_(_IDS))
)
_LOCK = (
    select(Region)
    .where(Region.id.in_(_IDS))
    .order_by(Region.id)
    .options(defer(Region.prediction))
    .with_for_update()
    .execution_options(populate_existing=True)
)
# A lease's number, region and annotator never change, so that the row may be read beside the one that is waited for.
_LOCK_LEASED = (
    select(Region.id, Region.round_id, Region.project_id, Region.state, Lease.id.label("lease_id"))
    .outerjoin(
        Lease,
        and_(
            Lease.region_id == Region.id,
            Lease.annotator_id == bindparam("annotator"),
            Lease.id.in_(bindparam("leases", expanding=True)),
        ),
    )
    .where(Region.id.in_(_IDS))
    .order_by(Region.id)
    .with_for_update(of=Region)
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


def prediction_of(session: Session, region_id: int) -> Prediction:
    """The model's label map of a region, or NotFound."""
    columns = select(Region.prediction, Region.prediction_checkpoint_id)
    row = session.execute(columns.where(Region.id == region_id)).one_or_none()
    if row is None:
        raise missing([region_id])
    if row[0] is None:
        raise NotFound(f"No network has predicted region {region_id}.", code="no_prediction")
    return Prediction(png=row[0], checkpoint_id=row[1])


def latest_label(session: Session, region_id: int, *, by: int | None = None) -> Label | None:
    """The version that counts, if there is one; the newest of an annotator's own where they are named."""
    chosen = select(Label).where(Label.region_id == region_id).order_by(Label.version.desc()).limit(1)
    return session.scalars(chosen if by is None else chosen.where(Label.annotator_id == by)).one_or_none()


def counting_label(session: Session, region_id: int, *, by: int | None = None) -> Label:
    """Like `latest_label`; NotFound where there is none."""
    label = latest_label(session, region_id, by=by)
    if label is None:
        get_region(session, region_id)
        raise NotFound(f"Region {region_id} has no label.", code="no_label")
    return label


def active_lease(session: Session, region_id: int) -> Lease | None:
    """The lease without an end, if there is one; it may have expired."""
    return session.scalar(select(Lease).where(Lease.region_id == region_id, Lease.ended_at.is_(None)))


def frames(session: Session | Connection, region_ids: Collection[int]) -> dict[int, Frame]:
    """Size and classes of each region. Raises NotFound naming those that do not exist."""
    rows = session.execute(_FRAMES, {"ids": list(region_ids)}).all()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A region that is locked, as it is now."""

    id: int
    round_id: int
    project_id: int
    state: str


def lock_leased(
    session: Session, leases: Mapping[int, int | None], annotator_id: int, round_ids: Collection[int]
) -> dict[int, Leased]:
    """Like `lock_regions`, of regions by the lease that each was given to the annotator by, whether that lasts or has ended.

    Raises NotFound where there is no such lease.
    """
    lock_rounds(session, round_ids)
    values = {"ids": list(leases), "annotator": annotator_id, "leases": [each or 0 for each in leases.values()]}
    rows = session.connection().execute(_LOCK_LEASED, values).all()
    # Of two leases of one region that were sent, which is refused afterwards, each has its row.
    found = {(row.id, row.lease_id) for row in rows}
    locked = {
        row.id: Leased(id=row.id, round_id=row.round_id, project_id=row.project_id, state=row.state) for row in rows
    }
    if absent := leases.keys() - locked.keys():
        raise missing(absent)
    for region_id, lease_id in leases.items():
        if (region_id, lease_id) not in found or lease_id is None:
            raise no_lease(region_id)
    return locked


def no_lease(region_id: int) -> NotFound:
    """The error for a lease that the annotator was never given."""
    sentence = f"There is no such lease of yours of region {region_id}: ask GET /next-regions, and send it with what that gives."
    return NotFound(sentence, code="lease_not_found", detail={"region_id": region_id})
