"""Which open regions an annotator may be given, as parts of statements: those for one person, and those for several.

By far most regions wait for a single label and never had one: these are looked at by the lease of their only seat. Of others it
is counted who holds and who has labelled them: several people may be at one at a time, never more than it wants labels of, and
nobody is given one that they have labelled or skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, bindparam, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.store.answers import has_drawn, has_skipped, has_standing
from service.store.settling import AGAIN
from service.tables import Annotator, Lease, Region, Round, UtcDateTime

NOW: BindParameter[datetime] = bindparam("now", type_=UtcDateTime)
_ANNOTATOR: BindParameter[int] = bindparam("annotator")

PLAIN = and_(Region.overlap == 1, Region.priority == 0)
_FREE = or_(Lease.id.is_(None), Lease.expires_at <= NOW)
_MINE = and_(Lease.annotator_id == _ANNOTATOR, Lease.expires_at > NOW)


def joined(chosen: Any) -> Any:
    """Regions of `project` that wait for a label, with the lease of the first seat at each that has no end."""
    chosen = chosen.join(Round, Region.round_id == Round.id)
    first = and_(Lease.region_id == Region.id, Lease.ended_at.is_(None), Lease.seat == 0)
    # What was rejected is given out though its round is over.
    given = or_(Round.state == "open", Region.priority > 0)
    return chosen.outerjoin(Lease, first).where(
        Region.project_id == bindparam("project"), Region.state == "open", given
    )


def _holders() -> Any:
    lease = aliased(Lease)
    held = select(func.count()).select_from(lease).where(*_live_at(lease))
    return held.correlate(Region).scalar_subquery()


def _held_by(annotator: Any) -> ColumnElement[bool]:
    lease = aliased(Lease)
    return exists().where(*_live_at(lease), lease.annotator_id == annotator)


def _live_at(lease: type[Lease]) -> tuple[ColumnElement[bool], ...]:
    return lease.region_id == Region.id, lease.ended_at.is_(None), lease.expires_at > NOW


def had_by(annotator: Any) -> ColumnElement[bool]:
    """Whether an annotator has labelled or skipped `Region` before, and is not to have it again."""
    again = and_(Region.priority >= AGAIN, ~has_standing(annotator))
    return or_(and_(has_drawn(annotator), ~again), has_skipped(annotator))


_ROOM = Region.answers + _holders() < Region.overlap

MAY_HAVE = case(
    (PLAIN, or_(_FREE, _MINE)),
    else_=or_(_held_by(_ANNOTATOR), and_(_ROOM, ~had_by(_ANNOTATOR))),
)
"""Whether `annotator` holds a region of `joined`, or may be given it."""

HELD_FIRST = case((and_(PLAIN, _MINE), 0), (and_(~PLAIN, _held_by(_ANNOTATOR)), 0), else_=1)
"""0 for regions that `annotator` holds."""

ANYBODY_MAY_HAVE = and_(PLAIN, _FREE)
"""Whether a region of `joined` may be given to whoever comes."""

_WAITERS = select(Annotator.id).where(
    Annotator.id.in_(bindparam("waiting", expanding=True)),
    joined(select(Region.id)).where(~PLAIN, _ROOM, ~had_by(Annotator.id)).correlate(Annotator).exists(),
)


def who_may_have(connection: Connection, project_id: int, annotators: Sequence[int], now: datetime) -> set[int]:
    """Those of the annotators for whom there is a region that not everybody may have."""
    values = {"project": project_id, "waiting": list(annotators), "now": now}
    return set(connection.execute(_WAITERS, values).scalars())


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """An annotator's place at a locked region: the lease that they hold, or a free seat; and leases there that ran out."""

    lease_id: int | None
    expires_at: datetime | None
    number: int
    run_out: Sequence[int]


_SEATS = (
    select(
        Region.id,
        Region.overlap,
        Region.answers,
        had_by(_ANNOTATOR).label("had"),
        Lease.id.label("lease_id"),
        Lease.annotator_id,
        Lease.seat,
        Lease.expires_at,
    )
    .outerjoin(Lease, and_(Lease.region_id == Region.id, Lease.ended_at.is_(None)))
    .where(Region.id.in_(bindparam("ids", expanding=True)))
    .order_by(Region.id, Lease.seat)
)


def seats(session: Session, region_ids: Sequence[int], annotator_id: int, now: datetime) -> Mapping[int, Seat]:
    """The annotator's place at each of these locked regions where there is one: seen anew, for others may just have come."""
    if not region_ids:
        return {}
    values = {"ids": list(region_ids), "annotator": annotator_id}
    rows = session.connection().execute(_SEATS, values).all()
    found = {id: _seat([row for row in rows if row.id == id], annotator_id, now) for id in region_ids}
    return {id: seat for id, seat in found.items() if seat is not None}


def _seat(rows: Sequence[Any], annotator_id: int, now: datetime) -> Seat | None:
    live = {row.seat: row for row in rows if row.lease_id is not None and row.expires_at > now}
    for number, row in live.items():
        if row.annotator_id == annotator_id:
            return Seat(lease_id=row.lease_id, expires_at=row.expires_at, number=number, run_out=())
    free = [number for number in range(rows[0].overlap) if number not in live] if rows else []
    if not free or rows[0].had or rows[0].answers + len(live) >= rows[0].overlap:
        return None
    run_out = [row.lease_id for row in rows if row.lease_id is not None and row.expires_at <= now]
    return Seat(lease_id=None, expires_at=None, number=free[0], run_out=run_out)
