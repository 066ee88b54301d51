"""Leases in the database: a region is held by one annotator at a time, for a while."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, and_, bindparam, case, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, defer

from service.errors import Conflict, NotFound
from service.store import events
from service.store.regions import Placed, frames, lock_regions, missing, placed, placed_regions
from service.store.rounds import close_if_done
from service.tables import Lease, Project, Region, Round, UtcDateTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A region and the lease on it."""

    lease: Lease
    placed: Placed


def _available() -> Select[Region, int, str, bool, Lease]:
    mine = and_(Lease.annotator_id == bindparam("annotator"), Lease.expires_at > bindparam("now", type_=UtcDateTime))
    chosen = placed_regions().add_columns(Lease)
    chosen = chosen.outerjoin(Lease, and_(Lease.region_id == Region.id, Lease.ended_at.is_(None)))
    chosen = chosen.where(
        Region.project_id == bindparam("project"),
        Region.state == "open",
        Round.state == "open",
        or_(Lease.id.is_(None), Lease.expires_at <= bindparam("now", type_=UtcDateTime), mine),
        Region.id.not_in(bindparam("but", expanding=True)),
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
_END = (
    update(Lease)
    .where(Lease.region_id.in_(bindparam("ids", expanding=True)), Lease.ended_at.is_(None))
    .values(
        ended_at=bindparam("now"),
        end=case((Lease.annotator_id == bindparam("annotator"), bindparam("how")), else_="expired"),
    )
    .returning(Lease.region_id, Lease.annotator_id, Lease.expires_at)
    .execution_options(synchronize_session=False)
)


def claim(
    session: Session, project: Project, annotator_id: int, *, count: int, now: datetime, default_minutes: float
) -> list[Held]:
    """Up to `count` regions for the annotator: those held already, then free ones by round and score.

    Leases that ran out are ended where their region is taken. Only regions of open rounds are read, whatever the pool.
    """
    if not project.active:
        return []
    held: list[Held] = []
    seen: list[int] = []
    expires_at = now + lease_time(project.settings, default_minutes)
    while len(held) < count:
        locked = _lock_available(session, project.id, annotator_id, count=count - len(held), now=now, but=seen)
        if not locked:
            break
        seen += [each.region.id for each, _ in locked]
        held += [Held(lease=lease, placed=each) for each, lease in locked if lease and lease.expires_at > now]
        free = {each.region.id: each for each, lease in locked if lease is None or lease.expires_at <= now}
        expired = [lease.id for _, lease in locked if lease and lease.expires_at <= now]
        held += _granted(session, free, expired, annotator_id, now=now, expires_at=expires_at)
    return held


def _lock_available(
    session: Session, project_id: int, annotator_id: int, *, count: int, now: datetime, but: Collection[int]
) -> list[tuple[Placed, Lease | None]]:
    """Regions that the annotator holds or could take, locked, each with the lease on it, which may have run out."""
    values = {"project": project_id, "annotator": annotator_id, "count": count, "now": now, "but": list(but)}
    return [(placed(row[:4]), row[4]) for row in session.execute(_AVAILABLE, values)]


def _granted(
    session: Session,
    free: Mapping[int, Placed],
    expired: Sequence[int],
    annotator_id: int,
    *,
    now: datetime,
    expires_at: datetime,
) -> list[Held]:
    """New leases of these regions, in their order."""
    if expired:
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
    """Hold on to a region for as long as a fresh lease would last. Raises Conflict where the lease has ended."""
    # Whoever takes over a lease that ran out locks the region first, so does this.
    chosen = select(Region.id, Project.settings).join(Project, Region.project_id == Project.id)
    chosen = chosen.join(Lease, Lease.region_id == Region.id)
    chosen = chosen.where(Lease.id == lease_id, Lease.annotator_id == annotator_id)
    row = session.execute(chosen.with_for_update(of=Region)).one_or_none()
    if row is None:
        raise no_lease()
    lease = session.get_one(Lease, lease_id)
    if lease.ended_at is not None:
        sentence = f"The lease of region {row.id} has ended: {lease.end}."
        raise Conflict(sentence, code="lease_lost", detail={"region_id": row.id})
    lease.expires_at = max(lease.expires_at, now + lease_time(row.settings, default_minutes))
    return lease


def no_lease() -> NotFound:
    """The error for a lease that there is none of, or that is somebody else's."""
    return NotFound("There is no such lease of yours.", code="lease_not_found")


def project_of(session: Session, lease_id: int) -> int | None:
    """The project of a lease's region; None where there is no such lease."""
    chosen = select(Region.project_id).join(Lease, Lease.region_id == Region.id)
    return session.scalar(chosen.where(Lease.id == lease_id))


def lease_time(settings: Mapping[str, Any], default_minutes: float) -> timedelta:
    """How long a project lets a region be held."""
    return timedelta(minutes=settings.get("lease_minutes") or default_minutes)


def release(session: Session, region_id: int, annotator_id: int, *, now: datetime) -> Region:
    """Give a region back; done already is as good. Raises Conflict where the region is labelled or skipped."""
    chosen = select(Region).where(Region.id == region_id).with_for_update().options(defer(Region.prediction))
    region = session.scalars(chosen).one_or_none()
    if region is None:
        raise missing([region_id])
    if region.state != "open":
        raise _not_open(region)
    mine = update(Lease).where(Lease.region_id == region_id, Lease.annotator_id == annotator_id)
    session.execute(mine.where(Lease.ended_at.is_(None)).values(ended_at=now, end="released"))
    return region


def skip(session: Session, region_id: int, lease_id: int, annotator_id: int, *, reason: str, now: datetime) -> Region:
    """Set a region aside that nobody can label; done already by this lease is as good.

    Raises Conflict where another annotator holds the region or has ended it.
    """
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region = regions[region_id]
    if region.state == "skipped" and _ended_by_skipping(session, lease_id, region_id, annotator_id):
        return region
    if region.state != "open":
        raise _not_open(region)
    take_over(session, [region_id], annotator_id, now=now, end="skipped")
    region.state, region.skip_reason = "skipped", reason
    events.record(
        session,
        now=now,
        kind="region_skipped",
        project_id=region.project_id,
        annotator_id=annotator_id,
        region=region_id,
        reason=reason,
    )
    close_if_done(session, rounds[round_id], now)
    return region


def _ended_by_skipping(session: Session, lease_id: int, region_id: int, annotator_id: int) -> bool:
    lease = session.get(Lease, lease_id)
    whose = lease is not None and lease.region_id == region_id and lease.annotator_id == annotator_id
    return whose and lease is not None and lease.end == "skipped"


def take_over(
    session: Session,
    region_ids: Collection[int],
    annotator_id: int,
    *,
    now: datetime,
    end: Literal["labelled", "skipped"],
) -> None:
    """End whatever holds these regions, whose rows are locked. Raises Conflict where another annotator holds one.

    A lease that ran out, or was given back, still counts while nobody else holds the region: work is not thrown away.
    """
    if not region_ids:
        return
    values = {"ids": list(region_ids), "annotator": annotator_id, "now": now, "how": end}
    held = session.execute(_END, values).all()
    lost = sorted(row.region_id for row in held if row.annotator_id != annotator_id and row.expires_at > now)
    if lost:
        sentence = f"Your lease of region {lost[0]} has ended, and another annotator holds the region now."
        raise Conflict(sentence, code="lease_lost", detail={"region_ids": lost})


def _not_open(region: Region) -> Conflict:
    return Conflict(
        f"Region {region.id} has been {region.state}.", code=f"region_{region.state}", detail={"region_id": region.id}
    )
