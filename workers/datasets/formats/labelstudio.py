"""Label Studio's JSON: tasks with brushes, polygons and rectangles, and the images beside it."""

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from service.domain.classes import ClassSet
from service.domain.masks import MaskError
from service.domain.segments import brush_mask
from workers.datasets.base import Dataset, DatasetError
from workers.datasets.files import SUFFIXES, read_json, require_folder
from workers.datasets.formats.annotated import (
    Covered,
    Drawn,
    Finder,
    FormatReading,
    Listed,
    class_set,
    covered_by,
    dataset_of,
)
from workers.datasets.formats.shapes import OVERLAPS, Shape, drawn_within, polygon_mask

HOLDS = 'Label Studio\'s tasks: [{"data": {"image": ...}, "annotations": [...]}, ...] (export as JSON, not as JSON-MIN)'
_KINDS = ("brushlabels", "polygonlabels", "rectanglelabels")
_UNREAD = ("ellipselabels", "bitmasklabels", "vectorlabels")  # they have an area too, or may have
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the names of uploaded files
_Size = tuple[int, int]


def open_labelstudio(root: Path, how: FormatReading | None = None) -> Dataset:
    """`root` holds a JSON file of tasks, and the images below it, as local storage calls them or by their names.

    Of a task the newest annotation counts that was not cancelled; predictions are not read. Raises DatasetError.
    """
    how = how or FormatReading()
    path = tasks_file(require_folder(root, "Label Studio's tasks and the images"))
    tasks = read_tasks(path)
    names = sorted({name for task in tasks for result in _results(task) for name in _labels(result)})
    if not names:
        raise DatasetError(f"{path} has no brush, polygon or rectangle with a label.")
    classes = class_set(names, [None] * len(names), how.rest, path)
    rest = classes.names.index(how.rest) if how.rest else None
    finder = Finder(root)  # which looks through the folder once
    listed = [sheet(root, path, task, classes, rest, finder) for task in tasks]
    notes = [f"{OVERLAPS} Of several annotations of a task the newest counts."]
    return dataset_of(root, classes, listed, how, notes=notes)


def tasks_file(root: Path) -> Path:
    """The JSON file of tasks. Raises DatasetError where there is none, or several."""
    found = [root / "tasks.json"] if (root / "tasks.json").is_file() else sorted(root.glob("*.json"))
    if len(found) != 1:
        missing = root / "tasks.json"
        there = "" if not found else f", and {len(found)} of other names: keep one"
        raise DatasetError(f"There is no file {missing}{there}. It should hold {HOLDS}.")
    return found[0]


def read_tasks(path: Path) -> list[Mapping[str, Any]]:
    """The tasks of a file. Raises DatasetError."""
    tasks = read_json(path, HOLDS)
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list)
        for task in tasks
    ):
        raise DatasetError(f"{path} should hold {HOLDS}.")
    return tasks


def sheet(
    root: Path, path: Path, task: Mapping[str, Any], classes: ClassSet, rest: int | None, finder: Finder
) -> Listed:
    """A task's image, drawn in `classes`. Raises DatasetError."""
    name = _image_of(path, task["data"])
    results = _results(task)
    sizes = {(each.get("original_height"), each.get("original_width")) for each in results}
    found = finder.find(name)
    if not found.is_file() and _UPLOADED.match(name):
        found = finder.find(_UPLOADED.sub("", name))
    draw_it = partial(_drawn, root, path, name, results, sizes, classes, rest)
    return Listed(name=name, path=found, draw=draw_it)


def _image_of(path: Path, data: Mapping[str, Any]) -> str:
    """What the image is called below the folder: where local storage has it, else the last part of its address."""
    texts = [data.get("image"), *data.values()]
    for text in texts:
        if not isinstance(text, str):
            continue
        parts = urlsplit(text)
        local = parse_qs(parts.query).get("d")
        name = local[0] if local else PurePosixPath(unquote(parts.path)).name
        if PurePosixPath(name).suffix.lower() in SUFFIXES:
            return name.removeprefix("images/")
    raise DatasetError(f"{path}: a task's data names no image: {str(data)[:80]}.")


def _results(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the newest annotation says, of the kinds that have an area."""
    annotations = [each for each in task["annotations"] if isinstance(each, dict) and not each.get("was_cancelled")]
    if not annotations:
        return []
    newest = max(annotations, key=lambda each: str(each.get("updated_at") or each.get("created_at") or ""))
    results = newest.get("result")
    whole = results if isinstance(results, list) else []
    return [each for each in whole if isinstance(each, dict) and each.get("type") in (*_KINDS, *_UNREAD)]


def _labels(result: Mapping[str, Any]) -> list[str]:
    value = result.get("value")
    labels = value.get(result["type"]) if isinstance(value, dict) else None
    return [each for each in labels if isinstance(each, str)] if isinstance(labels, list) else []


def _drawn(
    root: Path,
    path: Path,
    name: str,
    results: list[Mapping[str, Any]],
    sizes: set[tuple[Any, Any]],
    classes: ClassSet,
    rest: int | None,
) -> Drawn | None:
    if not results:
        return None
    height, width = next(iter(sizes))
    if len(sizes) > 1 or not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise DatasetError(f"{path}, {name}: results need the same original_height and original_width, in pixels.")
    size = (height, width)
    unread = sorted({each["type"] for each in results} & set(_UNREAD))
    if unread:
        raise DatasetError(f"{path}, {name}: {unread[0]} are not read: make polygons or brushes of them.")
    try:
        shapes = [_shape(each, classes, size) for each in results]
        return drawn_within(shapes, size, rest, covered_by(root, name.rpartition(".")[0], size))
    except (DatasetError, MaskError) as error:
        raise DatasetError(f"{path}, {name}: {error}") from error


def _shape(result: Mapping[str, Any], classes: ClassSet, size: _Size) -> Shape:
    labels = _labels(result)
    if len(labels) != 1 or labels[0] not in classes.names:
        raise DatasetError(f"result {result.get('id')} needs one label of the classes, and has {labels}.")
    if result.get("image_rotation"):
        raise DatasetError(f"result {result.get('id')} is of an image that was rotated there: turn the file itself.")
    return Shape(index=classes.names.index(labels[0]), mask=lambda: _mask(result, size))


def _mask(result: Mapping[str, Any], size: _Size) -> Covered:
    value, (height, width) = result["value"], size
    if result["type"] == "brushlabels":
        if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
            raise DatasetError(f"result {result.get('id')} is a brush without its rle.")
        return brush_mask(value["rle"], height, width)
    points = value.get("points") if result["type"] == "polygonlabels" else _corners(value, size)
    if not isinstance(points, list) or not all(_is_point(each) for each in points):
        raise DatasetError(f"result {result.get('id')} needs points of x and y in percent.")
    flat = [part for x, y in points for part in (x * width / 100, y * height / 100)]
    return polygon_mask([flat], height, width)


def _is_point(point: Any) -> bool:
    return isinstance(point, list | tuple) and len(point) == 2 and all(isinstance(each, int | float) for each in point)


def _corners(value: Mapping[str, Any], size: _Size) -> list[tuple[float, float]] | None:
    """Of a rectangle, which is turned about its first corner; in percent."""
    sides = [value.get(key, 0) for key in ("x", "y", "width", "height", "rotation")]
    if not all(isinstance(each, int | float) for each in sides):
        return None
    x, y, across, down, degrees = sides
    height, width = size
    turn, found = math.radians(degrees), []
    for right, below in ((0, 0), (across, 0), (across, down), (0, down)):
        dx, dy = right * width / 100, below * height / 100
        turned = (dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn))
        found.append((x + 100 * turned[0] / width, y + 100 * turned[1] / height))
    return found
