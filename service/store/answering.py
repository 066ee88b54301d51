"""Who may answer for a region that several people label, or that has labels already; and their leases ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.store.answers import Answers, answers_of
from service.store.lease_locks import Leased
from service.tables import Lease


def before(
    session: Session,
    regions: Sequence[Leased],
    leases: Mapping[int, int | None],
    annotator_id: int,
    now: datetime,
) -> Mapping[int, Answers]:
    """What has been answered for locked regions that an annotator labels now, by the leases that each was given by.

    Their leases end; one that ran out counts while there is room for the answer. Raises Conflict where the annotator may not.
    """
    known = answers_of(session, [region.id for region in regions])
    for region in regions:
        _require_may(session, region, known[region.id], leases[region.id] or 0, annotator_id, now)
    held = update(Lease).where(Lease.region_id.in_(list(known)), Lease.annotator_id == annotator_id)
    held = held.where(Lease.ended_at.is_(None)).values(ended_at=now, end="labelled")
    session.execute(held, execution_options={"synchronize_session": False})
    return known


def _require_may(
    session: Session, region: Leased, known: Answers, lease_id: int, annotator_id: int, now: datetime
) -> None:
    if region.state == "skipped":
        raise _refused(region, f"Region {region.id} has been skipped.", "region_skipped")
    own = known.own(annotator_id)
    rejected = own is not None and own.id in known.rejected
    lease = session.get_one(Lease, lease_id)
    if own is not None and known.decided_since(own) and not (rejected and _given_since(lease, known.rejected[own.id])):
        what = "rejected, and the region is given to others" if rejected else "looked at by a reviewer"
        sentence = f"Your label of region {region.id} has been {what}: it cannot be changed any more."
        raise _refused(region, sentence, "label_rejected" if rejected else "region_reviewed")
    # On a region for one person others may have come since: what they say counts.
    if own is not None and not rejected and (region.overlap > 1 or known.standing[-1].annotator_id == annotator_id):
        return
    if region.state == "labelled" or len(known.standing) >= region.overlap:
        sentence = f"Region {region.id} has been labelled by {'others' if region.overlap > 1 else 'another annotator'}."
        raise _refused(region, sentence, f"region_{region.state}")
    if lease.end == "skipped":
        raise _refused(region, f"You have skipped region {region.id}: reopen it to label it.", "lease_lost")
    if lease.ended_at is None and lease.expires_at > now:
        return
    answered = [each.annotator_id for each in known.standing]
    if len(answered) + others_at(session, region.id, [annotator_id, *answered], now) >= region.overlap:
        sentence = f"Your lease of region {region.id} has ended, and another annotator holds the region now."
        raise Conflict(sentence, code="lease_lost", detail={"region_ids": [region.id]})


def _given_since(lease: Lease, moment: datetime) -> bool:
    """Whether a lease was given after a rejection, and is not the one by which the rejected label came."""
    return lease.created_at >= moment and lease.end != "labelled"


def others_at(session: Session, region_id: int, but: Sequence[int], now: datetime) -> int:
    """How many annotators other than these hold a region, whose row is locked."""
    held = select(func.count()).where(Lease.region_id == region_id, Lease.annotator_id.not_in(but))
    return session.scalar(held.where(Lease.ended_at.is_(None), Lease.expires_at > now)) or 0


def _refused(region: Leased, sentence: str, code: str) -> Conflict:
    return Conflict(sentence, code=code, detail={"region_id": region.id})
