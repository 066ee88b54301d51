"""How far a campaign has come, in a few sums that the database makes: no label map is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, case, func, select
from sqlalchemy.orm import Session, load_only

from service.domain.campaign import DAY, HOUR, Finish, RoundWork, Stretch, finish_of, summed
from service.domain.class_shares import carried, shares
from service.domain.classes import ClassSet
from service.domain.gold import GOLD
from service.domain.methods import IMPORT
from service.schemas.project_settings import ProjectSettings
from service.store.budget import region_areas, regions_left, spent_of
from service.store.class_changes import classes_at
from service.store.rounds import UNFINISHED
from service.tables import Label, Project, Region, Round

Counts = Mapping[int, Mapping[str, int]]
"""By the id of a round its regions in each state."""
Sums = Row[int, int, int, float | None, datetime, datetime]
"""Of a round: its id, labels, those with seconds, these, and the first and the newest moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A round that is not learned from yet, how many of its regions are in which state, and since when it is as it is."""

    number: int
    state: str
    size: int
    regions: Mapping[str, int]
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignProgress:
    """Sums by round, the pace, the budget in whole regions, and shares of classes in the order of those of today.

    spent: asked for and not skipped; labelled: of these, those that are done. Imported regions are in neither.
    """

    points: Sequence[RoundWork]
    running: Sequence[Running]
    labelled: Stretch | None
    budget: int | None
    spent: float
    done: float
    finish: Finish
    classes: ClassSet
    labelled_shares: Sequence[float] | None
    pool_shares: Sequence[float] | None


_COLUMNS = (
    Round.number,
    Round.state,
    Round.size,
    Round.strategy,
    Round.policy_id,
    Round.miou_after,
    Round.class_counts,
    Round.pool_shares,
    Round.class_changes,
    Round.created_at,
    Round.opened_at,
    Round.labelled_at,
    Round.told_at,
)


def progress_of(session: Session, project: Project, now: datetime) -> CampaignProgress:
    """How far the project has come."""
    settings = ProjectSettings.model_validate(project.settings)
    chosen = select(Round).where(Round.project_id == project.id, Round.state != GOLD).order_by(Round.number)
    rounds = session.scalars(chosen.options(load_only(*_COLUMNS))).all()
    counts, work = _region_counts(session, project.id), _label_sums(session, project.id)
    labelled, areas = _stretch(session, project.id, work), region_areas(session, project.id, settings.levels)
    imported = region_areas(session, project.id, settings.levels, imported=True)
    # What was imported nobody was asked for, mostly whole regions.
    regions = sum(counts.get(each.id, {}).get("labelled", 0) for each in rounds if each.strategy != IMPORT)
    asked_for = areas.get("labelled", 0.0) - imported.get("labelled", 0.0)
    left = None
    if settings.budget is not None:
        # Where regions have several sizes, so many as before are asked for in place of a whole one.
        per_whole = regions / asked_for if asked_for > 0 else 1.0
        left = _labels_awaited(session, project.id)
        left += max(0, regions_left(session, project)) * per_whole * settings.overlap
    classes = ClassSet.from_json(project.classes)
    labelled_shares, pool_shares = _class_shares(session, project, rounds, classes)
    return CampaignProgress(
        points=summed(_work(each, counts.get(each.id, {}), work.get(each.id)) for each in rounds if _is_told(each)),
        running=[_running(each, counts.get(each.id, {})) for each in rounds if each.state in UNFINISHED],
        labelled=labelled,
        budget=settings.budget,
        spent=spent_of(areas) - spent_of(imported),
        done=asked_for,
        finish=finish_of(left, labelled, now),
        classes=classes,
        labelled_shares=labelled_shares,
        pool_shares=pool_shares,
    )


def _is_told(round_: Round) -> bool:
    return round_.state == "told"


def _work(round_: Round, regions: Mapping[str, int], sums: Sums | None) -> RoundWork:
    return RoundWork(
        number=round_.number,
        strategy=round_.strategy,
        policy_id=round_.policy_id,
        told_at=round_.told_at,
        regions=regions.get("labelled", 0),
        pixels=sum(round_.class_counts or ()),
        seconds=0.0 if sums is None else sums.seconds or 0.0,
        labels=0 if sums is None else sums.labels,
        untimed=0 if sums is None else sums.labels - sums.timed,
        miou=round_.miou_after,
    )


def _running(round_: Round, regions: Mapping[str, int]) -> Running:
    begun = {"scoring": round_.created_at, "open": round_.opened_at, "labelled": round_.labelled_at}
    return Running(
        number=round_.number, state=round_.state, size=round_.size, regions=regions, since=begun[round_.state]
    )


def _of_rounds(project_id: int, first: int = 0) -> ColumnElement[bool]:
    """Whether a region is of a project's rounds from the id `first` on. By way of these an index has all: no region is read."""
    of_project = select(Round.id).where(Round.project_id == project_id, Round.state != GOLD, Round.id >= first)
    return Region.round_id.in_(of_project)


def _region_counts(session: Session, project_id: int) -> Counts:
    chosen = select(Region.round_id, Region.state, func.count()).where(_of_rounds(project_id))
    found: dict[int, dict[str, int]] = {}
    for round_id, state, count in session.execute(chosen.group_by(Region.round_id, Region.state)):
        found.setdefault(round_id, {})[state] = count
    return found


_DRAWN = Label.kind == "annotated"


def _label_sums(session: Session, project_id: int) -> dict[int, Sums]:
    """By the id of each round with labels that people have drawn, however often: labels, seconds, and when."""
    chosen = select(
        Region.round_id,
        func.count().label("labels"),
        func.count(Label.seconds).label("timed"),
        func.sum(Label.seconds).label("seconds"),
        func.min(Label.created_at).label("first"),
        func.max(Label.created_at).label("newest"),
    )
    chosen = chosen.join(Label, Label.region_id == Region.id).where(_of_rounds(project_id), _DRAWN)
    return {row.round_id: row for row in session.execute(chosen.group_by(Region.round_id))}


def _stretch(session: Session, project_id: int, sums: Mapping[int, Sums]) -> Stretch | None:
    """The last hour and day of labelling."""
    if not sums:
        return None
    newest = max(row.newest for row in sums.values())
    first = min(round_id for round_id, row in sums.items() if row.newest > newest - DAY)
    chosen = select(func.sum(_since(newest - HOUR)), func.count()).join(Region, Label.region_id == Region.id)
    chosen = chosen.where(_of_rounds(project_id, first), _DRAWN, Label.created_at > newest - DAY)
    in_hour, in_day = session.execute(chosen).one()
    return Stretch(first=min(row.first for row in sums.values()), newest=newest, in_hour=in_hour, in_day=in_day)


def _since(moment: datetime) -> ColumnElement[int]:
    return case((Label.created_at > moment, 1), else_=0)


def _labels_awaited(session: Session, project_id: int) -> float:
    """Labels that open regions wait for."""
    missing = case((Region.overlap > Region.answers, Region.overlap - Region.answers), else_=0)
    chosen = select(func.sum(missing)).where(Region.project_id == project_id, Region.state == "open")
    return float(session.scalar(chosen) or 0)


def _class_shares(
    session: Session, project: Project, rounds: Sequence[Round], now: ClassSet
) -> tuple[list[float] | None, list[float] | None]:
    """Of all pixels that rounds were learned from with, and of the pool as the newest round had it that knows.

    Rounds from before a class was taken apart are left out: nobody knows what their pixels were of.
    """
    then = classes_at(session, project, [each.class_changes for each in rounds])
    total = [0.0] * len(now)
    for each in rounds:
        counts = None if each.class_counts is None else carried(each.class_counts, then[each.class_changes], now)
        if counts is not None:
            total = [one + other for one, other in zip(total, counts, strict=True)]
    known = [each for each in rounds if each.pool_shares is not None][-1:]
    pool = [carried(each.pool_shares or (), then[each.class_changes], now) for each in known]
    return shares(total), shares(pool[0]) if pool else None
