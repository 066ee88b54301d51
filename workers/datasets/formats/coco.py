"""COCO's annotations of objects or stuff: JSON files with polygons and run lengths, and the images that they name."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from service.domain.classes import IGNORE, ClassSet
from workers.datasets.base import Dataset, DatasetError
from workers.datasets.files import read_json, require_folder
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
from workers.datasets.formats.shapes import OVERLAPS, Shape, drawn_within, polygon_mask, rle_mask

HOLDS = 'COCO\'s annotations: {"images": [...], "categories": [...], "annotations": [...]}'
_NOT = ("panoptic", "captions", "person_keypoints", "results", "manifest", "image_info")


def open_coco(root: Path, how: FormatReading | None = None) -> Dataset:
    """`root` holds annotations/*.json (or *.json), and the images below it, where `file_name` says or by their names.

    Of several JSON files each is a split, by its name: train, val (which gains are measured on: reward), test. All have the same
    categories. Crowds are ignored pixels. Raises DatasetError.
    """
    how = how or FormatReading()
    files = annotation_files(require_folder(root, "COCO's annotations and the images"))
    read = [(path, read_json(path, HOLDS)) for path in files]
    names = [_categories(path, document) for path, document in read]
    if any(each != names[0] for each in names):
        raise DatasetError(
            f"{files[0].name} and others of {root} have different categories: put them into folders of their own."
        )
    colors = [_color(each) for each in names[0].values()]
    titles = [str(each["name"]) for each in names[0].values()]
    classes = class_set(titles, colors, how.rest, files[0])
    listed = []
    for path, document in read:
        folder = path.stem.rpartition("_")[2]
        finder = Finder(root, ("images", "", folder, f"images/{folder}", "JPEGImages"))
        split = split_named(path.stem) if len(files) > 1 else ""
        listed += sheets(path, document, classes, finder, how.rest, root, split)
    return dataset_of(root, classes, listed, how, notes=[f"{OVERLAPS} Crowds are ignored."])


def annotation_files(root: Path) -> list[Path]:
    """The JSON files that hold annotations of objects. Raises DatasetError where there is none."""
    for folder in (root / "annotations", root):
        found = sorted(path for path in folder.glob("*.json") if not path.name.startswith((*_NOT, ".")))
        instances = [path for path in found if path.name.startswith("instances")]
        if found:
            return instances or found
    raise DatasetError(
        f"There is no file {root / 'annotations' / 'instances_default.json'}, or of another name, with {HOLDS}."
    )


def sheets(
    path: Path,
    document: Any,
    classes: ClassSet,
    finder: Finder,
    rest: str,
    root: Path,
    split: str = "",
) -> list[Listed]:
    """The images of a document, drawn in `classes`, which are known by the categories' names. Raises DatasetError."""
    indices = {id: _index(classes, str(each["name"])) for id, each in _categories(path, document).items()}
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for each in _list(path, document, "annotations"):
        of_image.setdefault(each.get("image_id"), []).append(each)
    found = []
    for image in _list(path, document, "images"):
        name, size = image.get("file_name"), (image.get("height"), image.get("width"))
        if not isinstance(name, str) or not all(isinstance(side, int) and side > 0 for side in size):
            raise DatasetError(
                f"{path}: an image needs a file_name, a height and a width in pixels, unlike {str(image)[:80]}."
            )
        whole = (int(size[0] or 0), int(size[1] or 0))
        sheet = _Sheet(path, name, whole, of_image.get(image.get("id"), []), indices)
        rest_index = classes.names.index(rest) if rest else None
        found.append(
            Listed(
                name=name, path=finder.find(name), draw=partial(sheet.drawn, root, rest_index), split=split, size=whole
            )
        )
    return found


class _Sheet:
    """The annotations of an image."""

    def __init__(
        self,
        path: Path,
        name: str,
        size: tuple[int, int],
        annotations: Sequence[Mapping[str, Any]],
        indices: Mapping[Any, int | None],
    ) -> None:
        self._path, self._name, self._size = path, name, size
        self._annotations, self._indices = annotations, indices

    def drawn(self, root: Path, rest: int | None) -> Drawn | None:
        try:
            covered_HW = covered_by(root, self._name.rpartition(".")[0], self._size)
            return drawn_within([self._shape(each) for each in self._annotations], self._size, rest, covered_HW)
        except DatasetError as error:
            raise DatasetError(f"{self._path}, {self._name}: {error}") from error

    def _shape(self, annotation: Mapping[str, Any]) -> Shape:
        category = annotation.get("category_id")
        if category not in self._indices:
            raise DatasetError(
                f"annotation {annotation.get('id')} has the category {category!r}, which is not in the list."
            )
        index = self._indices[category]
        index = IGNORE if annotation.get("iscrowd") or index is None else index
        return Shape(index=index, mask=lambda: self._mask(annotation.get("segmentation"), annotation.get("id")))

    def _mask(self, segmentation: Any, id: Any) -> Covered:
        try:
            if isinstance(segmentation, dict):
                return rle_mask(segmentation)
            if isinstance(segmentation, list):
                return polygon_mask(segmentation, *self._size)
            raise DatasetError("a segmentation is a list of polygons, or a run-length encoding.")
        except DatasetError as error:
            raise DatasetError(f"annotation {id}: {error}") from error


def _categories(path: Path, document: Any) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    for each in _list(path, document, "categories"):
        id, name = each.get("id"), each.get("name")
        if not isinstance(id, int) or not isinstance(name, str) or id in found:
            raise DatasetError(f"{path}: categories need a name and an id of their own, unlike {str(each)[:80]}.")
        found[id] = {"name": name, "color": each.get("color")}
    return dict(sorted(found.items()))


def _color(category: Mapping[str, Any]) -> tuple[int, int, int] | None:
    color = category["color"]
    fits = isinstance(color, list) and len(color) == 3 and all(isinstance(e, int) and 0 <= e <= 255 for e in color)
    return (color[0], color[1], color[2]) if fits else None


def _index(classes: ClassSet, name: str) -> int | None:
    return classes.names.index(name) if name in classes.names else None


def _list(path: Path, document: Any, key: str) -> list[Mapping[str, Any]]:
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DatasetError(f"{path} lacks the list {key}: it should hold {HOLDS}.")
    return found
