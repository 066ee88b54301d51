"""The ids that formats of label maps write for a project's classes, for ignored pixels and for those without a label.

Shapes: HW height x width of a label map.
"""

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet, Color, LabelMap

VOC_VOID = 255
_VOC_VOID_COLOR = (224, 224, 192)

CITYSCAPES_UNLABELLED, CITYSCAPES_VOID = 0, 3
"""Their ids of `unlabeled` and `out of roi`: neither is evaluated."""

# Names by id, of cityscapesScripts (helpers/labels.py). `license plate` is -1 there, which no PNG holds.
CITYSCAPES_NAMES = (
    *(
        "unlabeled",
        "ego vehicle",
        "rectification border",
        "out of roi",
        "static",
        "dynamic",
        "ground",
        "road",
        "sidewalk",
    ),
    *("parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup"),
    *(
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "caravan",
    ),
    *("trailer", "train", "motorcycle", "bicycle", "license plate"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """What is written: `table` has 256 ids (uint8) by the project's own, `unlabelled` is for pixels without a label.

    `names` and `colors` are by written id; `palette` is that of a PNG.
    """

    table: NDArray[np.uint8]
    unlabelled: int
    names: dict[int, str]
    colors: dict[int, Color]

    def written(self, label_map_HW: LabelMap, covered_HW: NDArray[np.bool_]) -> LabelMap:
        """A label map of the project's ids (uint8) in those of the format; `unlabelled` where nothing is covered."""
        return np.where(covered_HW, self.table[label_map_HW], np.uint8(self.unlabelled))

    def of(self, class_id: int) -> int:
        """The id that stands for one of the project's."""
        return int(self.table[class_id])

    def palette(self) -> list[int]:
        """768 values: red, green, blue of id 0, of id 1, ...; black where there is no color."""
        colors = np.zeros((256, 3), dtype=np.uint8)
        for written, color in self.colors.items():
            colors[written] = color
        flat: list[int] = colors.ravel().tolist()
        return flat


def own_ids(classes: ClassSet) -> IdMap:
    """The project's own ids; those without a label have the ignore id."""
    return IdMap(
        table=np.arange(256, dtype=np.uint8),
        unlabelled=classes.ignore_id,
        names={each.id: each.name for each in classes.classes},
        colors={each.id: each.color for each in classes.classes},
    )


def coco_ids(classes: ClassSet) -> IdMap:
    """COCO: 1, 2, ... in the order of the classes; 0, which is no category, for what is ignored or has no label."""
    table = np.zeros(256, dtype=np.uint8)
    table[list(classes.ids)] = np.arange(1, len(classes) + 1)
    return IdMap(
        table=table,
        unlabelled=0,
        names=dict(enumerate(classes.names, start=1)),
        colors={place: each.color for place, each in enumerate(classes.classes, start=1)},
    )


def voc_ids(classes: ClassSet) -> IdMap:
    """Pascal VOC: 1, 2, ... in the order of the classes, 255 for what is ignored or has no label.

    0 is background, which no pixel has, so that nobody learns that what has no label is background. Readers of VOC go by
    color: one that an earlier class has is replaced. Raises ValueError for more classes than there are ids.
    """
    if len(classes) > VOC_VOID - 1:
        raise ValueError(f"Pascal VOC has ids for {VOC_VOID - 1} classes; the project has {len(classes)}.")
    table = np.full(256, VOC_VOID, dtype=np.uint8)
    names = {written: _free(name, classes) for written, name in ((0, "background"), (VOC_VOID, "void"))}
    colors = {0: (0, 0, 0), VOC_VOID: _VOC_VOID_COLOR}
    for written, each in enumerate(classes.classes, start=1):
        table[each.id] = written
        names[written] = each.name.replace(":", ";")  # which separates the fields of labelmap.txt
        colors[written] = _unlike(each.color, set(colors.values()))
    return IdMap(table=table, unlabelled=VOC_VOID, names=names, colors=colors)


def cityscapes_ids(classes: ClassSet) -> IdMap:
    """Cityscapes: its own ids for classes of its names (without regard to case, spaces and signs), 35, 36, ... for others.

    Ignored pixels are `out of roi`, those without a label `unlabeled`. Raises ValueError for more classes than there are ids.
    """
    known = {_letters(name): place for place, name in enumerate(CITYSCAPES_NAMES)}
    for nothing in (CITYSCAPES_UNLABELLED, CITYSCAPES_VOID):
        del known[_letters(CITYSCAPES_NAMES[nothing])]
    others = count(len(CITYSCAPES_NAMES))
    table = np.full(256, CITYSCAPES_VOID, dtype=np.uint8)
    names, colors = dict(enumerate(CITYSCAPES_NAMES)), {}
    for each in classes.classes:
        written = known.pop(_letters(each.name), None)
        if written is None:
            written = next(others)
            names[written] = each.name
        if written > 255:
            raise ValueError(f"The ids of Cityscapes leave no room for {len(classes)} classes of other names.")
        table[each.id], colors[written] = written, each.color
    return IdMap(table=table, unlabelled=CITYSCAPES_UNLABELLED, names=names, colors=colors)


def _free(name: str, classes: ClassSet) -> str:
    return f"_{name}_" if name in classes.names else name


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _unlike(color: Color, taken: set[Color]) -> Color:
    """The color, or the next in the order of numbers that is free."""
    start = color[0] << 16 | color[1] << 8 | color[2]
    shades = ((start + step) % (1 << 24) for step in count())
    return next(each for shade in shades if (each := (shade >> 16, shade >> 8 & 255, shade & 255)) not in taken)
