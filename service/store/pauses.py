"""Members who are paused: no regions are given to them until somebody lets them go on. By hand, or by their gold regions."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from service.domain.comparing import Compared, Pooled
from service.store import events
from service.store.comparisons import compared_of
from service.store.lease_caps import setting
from service.store.memberships import Member, get_member
from service.tables import Comparison, GoldTurn, Membership, Project

BELOW = "Your latest labels were less exact than this project asks for."
"""What somebody is told who is paused by their gold regions: it must not tell which those are."""


def pause(session: Session, project_id: int, annotator_id: int, *, reason: str, now: datetime, by: int) -> Member:
    """Give a member no more regions; one who is paused stays so, with this reason. Raises NotFound."""
    member = get_member(session, project_id, annotator_id)
    _pause(session, member.membership, reason, now, by)
    return member


def resume(session: Session, project_id: int, annotator_id: int, *, now: datetime, by: int) -> Member:
    """Let a member go on; gold regions until now do not count any more. One who is not paused is as good. Raises NotFound."""
    member = get_member(session, project_id, annotator_id)
    row = member.membership
    if row.paused_at is not None:
        row.paused_at, row.pause_reason, row.resumed_at = None, None, now
        events.record(
            session, now=now, kind="member_resumed", project_id=project_id, annotator_id=by, member=annotator_id
        )
    return member


def _pause(session: Session, row: Membership, reason: str, now: datetime, by: int | None) -> None:
    row.paused_at, row.pause_reason = row.paused_at or now, reason
    events.record(
        session,
        now=now,
        kind="member_paused",
        project_id=row.project_id,
        annotator_id=by,
        member=row.annotator_id,
        reason=reason,
    )


def pause_if_due(session: Session, project_id: int, annotator_id: int, now: datetime) -> None:
    """Pause a member whose pooled mIoU over the last gold regions of a window lies below what the project asks for."""
    settings = session.get_one(Project, project_id).settings
    threshold, window = setting(settings, "gold_threshold"), setting(settings, "gold_window")
    if threshold is None:
        return
    chosen = select(Membership).where(Membership.project_id == project_id, Membership.annotator_id == annotator_id)
    # Who is just being changed or removed is judged by the next gold region: to wait for it here could be for ever.
    row = session.scalars(chosen.with_for_update(skip_locked=True)).one_or_none()
    if row is None or row.paused_at is not None:
        return
    latest = latest_gold(session, project_id, annotator_id, limit=window, since=row.resumed_at)
    miou = Pooled.of(latest).miou
    if len(latest) >= window and miou is not None and miou < threshold:
        _pause(session, row, BELOW, now, None)


def pause_reason(session: Session, project_id: int, annotator_id: int) -> str:
    """Why a member is paused; empty where they are not any more."""
    chosen = select(Membership.pause_reason).where(Membership.project_id == project_id)
    return session.scalar(chosen.where(Membership.annotator_id == annotator_id)) or ""


def latest_gold(
    session: Session, project_id: int, annotator_id: int, *, limit: int, since: datetime | None = None
) -> Sequence[Compared]:
    """How an annotator's labels of gold regions compare with the truth, newest first: those first labelled after `since`."""
    turn = and_(GoldTurn.region_id == Comparison.region_id, GoldTurn.annotator_id == Comparison.annotator_id)
    chosen = select(Comparison.miou, Comparison.pixel_accuracy, Comparison.by_class).join(GoldTurn, turn)
    chosen = chosen.where(GoldTurn.project_id == project_id, GoldTurn.annotator_id == annotator_id)
    chosen = chosen.where(GoldTurn.state == "labelled", Comparison.other_label_id.is_(None))
    if since is not None:
        chosen = chosen.where(GoldTurn.ended_at > since)
    rows = session.execute(chosen.order_by(GoldTurn.ended_at.desc(), GoldTurn.id.desc()).limit(limit))
    return [compared_of(row) for row in rows]
