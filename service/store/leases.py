"""Leases in the database: a region is held by one annotator at a time, for a while."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, and_, bindparam, case, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.store.lease_caps import (
    holds_all_it_may,
    lease_time,
    live_leases,
    longest_lease,
    one_at_a_time,
    setting,
)
from service.store.regions import Placed, placed, placed_regions
from service.tables import Annotator, Lease, Project, Region, Round, UtcDateTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A region and the lease on it."""

    lease: Lease
    placed: Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A region that the annotator holds or could take, the lease on it, which may have run out, and how many he holds in all."""

    placed: Placed
    lease: Lease | None
    holds: int


def _available() -> Select[Region, int, str, bool, Lease, int]:
    mine = and_(Lease.annotator_id == bindparam("annotator"), Lease.expires_at > bindparam("now", type_=UtcDateTime))
    chosen = placed_regions().add_columns(Lease, live_leases())
    chosen = chosen.outerjoin(Lease, and_(Lease.region_id == Region.id, Lease.ended_at.is_(None)))
    chosen = chosen.where(
        Region.project_id == bindparam("project"),
        Region.state == "open",
        Round.state == "open",
        or_(Lease.id.is_(None), Lease.expires_at <= bindparam("now", type_=UtcDateTime), mine),
        Region.id.not_in(bindparam("but", expanding=True)),
        # Nobody is let in who is not active, but that may change between the door and here.
        select(Annotator.id).where(Annotator.id == bindparam("annotator"), Annotator.active.is_(True)).exists(),
    )
    first = case((mine, 0), else_=1)
    chosen = chosen.order_by(first, Round.number, Region.score.desc(), Region.id).limit(bindparam("count"))
    return chosen.with_for_update(of=Region, skip_locked=True)


# Built once: building takes longer than the database's answer.
_AVAILABLE = _available()
_WHERE_ACTIVE = text("ended_at IS NULL")
_GRANT = {
    "sqlite": sqlite_insert(Lease)
    .on_conflict_do_nothing(index_elements=["region_id"], index_where=_WHERE_ACTIVE)
    .returning(Lease),
    "postgresql": postgresql_insert(Lease)
    .on_conflict_do_nothing(index_elements=["region_id"], index_where=_WHERE_ACTIVE)
    .returning(Lease),
}


def claim(
    session: Session, project: Project, annotator_id: int, *, count: int, now: datetime, default_minutes: float
) -> list[Held]:
    """Up to `count` regions for the annotator: those held already, then free ones by round and score, as many as one may hold.

    Leases that ran out are ended where their region is taken. Only regions of open rounds are read, whatever the pool. No other
    transaction may give regions to the annotator meanwhile (`Database.write`, `alone`).
    """
    if not project.active:
        return []
    most = setting(project.settings, "max_held")
    count = min(count, most)
    held: list[Held] = []
    seen: list[int] = []
    expires_at = now + lease_time(project.settings, default_minutes)
    while len(held) < count:
        found = _lock_available(session, project.id, annotator_id, count=count - len(held), now=now, but=seen)
        if not found:
            break
        seen += [each.placed.region.id for each in found]
        held += [Held(lease=e.lease, placed=e.placed) for e in found if e.lease and e.lease.expires_at > now]
        free = [each for each in found if each.lease is None or each.lease.expires_at <= now]
        # Those held come first, but ones whose rows somebody has locked are passed over: they count all the same.
        room = max(0, most - found[0].holds)
        held += _granted(session, free[:room], annotator_id, now=now, expires_at=expires_at)
        if len(free) > room:
            break
    return held


def _lock_available(
    session: Session, project_id: int, annotator_id: int, *, count: int, now: datetime, but: Collection[int]
) -> list[_Found]:
    """Regions that the annotator holds or could take, locked."""
    values = {"project": project_id, "annotator": annotator_id, "count": count, "now": now, "but": list(but)}
    return [_Found(placed=placed(row[:4]), lease=row[4], holds=row[5]) for row in session.execute(_AVAILABLE, values)]


def _granted(
    session: Session, found: Sequence[_Found], annotator_id: int, *, now: datetime, expires_at: datetime
) -> list[Held]:
    """New leases of these regions, in their order."""
    free = {each.placed.region.id: each.placed for each in found}
    if expired := [each.lease.id for each in found if each.lease]:
        run_out = update(Lease).where(Lease.id.in_(expired), Lease.ended_at.is_(None), Lease.expires_at <= now)
        session.execute(run_out.values(ended_at=now, end="expired"), execution_options={"synchronize_session": False})
    if not free:
        return []
    rows = [
        {"region_id": region_id, "annotator_id": annotator_id, "created_at": now, "expires_at": expires_at}
        for region_id in free
    ]
    # A lease committed between the statement's snapshot and the row's lock shows only now, as a conflict.
    leases = session.scalars(_GRANT[session.get_bind().dialect.name], rows)
    by_region = {lease.region_id: lease for lease in leases}
    return [Held(lease=by_region[key], placed=each) for key, each in free.items() if key in by_region]


def renew(session: Session, lease_id: int, annotator_id: int, *, now: datetime, default_minutes: float) -> Lease:
    """Hold on to a region for as long as a fresh lease would last, until the lease has lasted as long as one may.

    Raises NotFound for a lease that the annotator was never given, Conflict where it has ended, has lasted long enough, or ran
    out while the annotator has taken as many others as one may hold.
    """
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
    if lease.expires_at <= now:
        one_at_a_time(session, annotator_id)
        if holds_all_it_may(session, project, annotator_id, now):
            sentence = (
                f"The lease of region {region_id} ran out, and you hold as many others as one may: label one first."
            )
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
