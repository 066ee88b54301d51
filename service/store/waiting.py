"""Why a project has nothing to give."""

from typing import Literal

from sqlalchemy import select
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
        return _why_open(session, project.id)
    if "labelled" in states:
        return "scoring"
    rounds = select(Round.id).where(Round.project_id == project.id, Round.state != GOLD)
    has_rounds = session.scalar(rounds.limit(1)) is not None
    if not has_rounds or regions_left(session, project) > 0:
        return "not_started"
    return "budget_reached" if pool_left(session, project) > 0 else "pool_empty"


def _why_open(session: Session, project_id: int) -> WaitingReason:
    """Why nothing of the rounds that are open can be given out."""
    chosen = select(Region.state).join(Round, Region.round_id == Round.id).where(Region.project_id == project_id)
    states = set(session.scalars(chosen.where(Round.state == "open", UNDECIDED).distinct()))
    return "in_review" if states == {"review"} else "all_leased"
