"""CVAT for images 1.1: an XML file of masks, polygons and boxes, and the images beside it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from service.domain.classes import ClassSet
from workers.datasets.base import Dataset, DatasetError
from workers.datasets.files import require_folder
from workers.datasets.formats.annotated import (
    Covered,
    Drawn,
    Finder,
    FormatReading,
    Listed,
    class_set,
    covered_by,
    dataset_of,
    split_named,
)
from workers.datasets.formats.shapes import OVERLAPS, Shape, box_mask, drawn_within, placed, polygon_mask, runs_mask

HOLDS = "CVAT's annotations (export as CVAT for images 1.1)"
_WITH_AREA = ("mask", "polygon", "box")
_UNREAD = ("ellipse", "cuboid")  # they have an area too
_MOST_RUNS = 1 << 24


class _NoDoctype(ElementTree.TreeBuilder):
    """Entities, which grow without bound or read other files, are declared in a document type: CVAT writes none."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DatasetError("the file declares a document type, which CVAT's never do.")


def open_cvat(root: Path, how: FormatReading | None = None) -> Dataset:
    """`root` holds annotations.xml, and the images below it by their names. Subsets are splits by their names.

    Shapes lie in the order of z_order, then as they are listed; lines and points have no area, and are passed over. Raises
    DatasetError.
    """
    how = how or FormatReading()
    path = require_folder(root, "annotations.xml and the images") / "annotations.xml"
    tree = read_annotations(path)
    labels = [
        (each.findtext("name") or "", each.findtext("color") or "") for each in tree.iterfind("meta//labels/label")
    ]
    if not labels:
        raise DatasetError(f"{path} names no label in its meta: it should hold {HOLDS}.")
    classes = class_set([name for name, _ in labels], [_color(color) for _, color in labels], how.rest, path)
    rest = classes.names.index(how.rest) if how.rest else None
    finder = Finder(root)
    listed = [sheet(root, path, each, classes, rest, finder) for each in tree.iterfind("image")]
    return dataset_of(root, classes, listed, how, notes=[OVERLAPS])


def read_annotations(path: Path) -> ElementTree.Element:
    """The root of a file that declares no entities. Raises DatasetError."""
    try:
        return ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}, which should hold {HOLDS}.") from error
    except (OSError, ElementTree.ParseError, DatasetError) as error:
        raise DatasetError(f"{path}, which should hold {HOLDS}, cannot be read: {error}") from error


def sheet(
    root: Path, path: Path, image: ElementTree.Element, classes: ClassSet, rest: int | None, finder: Finder
) -> Listed:
    """An image, drawn in `classes`. Raises DatasetError."""
    name, at = image.get("name") or "", image.attrib
    try:
        size = (int(at["height"]), int(at["width"]))
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{path}: the image {name!r} needs its width and height in pixels.") from error
    draw_it = partial(_drawn, root, path, name, image, size, classes, rest)
    return Listed(
        name=name, path=finder.find(name), draw=draw_it, split=split_named(image.get("subset") or ""), size=size
    )


def _drawn(
    root: Path,
    path: Path,
    name: str,
    image: ElementTree.Element,
    size: tuple[int, int],
    classes: ClassSet,
    rest: int | None,
) -> Drawn | None:
    try:
        unread = sorted({each.tag for each in image} & set(_UNREAD))
        if unread:
            raise DatasetError(
                f"it has shapes of the kind {unread[0]}, which are not read: make polygons or masks of them."
            )
        elements = [each for each in image if each.tag in _WITH_AREA]
        elements.sort(key=lambda each: int(each.get("z_order") or 0))
        covered_HW = covered_by(root, name.rpartition(".")[0], size)
        return drawn_within([_shape(each, classes, size) for each in elements], size, rest, covered_HW)
    except (DatasetError, ValueError, KeyError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise DatasetError(f"{path}, {name}: {said}") from error


def _shape(element: ElementTree.Element, classes: ClassSet, size: tuple[int, int]) -> Shape:
    label = element.get("label")
    if label not in classes.names:
        raise DatasetError(f"a {element.tag} has the label {label!r}, which is not in the list.")
    return Shape(index=classes.names.index(label), mask=lambda: _mask(element, size))


def _mask(element: ElementTree.Element, size: tuple[int, int]) -> Covered:
    at: Mapping[str, Any] = element.attrib
    if element.tag == "box":
        box = (float(at["xtl"]), float(at["ytl"]), float(at["xbr"]), float(at["ybr"]))
        return box_mask(box, size, float(at.get("rotation") or 0.0))
    if element.tag == "polygon":
        points = [float(each) for point in at["points"].split(";") for each in point.split(",")]
        return polygon_mask([points], *size)
    left, top, width, height = (int(at[key]) for key in ("left", "top", "width", "height"))
    runs = [int(each) for each in at["rle"].split(",", _MOST_RUNS)]
    return placed(runs_mask(runs, height, width), top, left, size)


def _color(text: str) -> tuple[int, int, int] | None:
    try:
        value = int(text.removeprefix("#"), 16)
    except ValueError:
        return None
    return (value >> 16, value >> 8 & 255, value & 255) if 0 <= value < 1 << 24 else None
