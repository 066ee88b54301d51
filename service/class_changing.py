"""Changes a project's classes: what that would do, said beforehand, and then done, to every label or to none."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from service.blobs import BlobMissing, Blobs
from service.db import Database
from service.domain.class_changes import ChangeRefused, reverted
from service.domain.classes import ClassSet
from service.domain.label_forms import in_todays_ids, stored_form
from service.domain.masks import decode_label_png
from service.errors import Conflict, Invalid, Unavailable
from service.store import class_changes as store
from service.store import class_labels
from service.store.class_changes import Ordered, Predicted
from service.store.class_labels import Counting, Drawn, Migrated, in_parts
from service.store.migrated import ClassesChanged
from service.store.projects import get_project
from service.tables import ClassChange

_TRIES = 5
_COMES_FIRST = ("changed_since", "class_in_use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for. `told`: its kind and what it was told; `changed` gives the classes after it, or raises ChangeRefused."""

    told: dict[str, Any]
    changed: Callable[[ClassSet], ClassSet]
    reverts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What a change does: new versions of `labels`, with their pixels by class before and after; `label_maps` of images that

    hold pixels which are read otherwise, `predictions` that wait, and regions that are `left`: labelled since what is taken back.
    """

    labels: int
    pixels_before: dict[str, int]
    pixels_after: dict[str, int]
    label_maps: int
    label_map_pixels: int
    predictions: int
    left: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a change concerns, read at once. `label_maps` are the keys, heights and widths of those of images."""

    labels: Counting
    label_maps: list[tuple[str, int, int]]
    predictions: Sequence[Predicted]
    left: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A change, its effects, and its row; none of one that was only looked at."""

    ordered: Ordered
    effects: Effects
    row: ClassChange | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changer:
    """Changes classes of one project on somebody's behalf."""

    database: Database
    blobs: Blobs
    project_id: int
    by: int
    now: datetime

    def reversal(self, number: int) -> Order:
        """What takes a change back. Raises NotFound."""
        with self.database.read() as session:
            change = store.get_change(session, self.project_id, number)
        before, after = ClassSet.from_json(change.classes_before), ClassSet.from_json(change.classes_after)
        told = {"kind": "revert", "number": number, "of": change.change.get("of", change.change["kind"])}
        return Order(told=told, changed=lambda classes: reverted(classes, before, after), reverts=number)

    def change(self, order: Order, *, dry_run: bool) -> Changed:
        """Do it, or only say what it would do. Raises Invalid, Conflict."""
        for _ in range(_TRIES):
            with self.database.snapshot() as session:
                ordered = self._ordered(get_project(session, self.project_id).classes, order)
                if ordered.reads_otherwise:
                    store.require_no_job(session, self.project_id)
                found = self._found(session, ordered)
            effects = self._effects(ordered, found)
            _require_unused(ordered, effects.labels + effects.label_maps)
            if dry_run:
                return Changed(ordered=ordered, effects=effects, row=None)
            # Label maps are drawn anew with no transaction open: on SQLite it would keep everybody else from writing.
            ready = {
                each.drawn.drawn_id: each
                for part in in_parts(found.labels.concerned)
                for each in self._migrated(ordered, part)
            }
            with suppress(ClassesChanged), self.database.write() as session:
                row = self._written(session, ordered, found.labels, ready)
                break
        else:
            raise ClassesChanged
        made = {each: row.change[each] for each in ("labels", "predictions")}
        return Changed(ordered=ordered, effects=replace(effects, **made), row=row)

    def _ordered(self, classes: dict[str, Any], order: Order) -> Ordered:
        before = ClassSet.from_json(classes)
        try:
            after = order.changed(before)
        except ChangeRefused as error:
            kind = Conflict if error.code in _COMES_FIRST else Invalid
            raise kind(error.message, code=error.code) from error
        if replace(after, changes=before.changes) == before:
            raise Invalid("The classes are so already: nothing would change.", code="nothing_changes")
        return Ordered(
            project_id=self.project_id,
            before=before,
            after=after,
            told=order.told,
            by=self.by,
            reverts=order.reverts,
        )

    def _found(self, session: Session, ordered: Ordered) -> _Found:
        left = list[int]()
        if ordered.reverts is not None:
            left = class_labels.left_by(session, store.get_change(session, self.project_id, ordered.reverts))
        return _Found(
            labels=class_labels.counting(session, self.project_id, ordered.before, ordered.after),
            label_maps=class_labels.whole_label_maps(session, self.project_id),
            predictions=store.predictions(session, self.project_id) if ordered.reads_otherwise else (),
            left=left,
        )

    def _effects(self, ordered: Ordered, found: _Found) -> Effects:
        before, after = ordered.before, ordered.after
        kept = [each.counts for each in found.labels.concerned]
        label_maps, pixels = self._of_label_maps(found.label_maps, before, after)
        others = [
            each
            for each in found.predictions
            if in_todays_ids(each.png, after, height=each.height, width=each.width) is not each.png
        ]
        return Effects(
            labels=len(kept),
            pixels_before=_by_name(before, before.counts_now(kept)),
            pixels_after=_by_name(after, after.counts_now(kept)),
            label_maps=label_maps,
            label_map_pixels=pixels,
            predictions=len(others),
            left=found.left,
        )

    def _of_label_maps(
        self, label_maps: Sequence[tuple[str, int, int]], before: ClassSet, after: ClassSet
    ) -> tuple[int, int]:
        """How many of images hold pixels that are read differently by `after`, and how many pixels."""
        moved = [each for each in before.known_ids if before.now_of(each) != after.now_of(each)]
        found = []
        for key, height, width in label_maps if moved else ():
            try:
                label_map_HW = decode_label_png(self.blobs.get(key), height=height, width=width)
            except BlobMissing as error:
                raise Unavailable(str(error), code="blob_missing", detail={"key": key}) from error
            found.append(int(np.isin(label_map_HW, moved).sum()))
        return sum(pixels > 0 for pixels in found), sum(found)

    def _migrated(self, ordered: Ordered, drawn: Sequence[Drawn], session: Session | None = None) -> list[Migrated]:
        ids = [each.drawn_id for each in drawn]
        if session is None:
            with self.database.read() as reading:
                masks = class_labels.masks(reading, ids)
        else:
            masks = {id: mask for part in in_parts(ids) for id, mask in class_labels.masks(session, part).items()}
        return [_migrated(each, masks[each.drawn_id], ordered.after) for each in drawn]

    def _written(
        self, session: Session, ordered: Ordered, looked_at: Counting, ready: dict[int, Migrated]
    ) -> ClassChange:
        def migrated(drawn: Sequence[Drawn]) -> list[Migrated]:
            _require_unused(ordered, len(drawn))
            # Those that somebody has labelled since the others were looked at are drawn here.
            late = self._migrated(ordered, [each for each in drawn if each.drawn_id not in ready], session)
            found = ready | {each.drawn.drawn_id: each for each in late}
            return [replace(found[each.drawn_id], drawn=each) for each in drawn]

        return store.write(
            session,
            ordered,
            looked_at,
            migrated,
            lambda png, height, width: in_todays_ids(png, ordered.after, height=height, width=width),
            now=self.now,
        )


def _migrated(drawn: Drawn, mask: bytes, after: ClassSet) -> Migrated:
    label_map_HW = decode_label_png(mask, height=drawn.height, width=drawn.width)
    indices_HW = after.to_indices(label_map_HW)
    png, digest, counts = stored_form(label_map_HW, indices_HW, after)
    return Migrated(drawn=drawn, mask=png, digest=digest, class_counts=counts)


def _require_unused(ordered: Ordered, holding: int) -> None:
    """Raises Conflict where taking a class away that was added would take pixels with it that people gave it."""
    added = set(ordered.after.known_ids) == set(ordered.before.known_ids) and ordered.told.get("of") == "add"
    if added and holding:
        sentence = "There are labels of the class that was added: remove it and say what its pixels are to be (`into`)."
        raise Conflict(sentence, code="class_in_use")


def _by_name(classes: ClassSet, counts_LC: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(classes.names, counts_LC.sum(axis=0).tolist(), strict=True))
