"""Why a project has nothing to give."""

from typing import Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from service.domain.gold import GOLD
from service.store.budget import pool_left, regions_left
from service.store.rounds import UNDECIDED, unfinished_states
from service.tables import Project, Region, Round

WaitingReason = Literal["scoring", "all_leased", "in_review", "budget_reached", "pool_empty", "not_started"]


def waiting_reason(session: Session, project: Project) -> WaitingReason:
    """Why there is nothing to give to a caller who got no region."""
    states = unfinished_states(session, project.id)
    if not project.active:
        return "not_started"
    if "scoring" in states:
        return "scoring"
    if "open" in states:
        return _why_open(session, project.id, Round.state == "open") or "all_leased"
    if "labelled" in states:
        return "scoring"
    # Rejected regions of rounds that are over.
    again = _why_open(session, project.id, Region.priority > 0)
    if again is not None:
        return again
    rounds = select(Round.id).where(Round.project_id == project.id, Round.state != GOLD)
    has_rounds = session.scalar(rounds.limit(1)) is not None
    if not has_rounds or regions_left(session, project) > 0:
        return "not_started"
    return "budget_reached" if pool_left(session, project) > 0 else "pool_empty"


def _why_open(session: Session, project_id: int, among: ColumnElement[bool]) -> WaitingReason | None:
    """Why none of some regions that are undecided can be given out; None without any."""
    chosen = select(Region.state).join(Round, Region.round_id == Round.id).where(Region.project_id == project_id)
    states = set(session.scalars(chosen.where(among, UNDECIDED).distinct()))
    if not states:
        return None
    return "in_review" if states == {"review"} else "all_leased"
