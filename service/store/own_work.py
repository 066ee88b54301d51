"""An annotator's own work: what they labelled and skipped last, and the way back to it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from service.domain.label_kinds import DRAWN
from service.errors import Conflict
from service.store import events, gold_answers, gold_views
from service.store.answering import others_at
from service.store.answers import Answers, answers_of
from service.store.lease_caps import holds_all_it_may, lease_time
from service.store.leases import Given, Held
from service.store.regions import frames, get_region, lock_regions
from service.store.settling import settle
from service.store.steering import has_label, reopen_skipped
from service.store.turns import one_at_a_time
from service.tables import GoldTurn, Image, Label, Lease, Project, Region, Review


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A region that an annotator has labelled or skipped by a lease; `label` is the newest that they drew of it."""

    lease_id: int
    region_id: int
    project_id: int
    image_name: str
    what: Literal["labelled", "skipped"]
    at: datetime
    state: str
    skip_reason: str | None
    label_id: int | None
    decision: str | None
    reason: str | None


def own_work(
    session: Session,
    annotator_id: int,
    *,
    project_id: int | None,
    among: Collection[int] | None,
    limit: int,
    before: int,
) -> list[Done]:
    """What an annotator did last, newest first, of the projects `among`; after the lease `before`, where that is not 0.

    `decision` and `reason` are a reviewer's about their newest label of the region, if there is one.
    """
    chosen = select(Lease, Region, Image.name).join(Region, Lease.region_id == Region.id)
    chosen = chosen.join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Lease.annotator_id == annotator_id, Lease.end.in_(("labelled", "skipped")))
    if project_id is not None:
        chosen = chosen.where(Region.project_id == project_id)
    if among is not None:
        chosen = chosen.where(Region.project_id.in_(among))
    last = session.get(Lease, before) if before else None
    if last is not None and last.annotator_id == annotator_id:
        same = and_(Lease.ended_at == last.ended_at, Lease.id < last.id)
        chosen = chosen.where(or_(Lease.ended_at < last.ended_at, same))
    rows = session.execute(chosen.order_by(Lease.ended_at.desc(), Lease.id.desc()).limit(limit)).all()
    labels = _newest_labels(session, annotator_id, [region.id for _, region, _ in rows])
    gold = [region.id for _, region, _ in rows if region.gold]
    turns = select(GoldTurn).where(GoldTurn.region_id.in_(gold), GoldTurn.annotator_id == annotator_id)
    shown = {turn.region_id: turn for turn in session.scalars(turns)} if gold else {}
    reviews = _reviews(session, list(labels.values()))
    return [
        _done(lease, region, shown.get(region.id, region), name, labels.get(region.id), reviews)
        for lease, region, name in rows
    ]


def _done(
    lease: Lease, region: Region, seen: Region | GoldTurn, name: str, label_id: int | None, reviews: dict[int, Review]
) -> Done:
    skipped = lease.end == "skipped"
    review = None if skipped or label_id is None else reviews.get(label_id)
    return Done(
        lease_id=lease.id,
        region_id=region.id,
        project_id=region.project_id,
        image_name=name,
        what="skipped" if skipped else "labelled",
        at=lease.ended_at or lease.created_at,
        state=seen.state,
        skip_reason=seen.skip_reason if skipped else None,
        label_id=None if skipped else label_id,
        decision=None if review is None else review.decision,
        reason=None if review is None else review.reason,
    )


def _newest_labels(session: Session, annotator_id: int, region_ids: Sequence[int]) -> dict[int, int]:
    drawn = (Label.annotator_id == annotator_id, Label.kind.in_(DRAWN), Label.region_id.in_(region_ids))
    return dict(
        session.execute(select(Label.region_id, func.max(Label.id)).where(*drawn).group_by(Label.region_id)).all()
    )


def _reviews(session: Session, label_ids: Sequence[int]) -> dict[int, Review]:
    chosen = select(Review).where(Review.label_id.in_(label_ids)).order_by(Review.id)
    return {review.label_id: review for review in session.scalars(chosen)}


def reopen(session: Session, region_id: int, annotator_id: int, *, now: datetime, default_minutes: float) -> Held:
    """A lease of a region that the annotator has labelled or skipped, to do so anew; one that they hold is as good.

    A label stays, and counts, until another one comes; a region that is skipped is open again. Raises Conflict where they did
    neither, a reviewer has decided since, others hold or have labelled as much of it as it wants, or the annotator holds as many
    regions as one may.
    """
    # In this order: who ends all that an annotator holds takes their turn before the regions, too.
    one_at_a_time(session, annotator_id)
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region, project = regions[region_id], session.get_one(Project, regions[region_id].project_id)
    mine = select(Lease).where(Lease.region_id == region_id, Lease.annotator_id == annotator_id)
    held = session.scalars(mine.where(Lease.ended_at.is_(None))).one_or_none()
    if region.gold:
        return _reopen_gold(session, region, project, held, annotator_id, now, default_minutes)
    if held is not None and held.expires_at > now:
        return _held(session, held)
    answers = answers_of(session, [region_id])[region_id]
    skip = session.scalars(mine.where(Lease.end == "skipped").limit(1)).first()
    _require_reopenable(session, region, answers, annotator_id, skipped=skip is not None, now=now)
    if holds_all_it_may(session, project, annotator_id, now):
        raise _refused(region_id, "You hold as many regions as one may: label or give back one first.", "held")
    if skip is not None:
        first = rounds[round_id].state != "open" or has_label(session, region_id)
        reopen_skipped(session, region, first=first, annotator_id=annotator_id)
    lease = _new_lease(session, region, annotator_id, now)
    lease.expires_at = now + lease_time(project.settings, default_minutes)
    events.record(
        session,
        now=now,
        kind="region_reopened",
        project_id=region.project_id,
        annotator_id=annotator_id,
        region=region_id,
        skipped=skip is not None,
    )
    session.add(lease)
    session.flush()
    if skip is not None and region.priority:
        settle(session, [region_id], now)
    return _held(session, lease)


def _reopen_gold(
    session: Session,
    region: Region,
    project: Project,
    held: Lease | None,
    annotator_id: int,
    now: datetime,
    default_minutes: float,
) -> Held:
    turn, lease = gold_answers.turn_of(session, region.id, annotator_id), held
    if turn is None or (turn.state == "open" and (held is None or held.expires_at <= now)):
        raise _refused(region.id, f"You have neither labelled nor skipped region {region.id}.", "not_yours")
    if lease is None or lease.expires_at <= now:
        if holds_all_it_may(session, project, annotator_id, now):
            raise _refused(region.id, "You hold as many regions as one may: label or give back one first.", "held")
        expires_at = now + lease_time(project.settings, default_minutes)
        lease = gold_answers.reopen(session, turn, now=now, expires_at=expires_at)
    given = _held(session, lease)
    return replace(given, placed=gold_views.shown(session, given.placed, turn))


def _require_reopenable(
    session: Session, region: Region, answers: Answers, annotator_id: int, *, skipped: bool, now: datetime
) -> None:
    own = answers.own(annotator_id)
    if own is None and not skipped:
        raise _refused(region.id, f"You have neither labelled nor skipped region {region.id}.", "not_yours")
    if own is not None and answers.decided_since(own):
        sentence = f"A reviewer has decided about your label of region {region.id}: it cannot be changed any more."
        raise _refused(region.id, sentence, "region_reviewed")
    if own is not None and region.overlap == 1 and answers.standing[-1].annotator_id != annotator_id:
        raise _refused(region.id, f"Region {region.id} has been labelled by another annotator.", "region_labelled")
    if own is None:
        done = region.state == "labelled" or any(each.kind not in DRAWN for each in answers.versions[-1:])
        answered = [each.annotator_id for each in answers.standing]
        there = len(answered) + others_at(session, region.id, [annotator_id, *answered], now)
        if done or there >= region.overlap:
            sentence = f"Others hold or have labelled region {region.id} since you skipped it."
            raise _refused(region.id, sentence, "region_labelled")


def _new_lease(session: Session, region: Region, annotator_id: int, now: datetime) -> Lease:
    """A lease at a seat that is free; those there that ran out end."""
    active = session.scalars(select(Lease).where(Lease.region_id == region.id, Lease.ended_at.is_(None))).all()
    for each in active:
        if each.expires_at <= now:
            each.ended_at, each.end = now, "expired"
    session.flush()
    taken = {each.seat for each in active if each.ended_at is None}
    seat = next(number for number in range(len(taken) + 1) if number not in taken)
    return Lease(region_id=region.id, annotator_id=annotator_id, seat=seat, created_at=now)


def _held(session: Session, lease: Lease) -> Held:
    given = Given(id=lease.id, region_id=lease.region_id, annotator_id=lease.annotator_id, expires_at=lease.expires_at)
    return Held(lease=given, placed=get_region(session, lease.region_id))


def _refused(region_id: int, sentence: str, code: str) -> Conflict:
    return Conflict(sentence, code=code, detail={"region_id": region_id})
