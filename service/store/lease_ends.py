"""How leases end: given back, skipped, taken over by a label, ended with their annotator."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from sqlalchemy import and_, bindparam, case, select, update
from sqlalchemy.orm import Session, defer

from service.errors import Conflict
from service.store import events, gold_answers
from service.store.answers import answers_of
from service.store.lease_caps import require_skip_left
from service.store.regions import frames, lock_regions, missing, no_lease
from service.store.rounds import close_if_done
from service.store.settling import settle
from service.store.turns import one_at_a_time
from service.tables import Lease, Project, Region, by_dialect, table_of

# Built once: building takes longer than the database's answer.
_LEASES = table_of(Lease)
_END = by_dialect(
    lambda among: (
        update(_LEASES)
        .where(among(_LEASES.c.region_id, "ids"), _LEASES.c.ended_at.is_(None))
        .values(
            ended_at=bindparam("now"),
            end=case((_LEASES.c.annotator_id == bindparam("annotator"), bindparam("how")), else_="expired"),
        )
        .returning(_LEASES.c.region_id, _LEASES.c.annotator_id, _LEASES.c.expires_at)
    )
)


def release(session: Session, region_id: int, lease_id: int, annotator_id: int, *, now: datetime) -> Region:
    """Give a region back that was given by this lease; done already is as good.

    Raises NotFound for a lease that the annotator was never given, Conflict where they hold it no more and the region is done.
    """
    given = and_(Lease.region_id == Region.id, Lease.id == lease_id, Lease.annotator_id == annotator_id)
    chosen = select(Region, Lease.id, Lease.ended_at).outerjoin(Lease, given).where(Region.id == region_id)
    row = session.execute(chosen.with_for_update(of=Region).options(defer(Region.prediction))).one_or_none()
    if row is None:
        raise missing([region_id])
    region, known, ended_at = row
    if known is None:
        raise no_lease(region_id)
    if region.gold:
        return gold_answers.release(session, region_id, annotator_id, now)
    if region.state != "open" and ended_at is not None:
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
    """Set a region aside that this annotator cannot label; done already by this lease is as good.

    Of a region that several are asked for it is this one's skip; settling.py has the rule of when the region is skipped. Without
    a lease any region that nobody holds is, though it have labels. What is not `capped` goes on beyond what one may skip of a
    round. Raises NotFound for a lease that the annotator was never given; Conflict where others hold the region or have
    ended it, the annotator has labelled it, it was opened again since this lease skipped it, or enough is skipped.
    """
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region = regions[region_id]
    lease = None if lease_id is None else _given(session, lease_id, region_id, annotator_id)
    if region.gold:
        return gold_answers.skip(session, region_id, lease, annotator_id, reason=reason, now=now, capped=capped)
    if lease is not None and lease.end == "skipped":
        return region
    if region.state != "open" and not (region.state == "review" and lease is None):
        raise not_open(region)
    if lease is not None and lease.end == "unskipped":
        sentence = f"Region {region_id} was opened again since you skipped it: ask for it anew, or leave it to others."
        raise Conflict(sentence, code="lease_lost", detail={"region_id": region_id})
    if capped:
        require_skip_left(session, session.get_one(Project, region.project_id), rounds[round_id], annotator_id)
    if lease is None or region.overlap == 1:
        take_over(session, [region_id], annotator_id, now=now, end="skipped")
    if lease is not None:
        # Whatever ended it before: what one annotator has skipped is counted by it.
        session.execute(
            update(Lease).where(Lease.id == lease.id).values(end="skipped", ended_at=now),
            execution_options={"synchronize_session": False},
        )
    region.skip_reason = reason
    events.record(
        session,
        now=now,
        kind="region_skipped",
        project_id=region.project_id,
        annotator_id=annotator_id,
        region=region_id,
        reason=reason,
    )
    if lease is None or (region.overlap == 1 and region.priority == 0):
        region.state = "skipped"
        close_if_done(session, rounds[round_id], now)
    else:
        _require_no_answer(session, region, annotator_id)
        settle(session, [region_id], now)
    return region


def _require_no_answer(session: Session, region: Region, annotator_id: int) -> None:
    if any(each.annotator_id == annotator_id for each in answers_of(session, [region.id])[region.id].standing):
        sentence = f"You have labelled region {region.id} already: reopen it to change the label."
        raise Conflict(sentence, code="region_labelled", detail={"region_id": region.id})


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
    connection = session.connection()
    held = connection.execute(_END[connection.dialect.name], values).all()
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
    """The error for a region that is labelled or skipped, or waits for a review."""
    what = "waits for a review" if region.state == "review" else f"has been {region.state}"
    return Conflict(f"Region {region.id} {what}.", code=f"region_{region.state}", detail={"region_id": region.id})
