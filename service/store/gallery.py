"""Regions to look through: those that rounds have asked for, by what became of them and of their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.domain.classes import ClassSet
from service.domain.gold import GOLD
from service.domain.label_kinds import DRAWN
from service.errors import Invalid
from service.store.answers import Answers, answers_of
from service.store.class_labels import class_pixels
from service.store.names import names_of
from service.store.pool import latest_labels
from service.store.regions import PLACED, Placed, placed
from service.tables import Comparison, Image, Label, Region, Round

Order = Literal["newest", "value", "disagreement"]

LOOKED_THROUGH = 20_000
"""Regions that are held against what is sought of labels for one page: it may be short, and the next one goes on."""

_LEAST = func.min(Comparison.miou)
_BETWEEN_PEOPLE = Comparison.other_annotator_id.is_not(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which regions to list; None: any.

    `share`: of the class, the least part of the region's pixels in the label that counts. `disagreement`: the least of 1 - mIoU
    of the two labels that agree least.
    """

    round_number: int | None = None
    state: str | None = None
    class_id: int | None = None
    share: float = 0.0
    annotator_id: int | None = None
    disagreement: float | None = None
    order: Order = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A region, the strategy of its round, the label that counts, who drew labels of it, and the least mIoU of two of them."""

    placed: Placed
    strategy: str | None
    label: Label | None
    authors: Sequence[str]
    labels: int
    least_miou: float | None


def regions_of(
    session: Session, project_id: int, sought: Sought, classes: ClassSet, *, limit: int, after: int
) -> tuple[list[Shown], int | None]:
    """A page of a project's regions, after the region of the number `after`, and after which the next one goes on.

    Gold regions are not among them. Raises Invalid for a class that there is not, and where `after` is none of the project.
    """
    numbered, key = _numbered(project_id, sought.order)
    parts = numbered.where(*_plain(sought)).order_by(key.desc(), Region.id.desc())
    if after:
        parts = parts.where(_later(session, numbered, key, after))
    conditions = _conditions(sought, classes)
    if not conditions:
        ids = list(session.scalars(parts.limit(limit + 1)))
        return _shown(session, ids[:limit]), ids[limit - 1] if len(ids) > limit else None
    ids = list(session.scalars(_among(parts.limit(LOOKED_THROUGH), conditions).limit(limit + 1)))
    last = session.scalar(parts.offset(LOOKED_THROUGH - 1).limit(1)) if len(ids) <= limit else ids[limit - 1]
    return _shown(session, ids[:limit]), last


def _numbered(project_id: int, order: Order) -> tuple[Select[Any], Any]:
    """Numbers of a project's regions with the keys that they are ordered by, largest first; and the key."""
    # By way of the rounds, newest first: those of a project stand in an index, and so do the regions of each.
    chosen = select(Region.id).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Round.project_id == project_id, Round.state != GOLD)
    key: Any = Round.number if order == "newest" else Region.score
    if order == "disagreement":
        compared = select(Comparison.region_id, _LEAST.label("least")).where(_BETWEEN_PEOPLE)
        compared = compared.where(Comparison.project_id == project_id).group_by(Comparison.region_id)
        part = compared.subquery()
        chosen, key = chosen.join(part, part.c.region_id == Region.id), 1 - part.c.least
    return chosen.add_columns(key.label("key")), key


def _plain(sought: Sought) -> list[ColumnElement[bool]]:
    """What is sought of a region's own row."""
    found: list[ColumnElement[bool]] = [Region.gold.is_(False)]
    if sought.round_number is not None:
        found.append(Round.number == sought.round_number)
    if sought.state is not None:
        found.append(Region.state == sought.state)
    return found


def _later(session: Session, numbered: Select[Any], key: Any, after: int) -> ColumnElement[bool]:
    """Whether a region comes after another one, which the page before has ended with."""
    last = session.execute(numbered.where(Region.id == after)).one_or_none()
    if last is None:
        sentence = f"There is no region {after} to go on after any more: begin again with the first page."
        raise Invalid(sentence, code="bad_after", detail={"after": after})
    return and_(key <= last.key, or_(key < last.key, Region.id < after))


def _among(parts: Select[Any], conditions: Sequence[ColumnElement[bool]]) -> Any:
    part: Any = parts.subquery()
    chosen = latest_labels(select(Region.id)).join(part, part.c.id == Region.id).where(*conditions)
    return chosen.order_by(part.c.key.desc(), Region.id.desc())


def _conditions(sought: Sought, classes: ClassSet) -> list[ColumnElement[bool]]:
    """What is sought of labels."""
    found: list[ColumnElement[bool]] = []
    if sought.class_id is not None:
        pixels: Any = class_pixels(Label, _places_of(classes, sought.class_id))
        found += [pixels > 0, pixels >= sought.share * Region.height * Region.width]
    if sought.annotator_id is not None:
        label = aliased(Label)
        theirs = (label.annotator_id == sought.annotator_id, label.kind.in_((*DRAWN, "corrected")))
        found.append(exists().where(label.region_id == Region.id, *theirs))
    if sought.disagreement is not None:
        least = select(_LEAST).where(Comparison.region_id == Region.id, _BETWEEN_PEOPLE).correlate(Region)
        found.append(1 - least.scalar_subquery() >= sought.disagreement)
    return found


def _places_of(classes: ClassSet, class_id: int) -> list[int]:
    """Where pixels stand in kept counts that are of a class now."""
    if class_id not in classes.ids:
        known = ", ".join(f"{each.id} ({each.name})" for each in classes.classes)
        raise Invalid(f"There is no class {class_id}; there are {known}.", code="no_class")
    places = dict(zip(classes.ids, classes.places, strict=True))
    gone = [each.place for each in classes.retired if classes.now_of(each.id) == class_id]
    return [places[class_id], *gone]


def _shown(session: Session, ids: Sequence[int]) -> list[Shown]:
    """What is shown of regions, in the order of their numbers here; a handful of statements for all of them."""
    chosen = select(*PLACED, Round.strategy).join(Round, Region.round_id == Round.id)
    chosen = chosen.join(Image, Region.image_id == Image.id).where(Region.id.in_(ids))
    rows = {row.id: row for row in session.execute(chosen)}
    answers = answers_of(session, ids)
    compared = select(Comparison.region_id, _LEAST).where(Comparison.region_id.in_(ids), _BETWEEN_PEOPLE)
    least = dict(session.execute(compared.group_by(Comparison.region_id)).all())
    drew = {id: _authors(answers[id]) for id in ids}
    names = names_of(session, {each for authors in drew.values() for each in authors})
    return [
        Shown(
            placed=placed(rows[id]),
            strategy=rows[id].strategy,
            label=answers[id].counting,
            authors=[names[each] for each in drew[id]],
            labels=len(answers[id].versions),
            least_miou=least.get(id),
        )
        for id in ids
    ]


def _authors(answers: Answers) -> list[int]:
    drawn = [each.annotator_id for each in answers.versions if each.kind in (*DRAWN, "corrected")]
    return list(dict.fromkeys(drawn))
