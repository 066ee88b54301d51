"""Hints on a region, as those see them who may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.classes import ClassSet
from service.domain.gold import GOLD
from service.errors import Forbidden
from service.store import gold_views, regions
from service.tables import Label, Lease, Project, RegionHints, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What is known of a region, the strategy that asked for it, and the project's classes."""

    strategy: str | None
    checkpoint_id: int | None
    uncertainty: bytes | None
    features: bytes | None
    described: Mapping[str, Any]
    classes: ClassSet


def hints_of(session: Session, region_id: int, viewer_id: int, *, own: int | None, now: datetime) -> Hints:
    """Hints on a region; without any, where nothing was predicted of it. own: the annotator who sees what they hold alone.

    Raises Forbidden for an annotator who does not hold the region; to one who has labelled it before they are not shown
    either, for those on gold regions go on changing when others' do no more.
    """
    placed = regions.get_region(session, region_id)
    if own is not None:
        _require_held(session, region_id, own, now)
    if placed.state == GOLD:
        placed = gold_views.seen(session, placed, viewer_id, own=own, now=now).placed
    asked = select(Round.strategy, Project.classes).join(Project, Round.project_id == Project.id)
    numbered = asked.where(Round.project_id == placed.project_id, Round.number == placed.round_number)
    strategy, classes = session.execute(numbered).one()
    chosen = select(RegionHints).where(RegionHints.region_id == region_id)
    if own is not None:
        drawn = select(Label.id).where(Label.region_id == region_id, Label.annotator_id == own)
        chosen = chosen.where(~drawn.exists())
    found = session.scalars(chosen).one_or_none()
    return Hints(
        strategy=strategy,
        checkpoint_id=None if found is None else found.checkpoint_id,
        uncertainty=None if found is None else found.uncertainty,
        features=None if found is None else found.features,
        described={} if found is None else found.described,
        classes=ClassSet.from_json(classes),
    )


def _require_held(session: Session, region_id: int, annotator_id: int, now: datetime) -> None:
    lasting = select(Lease.id).where(Lease.region_id == region_id, Lease.annotator_id == annotator_id)
    if session.scalar(lasting.where(Lease.ended_at.is_(None), Lease.expires_at > now)) is None:
        raise Forbidden(
            f"You do not hold region {region_id}: hints are for whoever labels it at the moment.", code="not_given"
        )
