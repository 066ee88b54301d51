"""What `regionwise export` has written, in any of its formats: the same labels of the same regions, and where they come from."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.domain.classes import IGNORE, ClassSet, LabelMap
from service.domain.id_maps import IdMap, cityscapes_ids, coco_ids, own_ids, voc_ids
from service.domain.regions import Box
from workers.datasets.base import MAX_PIXELS, SPLITS, Dataset, DatasetError
from workers.datasets.files import read_ids, read_json, require_folder
from workers.datasets.formats.annotated import Covered, Drawn, Finder, FormatReading, Listed, dataset_of, within
from workers.datasets.formats.coco import HOLDS as COCO_HOLDS
from workers.datasets.formats.coco import sheets
from workers.datasets.formats.cvat import read_annotations
from workers.datasets.formats.cvat import sheet as cvat_sheet
from workers.datasets.formats.labelstudio import read_tasks
from workers.datasets.formats.labelstudio import sheet as task_sheet

HOLDS = "what an export says of itself"
# What shapes a project's regions: another division has others.
_DIVISION = ("cell_height", "cell_width", "levels")
_TOLD = ("x", "y", "width", "height", "annotator", "labelled_at", "version", "seconds", "round", "strategy")
_ID_MAPS: Mapping[str | None, Callable[[ClassSet], IdMap]] = {
    None: own_ids,
    "png": own_ids,
    "voc": voc_ids,
    "cityscapes": cityscapes_ids,
    "coco-panoptic": coco_ids,
}
_Entry = Mapping[str, Any]
_Draw = Callable[[], Drawn | None]


def open_own(root: Path, how: FormatReading | None = None) -> Dataset:
    """`root` is the folder that an export was unpacked to. Regions that the manifest speaks of are labelled, and nothing else.

    Images that did not come along are known by their names and bytes to a project that has them. Raises DatasetError.
    """
    path = require_folder(root, "an export of regionwise, unpacked") / "manifest.json"
    manifest = read_json(path, HOLDS)
    try:
        classes, format, entries = ClassSet.from_json(manifest["classes"]), manifest.get("format"), manifest["images"]
        draws = _draws(root, format, classes, entries)
        listed = [_listed(root, each, draws[each["name"]]) for each in entries]
        settings = {key: manifest["settings"][key] for key in _DIVISION}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} is not what an export says of itself: {error!r}.") from error
    return dataset_of(root, classes, listed, how or FormatReading(), settings=settings)


def _listed(root: Path, entry: _Entry, draw: _Draw) -> Listed:
    size = (int(entry["height"]), int(entry["width"]))
    split = str(entry["split"])
    if split not in SPLITS or not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(f"the image {entry['image']!r} of {size} in the split {split!r}")
    covered_HW = np.zeros(size, np.bool_)
    for each in entry["regions"]:
        covered_HW[Box(row=each["y"], col=each["x"], height=each["height"], width=each["width"]).slices] = True
    file = entry.get("file")
    return Listed(
        name=str(entry["image"]),
        path=None if file is None else _below(root, file),
        draw=partial(_covered, draw, covered_HW),
        split=split,
        size=size,
        original=str(entry["sha256"]),
        origins=[{key: each[key] for key in _TOLD if each.get(key) is not None} for each in entry["regions"]],
    )


def _covered(draw: _Draw, covered_HW: Covered) -> Drawn | None:
    if not covered_HW.any():
        return None
    drawn = draw()
    if drawn is not None and drawn.indices_HW.shape != covered_HW.shape:
        raise DatasetError(f"Labels are {drawn.indices_HW.shape} pixels high and wide, the image {covered_HW.shape}.")
    indices_HW = np.full(covered_HW.shape, IGNORE, np.uint8) if drawn is None else drawn.indices_HW
    return within(Drawn(indices_HW=indices_HW, labelled_HW=covered_HW), covered_HW)


def _draws(root: Path, format: str | None, classes: ClassSet, entries: list[_Entry]) -> Mapping[str, _Draw]:
    """How the labels of each image are drawn, by its name in the archive."""
    if format in _ID_MAPS:
        back = _back(_ID_MAPS[format](classes), classes)
        return {each["name"]: partial(_of_ids, root, each, back) for each in entries}
    finder = Finder(root)
    if format == "coco":
        path = root / "annotations" / "instances_default.json"
        found = sheets(path, read_json(path, COCO_HOLDS), classes, finder, "", root)
    elif format == "labelstudio":
        path = root / "tasks.json"
        found = [task_sheet(root, path, task, classes, None, finder) for task in read_tasks(path)]
    elif format == "cvat":
        path = root / "annotations.xml"
        images = read_annotations(path).iterfind("image")
        found = [cvat_sheet(root, path, image, classes, None, finder) for image in images]
    else:
        raise DatasetError(f"{root / 'manifest.json'} is of the format {format!r}, which this version does not know.")
    return {each.name.rpartition(".")[0]: each.draw for each in found}


def _back(ids: IdMap, classes: ClassSet) -> LabelMap:
    """256 class indices by written id; IGNORE for what is none."""
    back = np.full(256, IGNORE, np.uint8)
    for index, each in enumerate(classes.classes):
        back[ids.of(each.id)] = index
    return back


def _of_ids(root: Path, entry: _Entry, back: LabelMap) -> Drawn:
    if "panoptic" in entry:
        path = _below(root, entry["panoptic"])
        try:
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DatasetError(f"{path} has more than {MAX_PIXELS} pixels, the limit.")
                ids_HW = np.asarray(image.convert("RGB"))[..., 0]  # ids are below 256 in what we write
        except OSError as error:
            raise DatasetError(f"{path} cannot be read as an image: {error}.") from error
    else:
        ids_HW = read_ids(_below(root, entry["label_map"]))
    return Drawn(indices_HW=back[ids_HW], labelled_HW=np.ones(ids_HW.shape, np.bool_))


def _below(root: Path, name: str) -> Path:
    """A path of the archive. Raises DatasetError for one that leads out of it."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise DatasetError(f"{root / 'manifest.json'} names {name!r}, which is outside of the folder.")
    return path
