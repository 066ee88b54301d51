"""What is shown of a gold region to whoever was given it: what would be shown of any other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store import answers, regions
from service.store.gold_answers import own_labels, turn_of
from service.store.regions import Placed
from service.tables import GoldTurn, Label, Lease, Project, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A region, the lease on it that lasts, and its label."""

    placed: Placed
    lease: Lease | None
    label: Label | None


def seen(session: Session, placed: Placed, viewer_id: int, *, own: int | None, now: datetime) -> Seen:
    """A gold region as the viewer sees it. own: the annotator whose labels alone they see; None: they see all."""
    turn = turn_of(session, placed.id, viewer_id)
    if turn is None:
        label = regions.latest_label(session, placed.id, by=own)
        return Seen(placed=replace(placed, state="open"), lease=None, label=label)
    chosen = select(Lease).where(Lease.region_id == placed.id, Lease.annotator_id == viewer_id)
    lease = session.scalar(chosen.where(Lease.ended_at.is_(None), Lease.expires_at > now))
    labels = own_labels(session, placed.id, viewer_id)
    return Seen(placed=shown(session, placed, turn), lease=lease, label=labels[-1] if labels else None)


def versions_of(session: Session, region_id: int, *, by: int | None, limit: int, after: int) -> Sequence[Label]:
    """As `answers.versions_of`; of a gold region an annotator's own are counted as if nobody else had labelled it."""
    if by is None or turn_of(session, region_id, by) is None:
        return answers.versions_of(session, region_id, by=by, limit=limit, after=after)
    return own_labels(session, region_id, by)[after : after + limit]


def version_of(session: Session, region_id: int, version: int, *, by: int | None) -> Label | None:
    """As `answers.version_of`, with the numbers that `versions_of` gives."""
    if by is None or turn_of(session, region_id, by) is None:
        return answers.version_of(session, region_id, version, by=by)
    own = own_labels(session, region_id, by)[version - 1 : version]
    return session.get_one(Label, own[0].id) if own else None


def shown(session: Session, placed: Placed, turn: GoldTurn) -> Placed:
    """A gold region as its annotator sees it."""
    chosen = select(Round.number, Project.settings["overlap"].as_integer()).join(
        Project, Round.project_id == Project.id
    )
    number, overlap = session.execute(chosen.where(Round.id == turn.round_id)).one()
    as_given = replace(
        placed,
        round_number=number,
        score=turn.score,
        state=turn.state,
        skip_reason=turn.skip_reason,
        overlap=overlap or 1,
        answers=int(turn.state == "labelled"),
    )
    if turn.state == "open":
        return as_given
    return replace(
        as_given,
        prediction_checkpoint_id=turn.prediction_checkpoint_id,
        has_prediction=turn.prediction is not None,
    )
