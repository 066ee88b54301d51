"""Pascal VOC: images, segmentations in the colors of a palette, lists of names by split, and what the colors stand for."""

from functools import partial
from pathlib import Path

import numpy as np

from service.domain.classes import IGNORE, ClassSet, Color, LabelClass
from service.domain.label_readings import LabelReading, read_label_map
from workers.datasets.base import Dataset, DatasetError
from workers.datasets.files import MAX_LABEL_PIXELS, files_below, images_by_name, require_folder
from workers.datasets.formats.annotated import (
    Drawn,
    FormatReading,
    Listed,
    class_set,
    covered_by,
    dataset_of,
    split_named,
    voc_color,
    within,
)

VOID_COLOR: Color = (224, 224, 192)
VOID_NAMES = ("void", "_void_", "ignore", "ignored")
# Everingham et al. 2012, in the order of their ids.
NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_GREY = b"\0"  # the color type of a PNG
_COLORS = LabelReading(colors=True)


def open_voc(root: Path, how: FormatReading | None = None) -> Dataset:
    """`root`, or VOCdevkit/VOC... in it, holds JPEGImages/, SegmentationClass/, perhaps ImageSets/Segmentation/ and labelmap.txt.

    Lists are splits by their names: train, val (reward), test; `trainval`, and lists of other names, are read where none is.
    Void pixels are labelled, as ignored. Raises DatasetError.
    """
    how = how or FormatReading()
    folder = _devkit(require_folder(root, "JPEGImages/ and SegmentationClass/"))
    colors = _colors(folder)
    lines = [None if color == VOID_COLOR and name.casefold() in VOID_NAMES else name for name, color in colors]
    names = [name for name in lines if name is not None]
    classes = class_set(names, [dict(colors)[name] for name in names], "", folder / "labelmap.txt")
    # Grey values count the lines, that of void too, which has the index after the classes where they are drawn.
    of_line = {line: len(classes) if name is None else names.index(name) for line, name in enumerate(lines)}
    images = images_by_name(folder / "JPEGImages", files_below(folder / "JPEGImages"))
    splits = _splits(folder, images)
    if splits is None:
        splits = dict.fromkeys(images, "")
    listed = [
        Listed(
            name=f"{name}{images[name].suffix}" if name in images else f"{name}.jpg",
            path=images.get(name, folder / "JPEGImages" / f"{name}.jpg"),
            draw=partial(_drawn, folder, name, classes, LabelReading(values=of_line)),
            split=split,
        )
        for name, split in splits.items()
    ]
    return dataset_of(root, classes, listed, how)


def _devkit(root: Path) -> Path:
    found = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    whole = [each for each in found if (each / "JPEGImages").is_dir()]
    if not whole:
        raise DatasetError(f"There is no folder {root / 'JPEGImages'}, which should hold the images.")
    return whole[0]


def _colors(folder: Path) -> list[tuple[str, Color]]:
    """What labelmap.txt says, else VOC's own."""
    path = folder / "labelmap.txt"
    if not path.is_file():
        return [(name, voc_color(place)) for place, name in enumerate(NAMES)]
    found = list[tuple[str, Color]]()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(":")
        parts = fields[1].split(",") if len(fields) > 1 else []
        if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) < 256 for part in parts):
            raise DatasetError(f"{path} has lines of name:red,green,blue::, unlike {line[:80]!r}.")
        found.append((fields[0], (int(parts[0]), int(parts[1]), int(parts[2]))))
    if len({color for _, color in found}) < len(found) or len({name for name, _ in found}) < len(found):
        raise DatasetError(f"{path} has a name or a color twice: colors say which class a pixel is of.")
    return found


def _splits(folder: Path, images: dict[str, Path]) -> dict[str, str] | None:
    """The split of each listed image, "" where its list's name says none; None without lists."""
    lists = sorted((folder / "ImageSets" / "Segmentation").glob("*.txt"))
    known = [path for path in lists if split_named(path.stem)]
    found: dict[str, str] = {}
    for path in known or lists:
        for name in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            if not name.strip():
                continue
            split = split_named(path.stem)
            if found.setdefault(name.strip(), split) != split:
                raise DatasetError(f"{name.strip()} is in several lists of {path.parent}; an image has one split.")
    return found if lists else None


def _drawn(folder: Path, name: str, classes: ClassSet, grey: LabelReading) -> Drawn | None:
    path = folder / "SegmentationClass" / f"{name}.png"
    if not path.is_file():
        return None
    # Void is a class to the reader, and none to anybody else.
    void = LabelClass(id=len(classes), name="void of this file", color=VOID_COLOR)
    try:
        known = ClassSet(classes=(*classes.classes, void)) if VOID_COLOR not in _known(classes) else classes
        data = path.read_bytes()
        # Grey values are numbers in the list, as those of the palette are in VOC's own files.
        reading = grey if data[25:26] == _GREY else _COLORS
        indices_HW = read_label_map(data, known, max_pixels=MAX_LABEL_PIXELS, reading=reading)
        known.to_indices(indices_HW)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from error
    indices_HW = np.where(indices_HW == void.id, np.uint8(IGNORE), indices_HW)
    drawn = Drawn(indices_HW=indices_HW, labelled_HW=np.ones(indices_HW.shape, np.bool_))
    height, width = indices_HW.shape
    return within(drawn, covered_by(folder, name, (height, width)))


def _known(classes: ClassSet) -> set[Color]:
    return {each.color for each in classes.classes}
