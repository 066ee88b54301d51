"""What annotators do with gold regions: label, skip and give them back, with the answers that any other region has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.store import comparisons, events, pauses
from service.store.lease_caps import require_skip_left
from service.store.regions import no_lease
from service.tables import GoldTurn, Label, Lease, Project, Region, Round, table_of

_AS_SAID = {"synchronize_session": False}


class Sent(Protocol):
    """A checked label map, as `labels.Submission` has it."""

    @property
    def region_id(self) -> int: ...
    @property
    def mask(self) -> bytes: ...
    @property
    def digest(self) -> str: ...
    @property
    def class_counts(self) -> list[int]: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def idle_seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The label of a gold region, of no session, with the version that its annotator counts; whether it is new."""

    label: Label
    created: bool


def answer(session: Session, sent: Sequence[Sent], annotator_id: int, now: datetime) -> dict[int, Answered]:
    """Store labels of gold regions, whose rows are locked, and hold them against the truth; by the region's number.

    Others who hold or have labelled a region do not matter. Raises Conflict where the annotator has skipped one.
    """
    turns = _turns(session, [each.region_id for each in sent], annotator_id)
    answered = {each.region_id: _answered(session, each, turns, annotator_id, now) for each in sent}
    created = [each.label for each in answered.values() if each.created]
    if created:
        comparisons.hold_against_truth(session, created, now)
        pauses.pause_if_due(session, turns[created[0].region_id].project_id, annotator_id, now)
    return answered


def _turns(session: Session, region_ids: Sequence[int], annotator_id: int) -> dict[int, GoldTurn]:
    chosen = select(GoldTurn).where(GoldTurn.region_id.in_(region_ids), GoldTurn.annotator_id == annotator_id)
    found = {turn.region_id: turn for turn in session.scalars(chosen)}
    if absent := set(region_ids) - found.keys():
        raise no_lease(min(absent))
    return found


def _answered(
    session: Session, sent: Sent, turns: Mapping[int, GoldTurn], annotator_id: int, now: datetime
) -> Answered:
    turn = turns[sent.region_id]
    if turn.state == "skipped":
        raise _closed(turn)
    own = own_labels(session, sent.region_id, annotator_id)
    _end(session, turn, "labelled", now)
    if own and own[-1].digest == sent.digest:
        return Answered(label=own[-1], created=False)
    newest = session.scalar(select(func.max(Label.version)).where(Label.region_id == sent.region_id)) or 0
    values = {
        "region_id": sent.region_id,
        "annotator_id": annotator_id,
        "mask": sent.mask,
        "digest": sent.digest,
        "class_counts": sent.class_counts,
        "seconds": sent.seconds,
        "idle_seconds": sent.idle_seconds,
        "kind": "annotated",
        "created_at": now,
    }
    added = insert(table_of(Label)).values(version=newest + 1, **values).returning(table_of(Label).c.id)
    number = session.execute(added).scalar_one()
    label = Label(id=number, version=len(own) + 1, **values)
    events.record(
        session,
        now=now,
        kind="region_labelled",
        project_id=turn.project_id,
        annotator_id=annotator_id,
        region=sent.region_id,
        version=label.version,
    )
    return Answered(label=label, created=True)


def own_labels(session: Session, region_id: int, annotator_id: int) -> list[Label]:
    """What an annotator has sent of a gold region, oldest first, of no session: versions count their own labels alone."""
    columns = (Label.id, Label.digest, Label.class_counts, Label.seconds, Label.kind, Label.created_at)
    chosen = select(*columns).where(Label.region_id == region_id, Label.annotator_id == annotator_id)
    return [
        Label(
            id=row.id,
            region_id=region_id,
            annotator_id=annotator_id,
            version=version,
            digest=row.digest,
            class_counts=row.class_counts,
            seconds=row.seconds,
            kind=row.kind,
            created_at=row.created_at,
        )
        for version, row in enumerate(session.execute(chosen.order_by(Label.version)), 1)
    ]


def skip(
    session: Session,
    region_id: int,
    lease: Lease | None,
    annotator_id: int,
    *,
    reason: str,
    now: datetime,
    capped: bool,
) -> Region:
    """Set a gold region, which is locked, aside for one annotator; it counts among the skips of no round.

    Raises Conflict where they have labelled it, or may not skip any more of the round that it was shown in.
    """
    turn = _turns(session, [region_id], annotator_id)[region_id]
    if turn.state == "skipped":
        return _shown(turn)
    if turn.state != "open":
        raise _closed(turn)
    if capped:
        project, round_ = session.get_one(Project, turn.project_id), session.get_one(Round, turn.round_id)
        require_skip_left(session, project, round_, annotator_id)
    _end(session, turn, "skipped", now)
    if lease is not None:
        session.execute(
            update(Lease).where(Lease.id == lease.id).values(end="skipped", ended_at=now), execution_options=_AS_SAID
        )
    turn.skip_reason = reason
    events.record(
        session,
        now=now,
        kind="region_skipped",
        project_id=turn.project_id,
        annotator_id=annotator_id,
        region=region_id,
        reason=reason,
    )
    return _shown(turn)


def release(session: Session, region_id: int, annotator_id: int, now: datetime) -> Region:
    """Give a gold region back; it is given again before others. Raises Conflict where it is labelled or skipped."""
    turn = _turns(session, [region_id], annotator_id)[region_id]
    if turn.state != "open":
        raise _closed(turn)
    _end_leases(session, turn, "released", now)
    return _shown(turn)


def reopen(session: Session, turn: GoldTurn, *, now: datetime, expires_at: datetime) -> Lease:
    """A lease anew of a gold region that its annotator has labelled or skipped; one that was skipped is open again."""
    _end_leases(session, turn, "expired", now)
    if turn.state == "skipped":
        turn.state, turn.ended_at, turn.skip_reason = "open", None, None
    # As `gold` gives it: each has the seat of their own number.
    lease = Lease(region_id=turn.region_id, annotator_id=turn.annotator_id, seat=turn.annotator_id, created_at=now)
    lease.expires_at = expires_at
    session.add(lease)
    session.flush()
    return lease


def _end(session: Session, turn: GoldTurn, how: str, now: datetime) -> None:
    """The annotator is done with a region: from now on they are shown what was predicted until now."""
    _end_leases(session, turn, how, now)
    if turn.state != "open":
        return
    predicted = select(Region.prediction, Region.prediction_checkpoint_id).where(Region.id == turn.region_id)
    turn.prediction, turn.prediction_checkpoint_id = session.execute(predicted).one()
    turn.state, turn.ended_at = how, now
    session.flush()


def _end_leases(session: Session, turn: GoldTurn, how: str, now: datetime) -> None:
    mine = update(Lease).where(Lease.region_id == turn.region_id, Lease.annotator_id == turn.annotator_id)
    session.execute(mine.where(Lease.ended_at.is_(None)).values(ended_at=now, end=how), execution_options=_AS_SAID)


def _closed(turn: GoldTurn) -> Conflict:
    sentence = f"Region {turn.region_id} has been {turn.state}."
    return Conflict(sentence, code=f"region_{turn.state}", detail={"region_id": turn.region_id})


def _shown(turn: GoldTurn) -> Region:
    """The region as its annotator sees it, of no session."""
    return Region(id=turn.region_id, state=turn.state, skip_reason=turn.skip_reason)


def turn_of(session: Session, region_id: int, annotator_id: int) -> GoldTurn | None:
    """A gold region's turn of an annotator, if they were given it."""
    chosen = select(GoldTurn).where(GoldTurn.region_id == region_id, GoldTurn.annotator_id == annotator_id)
    return session.scalars(chosen).one_or_none()
