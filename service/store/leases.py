"""Leases in the database: a region is held by one annotator at a time, for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, case, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.store.lease_caps import (
    holds_all_it_may,
    lease_time,
    live_leases,
    longest_lease,
    setting,
)
from service.store.regions import PLACED, Placed, placed
from service.store.turns import one_at_a_time
from service.tables import Annotator, Image, Lease, Membership, Project, Region, Round, UtcDateTime, table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A lease that lasts."""

    id: int
    region_id: int
    annotator_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A region and the lease on it."""

    lease: Given
    placed: Placed


def _joined(chosen: Any) -> Any:
    """Regions of `project` that wait for a label, with the lease on each that has no end."""
    chosen = chosen.join(Round, Region.round_id == Round.id)
    chosen = chosen.outerjoin(Lease, and_(Lease.region_id == Region.id, Lease.ended_at.is_(None)))
    return chosen.where(Region.project_id == bindparam("project"), Region.state == "open", Round.state == "open")


_NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime)
_FREE = or_(Lease.id.is_(None), Lease.expires_at <= _NOW)
_MINE = and_(Lease.annotator_id == bindparam("annotator"), Lease.expires_at > _NOW)


_MEMBER = exists().where(Membership.annotator_id == Annotator.id, Membership.project_id == bindparam("project"))


def _available() -> Any:
    chosen: Any = select(
        *PLACED, Lease.id.label("lease_id"), Lease.expires_at, live_leases().label("holds"), Project.settings
    )
    chosen = _joined(chosen.select_from(Region)).join(Image, Region.image_id == Image.id)
    chosen = chosen.join(Project, Region.project_id == Project.id).where(
        Project.active,
        or_(_FREE, _MINE),
        Region.id.not_in(bindparam("but", expanding=True)),
        # Nobody is let in who is not active and a member, but that may change between the door and here.
        select(Annotator.id)
        .where(Annotator.id == bindparam("annotator"), Annotator.active, or_(Annotator.role == "admin", _MEMBER))
        .exists(),
    )
    first = case((_MINE, 0), else_=1)
    chosen = chosen.order_by(first, Round.number, Region.score.desc(), Region.id).limit(bindparam("count"))
    return chosen.with_for_update(of=Region, skip_locked=True)


# Built once: building takes longer than the database's answer.
_AVAILABLE = _available()
_ANY = _joined(select(Region.id)).where(or_(_FREE, _MINE)).limit(1)
_COUNTED = select(func.count()).select_from(_joined(select(Region.id)).where(_FREE).limit(bindparam("most")).subquery())
_WHERE_ACTIVE = text("ended_at IS NULL")
_LEASES = table_of(Lease)
_GRANT = {
    name: insert(_LEASES)
    .on_conflict_do_nothing(index_elements=["region_id"], index_where=_WHERE_ACTIVE)
    .returning(_LEASES.c.id, _LEASES.c.region_id)
    for name, insert in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}
_RUN_OUT = (
    update(_LEASES)
    .where(
        _LEASES.c.id.in_(bindparam("ids", expanding=True)),
        _LEASES.c.ended_at.is_(None),
        _LEASES.c.expires_at <= bindparam("now"),
    )
    .values(ended_at=bindparam("now"), end="expired")
)


def claim(
    session: Session,
    project_id: int,
    annotator_id: int,
    *,
    count: int,
    now: datetime,
    default_minutes: float,
) -> list[Held]:
    """Up to `count` regions for the annotator: those held already, then free ones by round and score, as many as one may hold.

    Leases that ran out are ended where their region is taken. Only regions of open rounds are read, whatever the pool. No other
    transaction may give regions to the annotator meanwhile (`Database.write`, `alone`).
    """
    held: list[Held] = []
    seen: list[int] = []
    while len(held) < count:
        values = {"project": project_id, "annotator": annotator_id, "count": count - len(held), "now": now, "but": seen}
        found = session.connection().execute(_AVAILABLE, values).all()
        if not found:
            break
        most = setting(found[0].settings, "max_held")
        count = min(count, most)
        found = found[: count - len(held)]
        seen = [*seen, *(row.id for row in found)]
        held += [_held(row, annotator_id, row.lease_id, row.expires_at) for row in found if _lasts(row, now)]
        free = [row for row in found if not _lasts(row, now)]
        expires_at = now + lease_time(found[0].settings, default_minutes)
        # Those held come first, but ones whose rows somebody has locked are passed over: they count all the same.
        room = max(0, most - found[0].holds)
        held += _granted(session, free[:room], annotator_id, now=now, expires_at=expires_at)
        if len(free) > room:
            break
    return held


def is_any(session: Session, project_id: int, annotator_id: int, now: datetime) -> bool:
    """Whether there is a region that the annotator holds or could take."""
    values = {"project": project_id, "annotator": annotator_id, "now": now}
    return session.connection().execute(_ANY, values).first() is not None


def count_free(connection: Connection, project_id: int, now: datetime, most: int) -> int:
    """How many regions anybody could take, `most` at most."""
    return connection.execute(_COUNTED, {"project": project_id, "now": now, "most": most}).scalar_one()


def _lasts(row: Any, now: datetime) -> bool:
    """Whether a region is held; by whom, the statement has seen to."""
    return row.lease_id is not None and row.expires_at > now


def _held(row: Any, annotator_id: int, lease_id: int, expires_at: datetime) -> Held:
    lease = Given(id=lease_id, region_id=row.id, annotator_id=annotator_id, expires_at=expires_at)
    return Held(lease=lease, placed=placed(row))


def _granted(
    session: Session, free: Sequence[Any], annotator_id: int, *, now: datetime, expires_at: datetime
) -> list[Held]:
    """New leases of these regions, in their order."""
    if not free:
        return []
    connection = session.connection()
    if expired := [row.lease_id for row in free if row.lease_id is not None]:
        connection.execute(_RUN_OUT, {"ids": expired, "now": now})
    new = {"annotator_id": annotator_id, "created_at": now, "expires_at": expires_at}
    # A lease committed between the statement's snapshot and the row's lock shows only now, as a conflict.
    given = connection.execute(_GRANT[connection.dialect.name], [{"region_id": row.id, **new} for row in free])
    leases = {region_id: lease_id for lease_id, region_id in given}
    return [_held(row, annotator_id, leases[row.id], expires_at) for row in free if row.id in leases]


def renew(session: Session, lease_id: int, annotator_id: int, *, now: datetime, default_minutes: float) -> Lease:
    """Hold on to a region for as long as a fresh lease would last, until the lease has lasted as long as one may.

    Raises NotFound for a lease that the annotator was never given, Conflict where it has ended, has lasted long enough, or ran
    out while the annotator has taken as many others as one may hold.
    """
    # In this order: who ends all that an annotator holds takes their turn before the regions, too.
    one_at_a_time(session, annotator_id)
    # Whoever takes over a lease that ran out locks the region first, so does this.
    chosen = select(Region.id, Project).join(Project, Region.project_id == Project.id)
    chosen = chosen.join(Lease, Lease.region_id == Region.id)
    chosen = chosen.where(Lease.id == lease_id, Lease.annotator_id == annotator_id)
    row = session.execute(chosen.with_for_update(of=Region)).one_or_none()
    if row is None:
        raise unknown_lease()
    region_id, project = row
    lease = session.get_one(Lease, lease_id)
    if lease.ended_at is not None:
        sentence = f"The lease of region {region_id} has ended: {lease.end}."
        raise Conflict(sentence, code="lease_lost", detail={"region_id": region_id})
    last = lease.created_at + longest_lease(project.settings, default_minutes)
    if now >= last:
        sentence = f"Region {region_id} was held for as long as one may: send its label while nobody else has taken it."
        raise Conflict(sentence, code="lease_limit", detail={"region_id": region_id})
    if lease.expires_at <= now and holds_all_it_may(session, project, annotator_id, now):
        sentence = f"The lease of region {region_id} ran out, and you hold as many others as one may: label one first."
        raise Conflict(sentence, code="held", detail={"region_id": region_id})
    lease.expires_at = max(lease.expires_at, min(now + lease_time(project.settings, default_minutes), last))
    return lease


def unknown_lease() -> NotFound:
    """The error for a lease that there is none of, or that is somebody else's."""
    return NotFound("There is no such lease of yours.", code="lease_not_found")


def project_of(session: Session, lease_id: int) -> int | None:
    """The project of a lease's region; None where there is no such lease."""
    chosen = select(Region.project_id).join(Lease, Lease.region_id == Region.id)
    return session.scalar(chosen.where(Lease.id == lease_id))
