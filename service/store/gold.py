"""Gold regions given to annotators in place of others: who gets which, and what is shown of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from service.domain.gold import GOLD, score_between
from service.store import leases
from service.store.leases import Given, Held
from service.store.regions import PLACED, Placed, placed
from service.tables import GoldTurn, Image, Lease, Membership, Region, Round, table_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """An annotator who asks for up to `count` regions.

    `paused`: none but those held; `tested`: gold regions may be among those held; `is_due` says of a new lease's number and the
    share that the project wishes whether the region is to be gold, None: never.
    """

    annotator_id: int
    count: int
    paused: bool
    tested: bool
    is_due: Callable[[int, float], bool] | None


def claim(session: Session, project_id: int, asker: Asker, *, now: datetime, default_minutes: float) -> list[Held]:
    """As `leases.claim`, with gold regions in place of some that are new."""
    mine: list[Held] = []
    if asker.paused or asker.tested:
        mine = held(session, project_id, asker.annotator_id, now)
        if asker.paused or len(mine) >= asker.count:
            return mine[: asker.count]
    golden = [each for each in mine if each.placed.state == GOLD]
    given = leases.claim(
        session,
        project_id,
        asker.annotator_id,
        count=asker.count - len(golden),
        now=now,
        default_minutes=default_minutes,
    )
    known = {each.placed.id for each in mine}
    new = [each for each in given if each.placed.id not in known]
    if asker.is_due is not None and any(each.gold_share for each in new):
        new = _exchanged(session, project_id, new, asker, now)
    old = [each for each in given if each.placed.id in known]
    return [*sorted([*golden, *old], key=_order), *new] if golden else [*old, *new]


def _order(each: Held) -> tuple[int, float, int]:
    return each.placed.round_number, -each.placed.score, each.placed.id


def held(session: Session, project_id: int, annotator_id: int, now: datetime) -> list[Held]:
    """The regions that an annotator holds, gold ones too, which are shown as others: by round and score."""
    shown = aliased(Round)
    chosen: Any = select(
        *PLACED, Lease.id.label("lease_id"), Lease.expires_at, GoldTurn.score.label("shown_score"), shown.number
    )
    chosen = chosen.select_from(Lease).join(Region, Lease.region_id == Region.id)
    chosen = chosen.join(Round, Region.round_id == Round.id).join(Image, Region.image_id == Image.id)
    turn = and_(GoldTurn.region_id == Region.id, GoldTurn.annotator_id == Lease.annotator_id)
    chosen = chosen.outerjoin(GoldTurn, turn).outerjoin(shown, shown.id == GoldTurn.round_id)
    chosen = chosen.where(Lease.annotator_id == annotator_id, Lease.ended_at.is_(None), Lease.expires_at > now)
    waits = or_(Region.state == "open", and_(Region.state == GOLD, GoldTurn.state == "open"))
    chosen = chosen.where(Region.project_id == project_id, waits)
    found = []
    for row in session.execute(chosen):
        region = placed(row)
        if region.state == GOLD:
            region = replace(region, round_number=row.number, score=row.shown_score)
        lease = Given(id=row.lease_id, region_id=row.id, annotator_id=annotator_id, expires_at=row.expires_at)
        found.append(Held(lease=lease, placed=region))
    return sorted(found, key=_order)


def holds_any(session: Session, project_id: int, annotator_id: int, now: datetime) -> bool:
    """Whether an annotator holds a gold region of a project."""
    mine = select(Lease.id).join(Region, Lease.region_id == Region.id)
    mine = mine.where(Lease.annotator_id == annotator_id, Lease.ended_at.is_(None), Lease.expires_at > now)
    return session.scalar(mine.where(Region.project_id == project_id, Region.state == GOLD).limit(1)) is not None


def _exchanged(session: Session, project_id: int, new: Sequence[Held], asker: Asker, now: datetime) -> list[Held]:
    """These new leases, some of them moved to gold regions; what they were of is free again.

    One that was given back before, or ran out, is given first, as any region would be.
    """
    assert asker.is_due is not None
    back = _given_before(session, project_id, asker.annotator_id, now)
    result = []
    for each in new:
        gold = None
        if back:
            gold = _again(session, back.pop(0), each, now)
        elif asker.is_due(each.lease.id, each.gold_share):
            gold = _first_time(session, project_id, each, asker.annotator_id, now)
        result.append(gold or each)
    return result


def _given_before(session: Session, project_id: int, annotator_id: int, now: datetime) -> list[GoldTurn]:
    live = exists().where(
        Lease.region_id == GoldTurn.region_id,
        Lease.annotator_id == annotator_id,
        Lease.ended_at.is_(None),
        Lease.expires_at > now,
    )
    chosen = select(GoldTurn).where(
        GoldTurn.project_id == project_id, GoldTurn.annotator_id == annotator_id, GoldTurn.state == "open", ~live
    )
    return list(session.scalars(chosen.order_by(GoldTurn.id)))


def _gold() -> Any:
    chosen: Any = select(*PLACED).join(Round, Region.round_id == Round.id).join(Image, Region.image_id == Image.id)
    # It may be given to several at once; what is being labelled or deleted just now is passed over.
    return chosen.where(Region.state == GOLD).with_for_update(of=Region, read=True, key_share=True, skip_locked=True)


def _again(session: Session, turn: GoldTurn, in_place_of: Held, now: datetime) -> Held | None:
    row = session.execute(_gold().where(Region.id == turn.region_id)).one_or_none()
    number = session.scalar(select(Round.number).where(Round.id == turn.round_id))
    if row is None or number is None:
        return None
    ran_out = update(Lease).where(Lease.region_id == turn.region_id, Lease.annotator_id == turn.annotator_id)
    session.execute(
        ran_out.where(Lease.ended_at.is_(None)).values(ended_at=now, end="expired"),
        execution_options={"synchronize_session": False},
    )
    return _moved(session, in_place_of, replace(placed(row), round_number=number, score=turn.score))


def _first_time(session: Session, project_id: int, in_place_of: Held, annotator_id: int, now: datetime) -> Held | None:
    """A gold region that the annotator was never given, whose number is nearest and whose prediction is by the same network."""
    like = in_place_of.placed
    had = exists().where(GoldTurn.region_id == Region.id, GoldTurn.annotator_id == annotator_id)
    chosen = _gold().where(Region.project_id == project_id, ~had)
    chosen = chosen.where(Region.prediction_checkpoint_id.is_not_distinct_from(like.prediction_checkpoint_id))
    chosen = chosen.where(Region.prediction.is_not(None) == like.has_prediction)
    row = session.execute(chosen.order_by(func.abs(Region.id - like.id), Region.id).limit(1)).one_or_none()
    if row is None:
        return None
    round_id, score = _place_below(session, like)
    session.execute(
        insert(table_of(GoldTurn)).values(
            project_id=project_id,
            region_id=row.id,
            annotator_id=annotator_id,
            round_id=round_id,
            score=score,
            state="open",
            created_at=now,
        )
    )
    tested = update(Membership).where(Membership.project_id == project_id, Membership.annotator_id == annotator_id)
    session.execute(
        tested.where(Membership.tested.is_(False)).values(tested=True),
        execution_options={"synchronize_session": False},
    )
    return _moved(session, in_place_of, replace(placed(row), round_number=like.round_number, score=score))


def _place_below(session: Session, like: Placed) -> tuple[int, float]:
    """The round of a region, and a score between its own and that of the next region of its round that is open."""
    round_id = session.execute(select(Region.round_id).where(Region.id == like.id)).scalar_one()
    lower = select(func.max(Region.score)).where(
        Region.round_id == round_id, Region.state == "open", Region.id != like.id, Region.score <= like.score
    )
    return round_id, score_between(like.score, session.scalar(lower))


def _moved(session: Session, given: Held, to: Placed) -> Held:
    """A lease, nobody knows of yet, moved to a gold region: its number goes on as if nothing had happened."""
    lease = replace(given.lease, region_id=to.id)
    # There are as many seats as annotators: each has the seat of their own number.
    session.execute(
        update(table_of(Lease)).where(table_of(Lease).c.id == lease.id).values(region_id=to.id, seat=lease.annotator_id)
    )
    return Held(lease=lease, placed=to)
