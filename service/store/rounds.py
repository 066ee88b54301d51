"""Rounds in the database: when the next one is proposed, when one is labelled, and what to tell those who wait."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.regions import Grid
from service.schemas.projects import ProjectSettings
from service.store import events
from service.store.jobs import pending_job, queue_job
from service.tables import ImageGroup, Project, Region, Round

WaitingReason = Literal["scoring", "all_leased", "budget_reached", "not_started"]
UNFINISHED = ("scoring", "open", "labelled")


def advance(session: Session, project: Project, now: datetime) -> None:
    """Propose the next round if it is time: an ask job for a new round in state `scoring`.

    One round is proposed at a time, each knowing the regions of the one before. With lookahead a round may be proposed
    while another is being labelled or learned from.
    """
    session.execute(select(Project.id).where(Project.id == project.id).with_for_update(key_share=True))
    settings = ProjectSettings.model_validate(project.settings)
    states = _unfinished_states(session, project.id)
    if not project.active or "scoring" in states or len(states) >= (2 if settings.lookahead else 1):
        return
    size = min(settings.batch_size, regions_left(session, project))
    if size <= 0:
        if not states:
            _finish_campaign(session, project, now)
        return
    last = session.scalar(select(func.max(Round.number)).where(Round.project_id == project.id)) or 0
    round_ = Round(
        project_id=project.id, number=last + 1, state="scoring", size=size, seconds={}, note="", created_at=now
    )
    session.add(round_)
    session.flush()
    queue_job(
        session, project_id=project.id, kind="ask", now=now, payload={"round_id": round_.id}, key=f"ask:{round_.id}"
    )


def _unfinished_states(session: Session, project_id: int) -> list[str]:
    chosen = select(Round.state).where(Round.project_id == project_id, Round.state.in_(UNFINISHED))
    return list(session.scalars(chosen))


def _finish_campaign(session: Session, project: Project, now: datetime) -> None:
    """The budget is spent and learned from: train to convergence, once."""
    told = session.scalar(select(func.count()).select_from(Round).where(Round.project_id == project.id))
    if told:
        queue_job(session, project_id=project.id, kind="finish", now=now, key=f"finish:{told}")


def regions_left(session: Session, project: Project) -> int:
    """How many regions may still be proposed: the budget less what is labelled or asked for, and what the pool has."""
    settings = ProjectSettings.model_validate(project.settings)
    counts = region_counts(session, project.id)
    left = pool_regions(session, project.id, settings) - sum(counts.values())
    if settings.budget is None:
        return left
    return min(left, settings.budget - counts.get("open", 0) - counts.get("labelled", 0))


def region_counts(session: Session, project_id: int) -> dict[str, int]:
    """Proposed regions by state."""
    chosen = select(Region.state, func.count()).where(Region.project_id == project_id).group_by(Region.state)
    return {row.state: row[1] for row in session.execute(chosen)}


def pool_regions(session: Session, project_id: int, settings: ProjectSettings) -> int:
    """All regions of the pool split: arithmetic over the few image sizes."""
    groups = session.scalars(select(ImageGroup).where(ImageGroup.project_id == project_id, ImageGroup.split == "pool"))
    return sum(group.count * grid_of(group.height, group.width, settings).cells for group in groups)


def grid_of(height: int, width: int, settings: ProjectSettings) -> Grid:
    """The region grid of an image of this size."""
    return Grid(height=height, width=width, cell_height=settings.cell_height, cell_width=settings.cell_width)


def lock_round(session: Session, round_id: int) -> Round:
    """The round, locked until the transaction ends, so that two last labels see each other."""
    return session.execute(select(Round).where(Round.id == round_id).with_for_update()).scalar_one()


def close_if_done(session: Session, round_: Round, now: datetime) -> None:
    """Once no region of an open round waits for a label, the round is labelled and its tell job queued."""
    session.flush()
    waiting = select(Region.id).where(Region.round_id == round_.id, Region.state == "open").limit(1)
    if round_.state != "open" or session.scalar(waiting) is not None:
        return
    round_.state, round_.labelled_at = "labelled", now
    queue_job(
        session,
        project_id=round_.project_id,
        kind="tell",
        now=now,
        payload={"round_id": round_.id},
        key=f"tell:{round_.id}",
    )
    events.record(session, now=now, kind="round_labelled", project_id=round_.project_id, round=round_.number)


def waiting_reason(session: Session, project: Project) -> WaitingReason:
    """Why there is nothing to give to a caller who got no region."""
    states = _unfinished_states(session, project.id)
    if not project.active:
        return "not_started"
    if "scoring" in states:
        return "scoring"
    if "open" in states:
        return "all_leased"
    if "labelled" in states:
        return "scoring"
    has_rounds = session.scalar(select(Round.id).where(Round.project_id == project.id).limit(1)) is not None
    return "budget_reached" if has_rounds and regions_left(session, project) <= 0 else "not_started"


def list_rounds(session: Session, project_id: int, *, limit: int, after: int) -> Sequence[Round]:
    """Rounds with numbers above `after`, first to last."""
    chosen = select(Round).where(Round.project_id == project_id, Round.number > after)
    return session.scalars(chosen.order_by(Round.number).limit(limit)).all()


def is_pretraining(session: Session, project_id: int) -> bool:
    """Whether a pretrain job is queued or running."""
    return pending_job(session, project_id, "pretrain") is not None
