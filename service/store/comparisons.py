"""Comparisons in the database: labels held against those of others, and against the truth of gold regions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from service.domain import comparing
from service.domain.classes import ClassSet, LabelMap
from service.domain.comparing import Compared, Pooled
from service.domain.masks import decode_label_png
from service.store.names import names_of
from service.tables import Comparison, Image, Label, Project, Region, Round, table_of

BY_HAND = ("annotated", "corrected")
"""The kinds of labels that people drew."""

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two labels of a region, by the annotators who made them."""

    region_id: int
    annotator_id: int
    other_id: int
    compared: Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFigures:
    """How the labels of a region agree: means over pairs of annotators, and the least mIoU of a pair."""

    region_id: int
    round_number: int
    image_id: int
    image_name: str
    pairs: int
    miou: float
    least_miou: float
    pixel_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFigures:
    """How two annotators agree; without another one, how one does with all others together."""

    annotator_id: int
    name: str
    other_id: int | None
    other_name: str | None
    regions: int
    pooled: Pooled


def compare_labels(session: Session, region_ids: Collection[int], annotator_id: int, now: datetime) -> None:
    """Hold the newest label of an annotator of each region against the newest of each other one, if people drew them.

    What their earlier labels of these regions were held against is forgotten. The regions are locked.
    """
    if not region_ids:
        return
    columns = (Label.id, Label.region_id, Label.annotator_id, Label.mask, Region.project_id)
    chosen = select(*columns, Region.height, Region.width, Project.classes).join(Region, Label.region_id == Region.id)
    chosen = chosen.join(Project, Region.project_id == Project.id).order_by(Label.version)
    chosen = chosen.where(Label.region_id.in_(region_ids), Label.kind.in_(BY_HAND), ~Region.gold)
    newest = {(row.region_id, row.annotator_id): row for row in session.execute(chosen)}
    _forget(session, region_ids, annotator_id)
    rows = []
    for region_id in sorted(region_ids):
        mine = newest.get((region_id, annotator_id))
        others = [row for (of, by), row in newest.items() if of == region_id and by != annotator_id]
        if mine is None:
            continue
        for other in others:
            compared = comparing.between(_decoded(mine), _decoded(other), _void(mine.classes))
            if compared is not None:
                rows.append(_row(mine, other, compared, now))
    _write(session, rows)


def hold_against_truth(session: Session, labels: Sequence[Label], now: datetime) -> None:
    """Hold new labels of gold regions, by one annotator, against the truth; earlier ones of theirs count no more."""
    of = {label.region_id: label for label in labels}
    columns = (Region.id, Region.project_id, Region.height, Region.width, Region.truth, Project.classes)
    chosen = select(*columns).join(Project, Region.project_id == Project.id).where(Region.id.in_(of))
    _forget(session, of.keys(), labels[0].annotator_id)
    rows = []
    for row in session.execute(chosen):
        label, size = of[row.id], {"height": row.height, "width": row.width}
        if row.truth is None:
            continue
        truth_HW, label_HW = (_in_todays_ids(row.classes, each, **size) for each in (row.truth, label.mask))
        compared = comparing.against_truth(label_HW, truth_HW, _void(row.classes))
        if compared is not None:
            rows.append({**_values(row.project_id, label, compared, now), "other_label_id": None})
    _write(session, rows)


def _forget(session: Session, region_ids: Collection[int], annotator_id: int) -> None:
    theirs = or_(Comparison.annotator_id == annotator_id, Comparison.other_annotator_id == annotator_id)
    gone = delete(Comparison).where(Comparison.region_id.in_(region_ids), theirs)
    session.execute(gone, execution_options={"synchronize_session": False})


def _decoded(row: Any) -> LabelMap:
    return _in_todays_ids(row.classes, row.mask, height=row.height, width=row.width)


def _in_todays_ids(classes: dict[str, Any], png: bytes, *, height: int, width: int) -> LabelMap:
    """A label map as it is read now: classes may have changed since."""
    return ClassSet.from_json(classes).in_todays_ids(decode_label_png(png, height=height, width=width))


def _void(classes: Mapping[str, Any]) -> int:
    return int(classes.get("ignore_id", 255))


def _values(project_id: int, label: Any, compared: Compared, now: datetime) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "region_id": label.region_id,
        "label_id": label.id,
        "annotator_id": label.annotator_id,
        "other_annotator_id": None,
        "miou": compared.miou,
        "pixel_accuracy": compared.pixel_accuracy,
        "by_class": {str(id): list(overlap) for id, overlap in compared.by_class.items()},
        "created_at": now,
    }


def _row(mine: Any, other: Any, compared: Compared, now: datetime) -> dict[str, Any]:
    values = _values(mine.project_id, mine, compared, now)
    return {**values, "other_label_id": other.id, "other_annotator_id": other.annotator_id}


def _write(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.execute(insert(table_of(Comparison)), rows)


def compared_of(row: Any) -> Compared:
    """What a row of comparisons says."""
    by_class = {int(id): (overlap[0], overlap[1]) for id, overlap in row.by_class.items()}
    return Compared(by_class=by_class, miou=row.miou, pixel_accuracy=row.pixel_accuracy)


def pairs(session: Session, project_id: int, *, of: int | None = None) -> Iterator[Pair]:
    """All pairs of labels of a project, or those with one `of` an annotator; without gold regions. Some are read at a time."""
    columns = (Comparison.id, Comparison.region_id, Comparison.annotator_id, Comparison.other_annotator_id)
    chosen = select(*columns, Comparison.miou, Comparison.pixel_accuracy, Comparison.by_class)
    chosen = chosen.where(_between_people(project_id, of)).order_by(Comparison.id).limit(_AT_ONCE)
    after = 0
    while rows := session.execute(chosen.where(Comparison.id > after)).all():
        for row in rows:
            yield Pair(
                region_id=row.region_id,
                annotator_id=row.annotator_id,
                other_id=row.other_annotator_id or 0,
                compared=compared_of(row),
            )
        after = rows[-1].id


def pooled(session: Session, project_id: int, *, of: int | None = None) -> Pooled:
    """All of `pairs` together."""
    return Pooled.of(pair.compared for pair in pairs(session, project_id, of=of))


def pair_figures(session: Session, project_id: int, *, of: int | None = None) -> list[PairFigures]:
    """Each two annotators whose labels were held against each other, or one `of` them with all others together."""
    found: dict[tuple[int, int | None], tuple[Pooled, set[int]]] = {}
    for pair in pairs(session, project_id, of=of):
        low, high = sorted((pair.annotator_id, pair.other_id))
        figures, regions = found.setdefault((low, high) if of is None else (of, None), (Pooled(), set()))
        figures.add(pair.compared)
        regions.add(pair.region_id)
    ids = {id for key in found for id in key if id is not None}
    names = names_of(session, ids)
    return [
        PairFigures(
            annotator_id=one,
            name=names[one],
            other_id=other,
            other_name=None if other is None else names[other],
            regions=len(regions),
            pooled=figures,
        )
        for (one, other), (figures, regions) in sorted(found.items(), key=lambda each: (each[0][0], each[0][1] or 0))
    ]


def _between_people(project_id: int, of: int | None) -> ColumnElement[bool]:
    people = and_(Comparison.project_id == project_id, Comparison.other_annotator_id.is_not(None))
    if of is None:
        return people
    return and_(people, or_(Comparison.annotator_id == of, Comparison.other_annotator_id == of))


def region_figures(
    session: Session, project_id: int, *, of: int | None, worst_first: bool, limit: int, after: int
) -> list[RegionFigures]:
    """Agreement by region: by numbers above `after`, or worst first, `after` so many."""
    miou = func.avg(Comparison.miou).label("miou")
    figures = (func.count().label("pairs"), miou, func.min(Comparison.miou).label("least"))
    accuracy = func.avg(Comparison.pixel_accuracy).label("pixel_accuracy")
    grouped: Any = select(Comparison.region_id, *figures, accuracy).where(_between_people(project_id, of))
    if worst_first:
        grouped = grouped.order_by(miou, Comparison.region_id).offset(after)
    else:
        grouped = grouped.where(Comparison.region_id > after).order_by(Comparison.region_id)
    part = grouped.group_by(Comparison.region_id).limit(limit).subquery()
    chosen = select(part, Region.image_id, Image.name.label("image_name"), Round.number.label("round_number"))
    chosen = chosen.join(Region, Region.id == part.c.region_id).join(Image, Region.image_id == Image.id)
    chosen = chosen.join(Round, Region.round_id == Round.id)
    order = (part.c.miou, part.c.region_id) if worst_first else (part.c.region_id,)
    return [
        RegionFigures(
            region_id=row.region_id,
            round_number=row.round_number,
            image_id=row.image_id,
            image_name=row.image_name,
            pairs=row.pairs,
            miou=row.miou,
            least_miou=row.least,
            pixel_accuracy=row.pixel_accuracy,
        )
        for row in session.execute(chosen.order_by(*order))
    ]
