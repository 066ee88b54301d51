"""Leases in the database: a region is held by as many annotators as it wants labels of, each for a while."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.store import offers
from service.store.lease_caps import (
    holds_all_it_may,
    lease_time,
    live_leases,
    longest_lease,
    setting,
    within_share,
)
from service.store.offers import ANYBODY_MAY_HAVE, HELD_FIRST, MAY_HAVE, PLAIN, Seat, joined
from service.store.regions import PLACED, Placed, placed, unknown_lease
from service.store.turns import one_at_a_time
from service.tables import (
    Annotator,
    Image,
    Lease,
    Membership,
    Project,
    Region,
    Round,
    one_or_many,
    table_of,
)


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
    gold_share: float = 0.0  # of a lease that is new: the share of gold regions that the project wishes


_MEMBER = exists().where(Membership.annotator_id == Annotator.id, Membership.project_id == bindparam("project"))


def _available() -> Any:
    chosen: Any = select(
        *PLACED,
        Lease.id.label("lease_id"),
        Lease.expires_at,
        live_leases().label("holds"),
        Project.settings,
        Region.round_id,
        Region.priority,
        PLAIN.label("plain"),
    )
    chosen = joined(chosen.select_from(Region)).join(Image, Region.image_id == Image.id)
    chosen = chosen.join(Project, Region.project_id == Project.id).where(
        Project.active,
        MAY_HAVE,
        Region.id.not_in(bindparam("but", expanding=True)),
        or_(Round.number > bindparam("beyond"), Region.priority > 0),
        # Nobody is let in who is not active and a member, but that may change between the door and here.
        select(Annotator.id)
        .where(Annotator.id == bindparam("annotator"), Annotator.active, or_(Annotator.role == "admin", _MEMBER))
        .exists(),
    )
    # What was rejected, and what waits for another opinion, comes before what is new.
    urgent = (Region.priority.desc(), Region.answers.desc())
    chosen = chosen.order_by(HELD_FIRST, *urgent, Round.number, Region.score.desc(), Region.id)
    return chosen.limit(bindparam("count")).with_for_update(of=Region, skip_locked=True)


# Built once: building takes longer than the database's answer.
_AVAILABLE = _available()
_ANY = joined(select(Region.id)).where(MAY_HAVE).limit(1)
_COUNTED = select(func.count()).select_from(
    joined(select(Region.id)).where(ANYBODY_MAY_HAVE).limit(bindparam("most")).subquery()
)
_LEASES = table_of(Lease)
_GRANT = {
    name: insert(_LEASES).on_conflict_do_nothing().returning(_LEASES.c.id, _LEASES.c.region_id)
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
    """Up to `count` regions for the annotator: those held already, then free ones, as many as one may hold and have of a round.

    Free ones go by how long they have waited for another opinion or a better label, then by round and score. Leases that ran out
    are ended where their seat is taken. Only open regions are read, whatever the pool. No other transaction may give regions to
    the annotator meanwhile (`Database.write`, `alone`).
    """
    held: list[Held] = []
    seen: list[int] = []
    beyond = 0
    while len(held) < count:
        values = {"project": project_id, "annotator": annotator_id, "count": count - len(held), "now": now, "but": seen}
        found = session.connection().execute(_AVAILABLE, {**values, "beyond": beyond}).all()
        if not found:
            break
        settings = found[0].settings
        most = setting(settings, "max_held")
        count = min(count, most)
        found = found[: count - len(held)]
        seen = [*seen, *(row.id for row in found)]
        seats = _seats(session, found, annotator_id, now)
        placed_rows = [(row, seats[row.id]) for row in found if row.id in seats]
        held += [_held(row, annotator_id, seat.lease_id, seat.expires_at) for row, seat in placed_rows if seat.lease_id]
        free = [(row, seat) for row, seat in placed_rows if not seat.lease_id]
        expires_at = now + lease_time(settings, default_minutes)
        # Those held come first, but ones whose rows somebody has locked are passed over: they count all the same.
        room = max(0, most - found[0].holds)
        taken = free[:room]
        if setting(settings, "max_round_share") < 1:
            taken, full = within_share(session, project_id, settings, annotator_id, taken, now=now)
            beyond = max(beyond, full)
        held += _granted(session, taken, annotator_id, now=now, expires_at=expires_at)
        if len(free) > room:
            break
    return held


def _seats(session: Session, found: Sequence[Any], annotator_id: int, now: datetime) -> Mapping[int, Seat]:
    """The annotator's place at each region: at plain ones the only one, of which the statement has seen to whose it is."""
    several = offers.seats(session, [row.id for row in found if not row.plain], annotator_id, now)
    return {**several, **{row.id: _only_seat(row, now) for row in found if row.plain}}


def _only_seat(row: Any, now: datetime) -> Seat:
    if row.lease_id is not None and row.expires_at > now:
        return Seat(lease_id=row.lease_id, expires_at=row.expires_at, number=0, run_out=())
    return Seat(lease_id=None, expires_at=None, number=0, run_out=() if row.lease_id is None else (row.lease_id,))


def is_any(session: Session, project_id: int, annotator_id: int, now: datetime) -> bool:
    """Whether there is a region that the annotator holds or could take."""
    values = {"project": project_id, "annotator": annotator_id, "now": now}
    return session.connection().execute(_ANY, values).first() is not None


def count_free(connection: Connection, project_id: int, now: datetime, most: int) -> int:
    """How many regions anybody could take, `most` at most."""
    return connection.execute(_COUNTED, {"project": project_id, "now": now, "most": most}).scalar_one()


def _held(row: Any, annotator_id: int, lease_id: int, expires_at: Any) -> Held:
    lease = Given(id=lease_id, region_id=row.id, annotator_id=annotator_id, expires_at=expires_at)
    return Held(lease=lease, placed=placed(row))


def _granted(
    session: Session, free: Sequence[tuple[Any, Seat]], annotator_id: int, *, now: datetime, expires_at: datetime
) -> list[Held]:
    """New leases of these regions, in their order."""
    if not free:
        return []
    connection = session.connection()
    if expired := [lease_id for _, seat in free for lease_id in seat.run_out]:
        connection.execute(_RUN_OUT, {"ids": expired, "now": now})
    new = {"annotator_id": annotator_id, "created_at": now, "expires_at": expires_at}
    # A lease committed between the statement's snapshot and the row's lock shows only now, as a conflict.
    rows = [{"region_id": row.id, "seat": seat.number, **new} for row, seat in free]
    given = connection.execute(_GRANT[connection.dialect.name], one_or_many(rows))
    leases = {region_id: lease_id for lease_id, region_id in given}
    share: float = setting(free[0][0].settings, "gold_share")
    return [
        replace(_held(row, annotator_id, leases[row.id], expires_at), gold_share=share)
        for row, _ in free
        if row.id in leases
    ]


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


def project_of(session: Session, lease_id: int) -> int | None:
    """The project of a lease's region; None where there is no such lease."""
    chosen = select(Region.project_id).join(Lease, Lease.region_id == Region.id)
    return session.scalar(chosen.where(Lease.id == lease_id))
