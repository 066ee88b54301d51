"""What reviewers and admins do to regions and rounds that others are at: free, open again, finish."""

from datetime import datetime

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session, defer

from service.errors import Conflict
from service.store import events
from service.store.deletion import delete_regions
from service.store.lease_ends import not_open
from service.store.regions import frames, lock_regions, missing
from service.store.rounds import close_now, lock_round
from service.store.settling import settle
from service.tables import Label, Lease, Region, Round


def free_region(session: Session, region_id: int, *, now: datetime, by: int) -> Region:
    """End whatever lease holds an open region; one that nobody holds is as good. Raises Conflict where it is labelled or skipped.

    The label of the one who held it still counts while nobody else has taken the region.
    """
    chosen = select(Region).where(Region.id == region_id).with_for_update().options(defer(Region.prediction))
    region = session.scalars(chosen).one_or_none()
    if region is None:
        raise missing([region_id])
    if region.state != "open":
        raise not_open(region)
    ended = update(Lease).where(Lease.region_id == region_id, Lease.ended_at.is_(None))
    ended = ended.values(ended_at=now, end="released").returning(Lease.annotator_id)
    for holder in session.scalars(ended.execution_options(synchronize_session=False)).all():
        events.record(
            session,
            now=now,
            kind="region_released",
            project_id=region.project_id,
            annotator_id=by,
            region=region_id,
            held_by=holder,
        )
    return region


def unskip_region(session: Session, region_id: int, *, now: datetime, by: int) -> bool:
    """Open a skipped region again, for everybody; one that is open is as good. Raises Conflict where it is labelled.

    Where its round is over, and it never had a label, nobody would be given it any more: then its row goes, and the pool has it
    for later rounds. Returns whether the region is still there.
    """
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region, round_ = regions[region_id], rounds[round_id]
    if region.state == "open":
        return True
    if region.state != "skipped":
        raise not_open(region)
    labelled = has_label(session, region_id)
    opened = round_.state == "open" or labelled
    events.record(
        session,
        now=now,
        kind="region_unskipped",
        project_id=region.project_id,
        annotator_id=by,
        region=region_id,
        reason=region.skip_reason,
        withdrawn=not opened,
    )
    if opened:
        reopen_skipped(session, region, first=labelled)
        if labelled:
            settle(session, [region_id], now)
    else:
        delete_regions(session, select(Region.id).where(Region.id == region_id))
    return opened


def has_label(session: Session, region_id: int) -> bool:
    """Whether a region has a label, be it rejected."""
    return session.scalar(select(Label.id).where(Label.region_id == region_id).limit(1)) is not None


def reopen_skipped(session: Session, region: Region, *, first: bool, annotator_id: int | None = None) -> None:
    """A locked region that was skipped, by one annotator or by all, may be given to them again; `first`: before new ones."""
    skips = update(Lease).where(Lease.region_id == region.id, Lease.end == "skipped").values(end="unskipped")
    session.execute(
        skips if annotator_id is None else skips.where(Lease.annotator_id == annotator_id),
        execution_options={"synchronize_session": False},
    )
    region.state, region.skip_reason = "open", None
    region.priority = max(region.priority, 1) if first else region.priority
    session.flush()


def finish_round(session: Session, round_id: int, *, now: datetime, by: int) -> Round:
    """End an open round with the labels that it has: it is learned from as any other; one that is not open any more is as good.

    Its regions without a label go back to the pool, whoever holds them, and the budget has them again. Those that have labels,
    but fewer than they want, wait for a review, as others do, and are learned from once they are decided. Raises NotFound, and
    Conflict while its regions are being chosen.
    """
    round_ = lock_round(session, round_id)
    if round_.state == "scoring":
        sentence = f"The regions of round {round_.number} are being chosen: finish it once it is open."
        raise Conflict(sentence, code="round_scoring", detail={"round_id": round_id})
    if round_.state != "open":
        return round_
    undecided = (Region.round_id == round_id, Region.state == "open")
    partly = update(Region).where(*undecided, exists().where(Label.region_id == Region.id)).values(state="review")
    waiting = select(Region.id).where(*undecided)
    session.execute(select(Region.id).where(*undecided).order_by(Region.id).with_for_update()).all()
    session.execute(partly, execution_options={"synchronize_session": False})
    withdrawn = list(session.scalars(waiting.order_by(Region.id)))
    held = select(func.count()).select_from(Lease).where(Lease.ended_at.is_(None), Lease.expires_at > now)
    events.record(
        session,
        now=now,
        kind="round_finished",
        project_id=round_.project_id,
        annotator_id=by,
        round=round_.number,
        withdrawn=withdrawn,
        held=session.scalar(held.where(Lease.region_id.in_(waiting))),
    )
    delete_regions(session, waiting)
    note = f"Finished early: {len(withdrawn)} of {round_.size} regions went back to the pool without a label."
    round_.note = " ".join(filter(None, (round_.note, note)))
    close_now(session, round_, now)
    return round_
