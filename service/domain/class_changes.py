"""How a project's classes change while labels exist: renamed, recoloured, added, merged, removed, and all that taken back.

A class keeps its id and its place for ever; one that goes is retired, and says what became of it. So every label map, however
old, is read by the classes of today (`ClassSet.to_indices`), and whatever was kept class by class still stands in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.domain.classes import ClassSet, Color, LabelClass, RetiredClass


class ChangeRefused(ValueError):
    """The classes cannot change so; the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A class at its place. `into`: of one that is retired, what became of it."""

    known: LabelClass
    retired: bool = False
    into: int | None = None

    @property
    def aspects(self) -> tuple[object, ...]:
        """What may change of it: its name, its colour, and what its pixels are of."""
        return self.known.name, self.known.color, (self.retired, self.into)


def renamed(classes: ClassSet, class_id: int, name: str) -> ClassSet:
    """Another name of a class. Label maps do not say names, so nothing else changes."""
    each = class_of(classes, class_id)
    return _with(classes, {class_id: _Standing(known=_called(each, name))})


def recoloured(classes: ClassSet, class_id: int, color: Color) -> ClassSet:
    """Another colour of a class."""
    return _with(classes, {class_id: _Standing(known=replace(class_of(classes, class_id), color=color))})


def added(classes: ClassSet, *, name: str, color: Color, class_id: int | None = None) -> ClassSet:
    """One class more, behind all others; without an id of its own, of the next that is free. Labels stay as they are."""
    taken = {*classes.known_ids, classes.ignore_id}
    if class_id is None:
        after = max(classes.known_ids) + 1
        free = [each for each in (*range(after, 256), *range(256)) if each not in taken]
        if not free:
            raise ChangeRefused("no_id_left", "There is no id left from 0 to 255: merge classes into those there are.")
        class_id = free[0]
    elif class_id in taken:
        raise ChangeRefused(
            "id_taken",
            f"The id {class_id} is that of a class, of a class that was, or of ignored pixels, and never another's: leave it "
            "out for the next that is free.",
        )
    standing = _by_place(classes) | {class_id: _Standing(known=LabelClass(id=class_id, name=name, color=color))}
    return _set(standing, classes)


def merged(classes: ClassSet, class_ids: Sequence[int], into: int) -> ClassSet:
    """Classes become part of another: their pixels are its from now on."""
    return _retired(classes, class_ids, into)


def removed(classes: ClassSet, class_id: int, into: int | None) -> ClassSet:
    """A class goes: its pixels are those of another class, or ignored."""
    return _retired(classes, [class_id], into)


def reverted(classes: ClassSet, before: ClassSet, after: ClassSet) -> ClassSet:
    """`classes` as if the change from `before` to `after` had not been made; later changes of something else stay.

    Raises ChangeRefused where the same of a class was changed again since: that is to be taken back first.
    """
    then, made, now = _by_place(before), _by_place(after), _by_place(classes)
    wanted: dict[int, _Standing] = {}
    for class_id, standing in made.items():
        earlier, held = then.get(class_id, replace(standing, retired=True)), now[class_id]
        turned = [each != other for each, other in zip(earlier.aspects, standing.aspects, strict=True)]
        if any(
            turn and each != other for turn, each, other in zip(turned, held.aspects, standing.aspects, strict=True)
        ):
            sentence = f"Class {held.known.name} was changed again since: take that change back first."
            raise ChangeRefused("changed_since", sentence)
        known = _called(held.known, earlier.known.name) if turned[0] else held.known
        known = replace(known, color=earlier.known.color) if turned[1] else known
        wanted[class_id] = replace(earlier if turned[2] else held, known=known)
    return _with(classes, wanted)


def moved_places(before: ClassSet, after: ClassSet) -> list[int]:
    """Places of the classes whose pixels are of another class, or of none, by `after`, and were not by `before`."""
    return [
        place for place, class_id in enumerate(_by_place(before)) if before.now_of(class_id) != after.now_of(class_id)
    ]


def carried_from(then: ClassSet, now: ClassSet) -> list[tuple[int, ...]] | None:
    """Of each class of `now` the indices of those of `then` that a network has for it: several, where they were merged.

    Of a class that had been part of another, that; none for one that is new. None where both have the same classes. Raises
    ValueError where `then` are not classes that `now` has, or had.
    """
    if not now.changes:
        if then.names != now.names:
            raise ValueError("The classes are others.")
        return None
    entries = _by_place(now)
    for each in then.classes:
        standing = entries.get(each.id)
        if standing is None or not {each.name, *each.was} & {standing.known.name, *standing.known.was}:
            raise ValueError(f"Class {each.name} is none of theirs.")
    if then.ids == now.ids and _became(then) == _became(now):
        return None
    index_of = {class_id: index for index, class_id in enumerate(then.ids)}
    carried = []
    for class_id in now.ids:
        own = tuple(index for each, index in index_of.items() if now.now_of(each) == class_id)
        part_of = index_of.get(then.now_of(class_id))
        carried.append(own or (() if part_of is None else (part_of,)))
    return carried


def reads(classes: ClassSet, theirs: ClassSet) -> bool:
    """Whether label maps of other classes can be read by these: they are the same, or were, before these were changed."""
    if not classes.changes:
        return classes == theirs.without_history()
    entries = _by_place(classes)
    known = ((entries[each.id].known if each.id in entries else None, each) for each in theirs.classes)
    named = all(ours is not None and {each.name, *each.was} & {ours.name, *ours.was} for ours, each in known)
    return named and classes.ignore_id == theirs.ignore_id


def named_so(names: Sequence[str], now: ClassSet) -> ClassSet:
    """Classes of which names alone are known, in their order, as `now` has them, or had. Raises ValueError for a stranger."""
    known = {name: e.known for e in _by_place(now).values() for name in (*e.known.was, e.known.name)}
    strangers = [name for name in names if name not in known]
    if strangers:
        raise ValueError(f"Class {strangers[0]} is none of theirs.")
    return ClassSet(classes=tuple(replace(known[name], name=name) for name in names), ignore_id=now.ignore_id)


def _became(classes: ClassSet) -> dict[int, int]:
    return {each.id: classes.now_of(each.id) for each in classes.retired}


def class_of(classes: ClassSet, class_id: int) -> LabelClass:
    """The class of this id. Raises ChangeRefused where there is none."""
    for each in classes.classes:
        if each.id == class_id:
            return each
    known = ", ".join(f"{each.id} {each.name}" for each in classes.classes)
    raise ChangeRefused("no_class", f"There is no class {class_id}; there are {known}.")


def _called(each: LabelClass, name: str) -> LabelClass:
    earlier = dict.fromkeys((*each.was, each.name))
    return replace(each, name=name, was=tuple(known for known in earlier if known != name))


def _retired(classes: ClassSet, class_ids: Sequence[int], into: int | None) -> ClassSet:
    if into is not None:
        class_of(classes, into)
        if into in class_ids:
            raise ChangeRefused("into_itself", f"Class {into} cannot become part of itself: leave it out.")
    gone = {each: _Standing(known=class_of(classes, each), retired=True, into=into) for each in class_ids}
    return _with(classes, gone)


def _by_place(classes: ClassSet) -> dict[int, _Standing]:
    """By id, in the order of places, every class that there is or was."""
    found = {place: _Standing(known=each) for place, each in zip(classes.places, classes.classes, strict=True)} | {
        each.place: _Standing(known=_plain(each), retired=True, into=each.into) for each in classes.retired
    }
    return {found[place].known.id: found[place] for place in sorted(found)}


def _plain(each: RetiredClass) -> LabelClass:
    return LabelClass(id=each.id, name=each.name, color=each.color, was=each.was)


def _with(classes: ClassSet, changed: dict[int, _Standing]) -> ClassSet:
    return _set(_by_place(classes) | changed, classes)


def _set(standing: dict[int, _Standing], before: ClassSet) -> ClassSet:
    """Raises ChangeRefused where the classes would contradict each other."""
    retired = [
        RetiredClass(id=e.known.id, name=e.known.name, color=e.known.color, was=e.known.was, into=e.into, place=place)
        for place, e in enumerate(standing.values())
        if e.retired
    ]
    try:
        return ClassSet(
            classes=tuple(each.known for each in standing.values() if not each.retired),
            ignore_id=before.ignore_id,
            retired=tuple(retired),
            changes=before.changes + 1,
        )
    except ValueError as error:
        raise ChangeRefused("bad_classes", str(error)) from error
