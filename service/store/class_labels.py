"""Labels that a change of classes concerns: which they are, which became others by it, which were drawn since."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from service.domain.class_changes import moved_places
from service.domain.classes import ClassSet
from service.store.migrated import MIGRATED
from service.store.pool import latest_labels
from service.tables import ClassChange, Image, Label, Region, table_of

Each = TypeVar("Each")
_AT_ONCE = 1000  # databases bound the parameters of a statement, and masks are held by so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A labelled region, the version that counts, and the label that a person drew, which that was made from or is.

    `counts`: pixels of the drawn label, as they are kept.
    """

    region_id: int
    height: int
    width: int
    version: int
    drawn_id: int
    counts: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """The versions that count, by region, and which of them a change concerns."""

    versions: Mapping[int, int]
    concerned: Sequence[Drawn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """A version that a change of classes makes of a drawn label."""

    drawn: Drawn
    mask: bytes
    digest: str
    class_counts: list[int]


def counting(session: Session, project_id: int, before: ClassSet, after: ClassSet) -> Counting:
    """All labels that count, but for those of gold regions, and which hold pixels that are read differently by `after`."""
    if not moved_places(before, after):
        return Counting(versions={}, concerned=())
    return Counting(versions=_versions(session, project_id), concerned=_concerned(session, project_id, before, after))


def still_concerned(
    session: Session, project_id: int, before: ClassSet, after: ClassSet, looked_at: Counting
) -> list[Drawn]:
    """The labels that a change concerns now, by their regions' ids; of what was looked at before, only what is new is read."""
    if not moved_places(before, after):
        return []
    now = _versions(session, project_id)
    same = [each for each in looked_at.concerned if now.get(each.region_id) == each.version]
    late = [id for id, version in now.items() if looked_at.versions.get(id) != version]
    found = [each for part in in_parts(late) for each in _concerned(session, project_id, before, after, part)]
    return sorted([*same, *found], key=lambda each: each.region_id)


def _versions(session: Session, project_id: int) -> dict[int, int]:
    chosen = select(Label.region_id, func.max(Label.version)).join(Region, Label.region_id == Region.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Region.gold.is_(False))
    return dict(session.execute(chosen.group_by(Label.region_id)).all())


def _concerned(
    session: Session, project_id: int, before: ClassSet, after: ClassSet, among: Sequence[int] | None = None
) -> list[Drawn]:
    """In the order of the regions; of those `among` the ids, where these are given."""
    moved = moved_places(before, after)
    columns = select(
        Region.id,
        Region.height,
        Region.width,
        Label.id,
        Label.version,
        Label.kind,
        Label.corrects_id,
        Label.class_counts,
    )
    chosen = latest_labels(columns).where(Region.project_id == project_id, Region.state == "labelled")
    chosen = chosen.where(Region.gold.is_(False))
    chosen = chosen if among is None else chosen.where(Region.id.in_(among))
    rows = session.execute(chosen.order_by(Region.id)).all()
    earlier = _counts(session, [row.corrects_id for row in rows if row.kind == MIGRATED])
    found = []
    for id, height, width, label_id, version, kind, corrects_id, counts in rows:
        drawn_id = corrects_id if kind == MIGRATED else label_id
        counts = earlier[drawn_id] if kind == MIGRATED else counts
        if any(counts[place] for place in moved if place < len(counts)):
            found.append(
                Drawn(
                    region_id=id, height=height, width=width, version=version, drawn_id=drawn_id, counts=tuple(counts)
                )
            )
    return found


def _counts(session: Session, label_ids: Sequence[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for part in in_parts(label_ids):
        found.update(session.execute(select(Label.id, Label.class_counts).where(Label.id.in_(part))).all())
    return found


def in_parts(listed: Sequence[Each]) -> Iterator[Sequence[Each]]:
    """Ids or what has them, some at a time."""
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]


def masks(session: Session, label_ids: Sequence[int]) -> dict[int, bytes]:
    """Label maps, 8-bit PNGs of class ids, by the labels' numbers."""
    chosen = select(Label.id, Label.mask).where(Label.id.in_(label_ids))
    return dict(session.execute(chosen).all())


def whole_label_maps(session: Session, project_id: int) -> list[tuple[str, int, int]]:
    """(key, height, width) of the label maps of a project's images."""
    chosen = select(Image.label_key, Image.height, Image.width).where(Image.project_id == project_id)
    rows = session.execute(chosen.where(Image.label_key.is_not(None)).order_by(Image.id))
    return [(key, height, width) for key, height, width in rows if key is not None]


_ADD = table_of(Label).insert().returning(table_of(Label).c.id)


def add_versions(session: Session, made: Sequence[Migrated], by: int, now: Any) -> list[int]:
    """Write new versions, one of each region; returns their numbers. The regions are locked."""
    numbers: list[int] = []
    for start in range(0, len(made), _AT_ONCE):
        rows = [
            {
                "region_id": each.drawn.region_id,
                "annotator_id": by,
                "version": each.drawn.version + 1,
                "mask": each.mask,
                "digest": each.digest,
                "class_counts": each.class_counts,
                "kind": MIGRATED,
                "corrects_id": each.drawn.drawn_id,
                "created_at": now,
            }
            for each in made[start : start + _AT_ONCE]
        ]
        numbers += session.connection().execute(_ADD, rows).scalars()
    return numbers


def left_by(session: Session, change: ClassChange) -> list[int]:
    """Regions that the change made new versions of and that somebody has labelled since, by their ids."""
    made = aliased(Label)
    return list(session.scalars(_since(select(made.region_id), made, change).order_by(made.region_id)))


def regions_of_change(session: Session, change: ClassChange, *, limit: int, after: int) -> list[tuple[int, int]]:
    """(region, pixels), most pixels first, but for the first `after`, of the labelled regions that a change is about.

    Of an addition those with pixels of the classes that it was part of; of what migrated labels the regions of those, with their
    pixels of the classes that moved; of a reversal the regions that were labelled since, and were left so.
    """
    told = change.change
    if told["kind"] == "add":
        places = _places(ClassSet.from_json(change.classes_after), told["from"])
        if not places:
            return []
        pixels = class_pixels(Label, places)
        chosen = latest_labels(select(Region.id, pixels.label("pixels"))).where(
            Region.project_id == change.project_id, Region.state == "labelled", Region.gold.is_(False), pixels > 0
        )
        return _page(session, chosen, Region.id, limit=limit, after=after)
    about = change if change.reverts is None else _number(session, change.project_id, change.reverts)
    moved = moved_places(ClassSet.from_json(about.classes_before), ClassSet.from_json(about.classes_after))
    if not moved:
        return []
    made, drawn = aliased(Label), aliased(Label)
    columns: Any = select(made.region_id, class_pixels(drawn, moved).label("pixels"))
    columns = columns.join(drawn, drawn.id == made.corrects_id)
    chosen = _made_by(columns, made, about) if change.reverts is None else _since(columns, made, about)
    return _page(session, chosen, made.region_id, limit=limit, after=after)


def _page(session: Session, chosen: Select[Any], by: Any, *, limit: int, after: int) -> list[tuple[int, int]]:
    # In one order on every page, for places in it are what pages go by.
    ordered = chosen.order_by(chosen.selected_columns["pixels"].desc(), by).offset(after).limit(limit)
    return [(region_id, pixels) for region_id, pixels in session.execute(ordered)]


def _made_by(columns: Select[Any], made: Any, change: ClassChange) -> Select[Any]:
    first, last = change.change.get("first_label", 0), change.change.get("last_label", -1)
    chosen = columns.join(Region, Region.id == made.region_id).where(Region.project_id == change.project_id)
    # Not the bare number: PostgreSQL, as long as it has counted nothing, would look through the whole range for each region.
    number = made.id + 0
    return chosen.where(made.kind == MIGRATED, number >= first, number <= last)


def _since(columns: Select[Any], made: Any, change: ClassChange) -> Select[Any]:
    later = aliased(Label)
    drawn_since = select(later.id).where(
        later.region_id == made.region_id, later.version > made.version, later.kind != MIGRATED
    )
    return _made_by(columns, made, change).where(drawn_since.exists())


def class_pixels(label: Any, places: Sequence[int]) -> ColumnElement[int]:
    """Pixels of a label, or an alias of labels, at these places of kept counts, as a part of a statement."""
    total: Any = 0
    for place in places:
        total = total + func.coalesce(label.class_counts[place].as_integer(), 0)
    return total  # type: ignore[no-any-return]


def _places(classes: ClassSet, class_ids: Sequence[int]) -> list[int]:
    by_id: Mapping[int, int] = dict(zip(classes.ids, classes.places, strict=True))
    return [by_id[each] for each in class_ids]


def _number(session: Session, project_id: int, number: int) -> ClassChange:
    chosen = select(ClassChange).where(ClassChange.project_id == project_id, ClassChange.number == number)
    return session.scalars(chosen).one()
