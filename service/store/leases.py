"""Leases in the database: a region is held by one annotator at a time, for a while."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, and_, bindparam, case, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, defer

from service.errors import Conflict, NotFound
from service.store import events
from service.store.lease_caps import (
    holds_all_it_may,
    lease_time,
    live_leases,
    longest_lease,
    one_at_a_time,
    require_skip_left,
    setting,
)
from service.store.regions import Placed, frames, lock_regions, missing, no_lease, placed, placed_regions
from service.store.rounds import close_if_done
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
        raise NotFound("There is no such lease of yours.", code="lease_not_found")
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


def release(session: Session, region_id: int, lease_id: int, annotator_id: int, *, now: datetime) -> Region:
    """Give a region back that was given by this lease; done already is as good.

    Raises NotFound for a lease that the annotator was never given, Conflict where the region is labelled or skipped.
    """
    given = and_(Lease.region_id == Region.id, Lease.id == lease_id, Lease.annotator_id == annotator_id)
    chosen = select(Region, Lease.id).outerjoin(Lease, given).where(Region.id == region_id)
    row = session.execute(chosen.with_for_update(of=Region).options(defer(Region.prediction))).one_or_none()
    if row is None:
        raise missing([region_id])
    region, known = row
    if known is None:
        raise no_lease(region_id)
    if region.state != "open":
        raise not_open(region)
    mine = update(Lease).where(Lease.region_id == region_id, Lease.annotator_id == annotator_id)
    session.execute(mine.where(Lease.ended_at.is_(None)).values(ended_at=now, end="released"))
    return region


def skip(
    session: Session,
    region_id: int,
    lease_id: int | None,
    annotator_id: int,
    *,
    reason: str,
    now: datetime,
    capped: bool = True,
) -> Region:
    """Set a region aside that nobody can label; done already by this lease is as good.

    Without a lease any region that nobody holds; what is not `capped` goes on beyond what one annotator may skip of a round.
    Raises NotFound for a lease that the annotator was never given, Conflict where another annotator holds the region or has
    ended it, where it was opened again since this lease skipped it, or enough is skipped.
    """
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region = regions[region_id]
    lease = None if lease_id is None else _given(session, lease_id, region_id, annotator_id)
    if region.state == "skipped" and lease is not None and lease.end == "skipped":
        return region
    if region.state != "open":
        raise not_open(region)
    if lease is not None and lease.end == "skipped":
        sentence = f"Region {region_id} was opened again since you skipped it: ask for it anew, or leave it to others."
        raise Conflict(sentence, code="lease_lost", detail={"region_id": region_id})
    if capped:
        require_skip_left(session, session.get_one(Project, region.project_id), rounds[round_id], annotator_id)
    take_over(session, [region_id], annotator_id, now=now, end="skipped")
    if lease is not None:
        # Whatever ended it before: what one annotator has skipped is counted by it.
        session.execute(
            update(Lease).where(Lease.id == lease.id).values(end="skipped", ended_at=now),
            execution_options={"synchronize_session": False},
        )
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


def _given(session: Session, lease_id: int, region_id: int, annotator_id: int) -> Lease:
    """The lease of this region by this annotator, or NotFound."""
    lease = session.get(Lease, lease_id)
    if lease is None or (lease.region_id, lease.annotator_id) != (region_id, annotator_id):
        raise no_lease(region_id)
    return lease


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


def lock_held(session: Session, annotator_id: int) -> list[int]:
    """The regions that an annotator holds, by number: locked, and no more are given to him, until the transaction ends."""
    one_at_a_time(session, annotator_id)
    held = select(Lease.region_id).where(Lease.annotator_id == annotator_id, Lease.ended_at.is_(None))
    return list(session.scalars(select(Region.id).where(Region.id.in_(held)).order_by(Region.id).with_for_update()))


def end_all(session: Session, annotator_id: int, *, now: datetime) -> None:
    """End every lease of an annotator who may not call any more, after `lock_held`: the regions are free at once."""
    mine = update(Lease).where(Lease.annotator_id == annotator_id, Lease.ended_at.is_(None))
    session.execute(mine.values(ended_at=now, end="revoked"), execution_options={"synchronize_session": False})


def not_open(region: Region) -> Conflict:
    """The error for a region that is labelled or skipped."""
    return Conflict(
        f"Region {region.id} has been {region.state}.", code=f"region_{region.state}", detail={"region_id": region.id}
    )
