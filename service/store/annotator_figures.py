"""Figures of the annotators of a project: how much they label, in which time, and how it compares."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.domain.comparing import Compared, Pooled
from service.domain.statistics import t_interval
from service.store import comparisons, pauses
from service.tables import Annotator, Label, Lease, Membership, Region

NEWEST = 1000
"""Labels of an annotator that times are taken from, and gold regions that accuracy is."""
_MOST_TREND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of an annotator's newest labels: regions an hour of work, the median of seconds, and seconds left out as idle."""

    regions_per_hour: float | None
    median_seconds: float | None
    idle_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldFigures:
    """How an annotator's labels of gold regions compare with the truth.

    `interval`: 95 %, of the mean of the regions' mIoU. `trend`: pooled mIoU of one window after the other, oldest first.
    """

    pooled: Pooled
    interval: tuple[float, float] | None
    trend: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorFigures:
    """An annotator of a project, a member or one who was. `regions` have a label of theirs, `labels` counts versions."""

    annotator_id: int
    name: str
    role: str | None
    regions: int
    labels: int
    skips: int
    pace: Pace
    agreement: Pooled
    gold: GoldFigures | None
    paused_at: datetime | None
    pause_reason: str | None


def annotator_figures(
    session: Session, project_id: int, *, only: int | None, gold_window: int | None, limit: int, after: int
) -> list[AnnotatorFigures]:
    """Members and whoever has labelled, by number above `after`, or `only` one. Gold where its window is given."""
    people = _people(session, project_id, only=only, limit=limit, after=after)
    ids = [annotator.id for annotator, _ in people]
    labelled, skipped = _labelled(session, project_id, ids), _skipped(session, project_id, ids)
    agreement = _agreement(session, project_id, ids, only)
    return [
        AnnotatorFigures(
            annotator_id=annotator.id,
            name=annotator.name,
            role=None if member is None else member.role,
            regions=labelled.get(annotator.id, (0, 0))[0],
            labels=labelled.get(annotator.id, (0, 0))[1],
            skips=skipped.get(annotator.id, 0),
            pace=_pace(session, project_id, annotator.id),
            agreement=agreement[annotator.id],
            gold=None if gold_window is None else _gold(session, project_id, annotator.id, gold_window),
            paused_at=None if member is None else member.paused_at,
            pause_reason=None if member is None else member.pause_reason,
        )
        for annotator, member in people
    ]


def _people(
    session: Session, project_id: int, *, only: int | None, limit: int, after: int
) -> list[tuple[Annotator, Membership | None]]:
    member = (Membership.annotator_id == Annotator.id) & (Membership.project_id == project_id)
    label = select(Label.id).join(Region, Label.region_id == Region.id)
    label = label.where(Label.annotator_id == Annotator.id, Region.project_id == project_id)
    chosen = select(Annotator, Membership).outerjoin(Membership, member)
    chosen = chosen.where(Annotator.id > after, or_(Membership.id.is_not(None), label.exists()))
    if only is not None:
        chosen = chosen.where(Annotator.id == only)
    return [(row[0], row[1]) for row in session.execute(chosen.order_by(Annotator.id).limit(limit))]


def _labelled(session: Session, project_id: int, ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Regions and versions of labels."""
    chosen = select(Label.annotator_id, func.count(Label.region_id.distinct()), func.count())
    chosen = chosen.join(Region, Label.region_id == Region.id).where(Region.project_id == project_id)
    rows = session.execute(chosen.where(Label.annotator_id.in_(ids)).group_by(Label.annotator_id))
    return {row[0]: (row[1], row[2]) for row in rows}


def _skipped(session: Session, project_id: int, ids: Collection[int]) -> dict[int, int]:
    chosen = select(Lease.annotator_id, func.count()).join(Region, Lease.region_id == Region.id)
    chosen = chosen.where(Region.project_id == project_id, Lease.end == "skipped", Lease.annotator_id.in_(ids))
    return {row[0]: row[1] for row in session.execute(chosen.group_by(Lease.annotator_id))}


def _pace(session: Session, project_id: int, annotator_id: int) -> Pace:
    chosen = select(Label.seconds, Label.idle_seconds).join(Region, Label.region_id == Region.id)
    chosen = chosen.where(Region.project_id == project_id, Label.annotator_id == annotator_id)
    rows = session.execute(chosen.order_by(Label.id.desc()).limit(NEWEST)).all()
    timed = [row.seconds for row in rows if row.seconds]
    return Pace(
        regions_per_hour=3600 * len(timed) / sum(timed) if timed else None,
        median_seconds=median(timed) if timed else None,
        idle_seconds=sum(row.idle_seconds or 0.0 for row in rows),
    )


def _agreement(session: Session, project_id: int, ids: Collection[int], only: int | None) -> Mapping[int, Pooled]:
    pooled: defaultdict[int, Pooled] = defaultdict(Pooled)
    for pair in comparisons.pairs(session, project_id, of=only):
        for annotator_id in {pair.annotator_id, pair.other_id} & set(ids):
            pooled[annotator_id].add(pair.compared)
    return pooled


def _gold(session: Session, project_id: int, annotator_id: int, window: int) -> GoldFigures:
    latest = pauses.latest_gold(session, project_id, annotator_id, limit=NEWEST)
    pooled = Pooled.of(latest)
    return GoldFigures(
        pooled=pooled,
        interval=_interval(pooled.mious),
        trend=_trend(latest, window),
    )


def _interval(mious: Sequence[float]) -> tuple[float, float] | None:
    if len(mious) < 2:
        return None
    low, high = t_interval(mious)
    return max(0.0, low), min(1.0, high)


def _trend(latest: Sequence[Compared], window: int) -> list[float]:
    """Of whole windows, which are counted from the newest region back."""
    starts = range(0, min(len(latest) // window, _MOST_TREND) * window, window)
    values = [Pooled.of(latest[start : start + window]).miou for start in starts]
    return [each for each in reversed(values) if each is not None]
