"""How much one annotator may hold, renew and skip: what a project's settings say, and how much there is of it already."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ScalarSelect, and_, bindparam, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from service.errors import Conflict
from service.schemas.project_settings import ProjectSettings
from service.store.answers import SKIPPED, has_drawn
from service.store.projects import Campaign
from service.tables import Annotator, Lease, Membership, Project, Region, Round, UtcDateTime

LEAST_SKIPS = 3
"""So many regions of a round anybody may skip, however small the share of it is that a project allows."""


def setting(settings: Mapping[str, Any], name: str) -> Any:
    """A setting of a project's row; the default for a project that was made before there was one of this name."""
    return settings[name] if name in settings else ProjectSettings.model_fields[name].default


def lease_time(settings: Mapping[str, Any], default_minutes: float) -> timedelta:
    """How long a project lets a region be held without renewal."""
    return timedelta(minutes=settings.get("lease_minutes") or default_minutes)


def longest_lease(settings: Mapping[str, Any], default_minutes: float) -> timedelta:
    """How long a lease may last in all, however often it is renewed."""
    return max(lease_time(settings, default_minutes), timedelta(minutes=setting(settings, "max_lease_minutes")))


def live_leases() -> ScalarSelect[int]:
    """How many regions of `project` `annotator` holds `now`, as a part of another statement."""
    lease, region = aliased(Lease), aliased(Region)
    counted = select(func.count()).select_from(lease).join(region, lease.region_id == region.id)
    return counted.where(
        lease.annotator_id == bindparam("annotator"),
        lease.ended_at.is_(None),
        lease.expires_at > bindparam("now", type_=UtcDateTime),
        region.project_id == bindparam("project"),
    ).scalar_subquery()


_LIVE = select(live_leases())


def holds_all_it_may(session: Session, project: Project | Campaign, annotator_id: int, now: datetime) -> bool:
    """Whether an annotator holds as many regions of a project as one may."""
    values = {"annotator": annotator_id, "now": now, "project": project.id}
    most: int = setting(project.settings, "max_held")
    return (session.scalar(_LIVE, values) or 0) >= most


def within_share(
    session: Session,
    project_id: int,
    settings: Mapping[str, Any],
    annotator_id: int,
    free: Sequence[tuple[Any, Any]],
    *,
    now: datetime,
) -> tuple[list[tuple[Any, Any]], int]:
    """Those of the free regions, as rows and seats, that leave the annotator's share of a round below what it may be.

    And the number of the newest round of which there is no more for them, 0 without one. A share is never below what there is for
    each where all active annotators of the project take part; what is urgent is for anybody.
    """
    rounds = {row.round_id for row, _ in free if row.priority == 0}
    left = {round_id: _share_left(session, project_id, settings, annotator_id, round_id, now) for round_id in rounds}
    kept, full = list[tuple[Any, Any]](), 0
    for row, seat in free:
        if row.priority == 0:
            if left[row.round_id] <= 0:
                full = max(full, row.round_number)
                continue
            left[row.round_id] -= 1
        kept.append((row, seat))
    return kept, full


def _share_left(
    session: Session, project_id: int, settings: Mapping[str, Any], annotator_id: int, round_id: int, now: datetime
) -> int:
    people = select(func.count()).select_from(Membership).join(Annotator, Membership.annotator_id == Annotator.id)
    people = people.where(Membership.project_id == project_id, Annotator.active, Membership.paused_at.is_(None))
    people = people.where(Membership.role == "annotator")
    asked = select(func.count(), func.coalesce(func.sum(Region.overlap), 0)).where(Region.round_id == round_id)
    regions, labels = session.execute(asked).one()
    each: int = math.ceil(labels / max(1, session.scalar(people) or 0))
    held = exists().where(
        Lease.region_id == Region.id,
        Lease.annotator_id == annotator_id,
        or_(Lease.end == "labelled", and_(Lease.ended_at.is_(None), Lease.expires_at > now)),
    )
    has = select(func.count()).where(Region.round_id == round_id, or_(held, has_drawn(literal(annotator_id))))
    most: int = max(math.ceil(setting(settings, "max_round_share") * regions), each)
    return most - (session.scalar(has) or 0)


def require_skip_left(session: Session, project: Project, round_: Round, annotator_id: int) -> None:
    """Raises Conflict where the annotator has skipped as much of a round, whose row is locked, as one may."""
    allowed = max(LEAST_SKIPS, int(setting(project.settings, "max_skip_share") * round_.size))
    skipped = select(func.count()).select_from(Lease).join(Region, Lease.region_id == Region.id)
    skipped = skipped.where(Lease.annotator_id == annotator_id, Lease.end.in_(SKIPPED), Region.round_id == round_.id)
    done = session.scalar(skipped) or 0
    if done >= allowed:
        sentence = (
            f"You have skipped {done} of the {round_.size} regions of round {round_.number}, as many as one annotator may: ask a "
            "reviewer or an admin to skip this one, or an admin to raise the project's max_skip_share."
        )
        raise Conflict(sentence, code="skip_limit", detail={"skipped": done, "allowed": allowed})
