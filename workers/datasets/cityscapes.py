"""Cityscapes in the layout of its download, with the splits of the paper's authors less D_S in D_V."""

from pathlib import Path

import numpy as np

from service.domain.classes import CITYSCAPES, IGNORE
from service.domain.label_readings import LabelReading
from service.domain.splits import split_by_names
from workers.datasets.base import Dataset, DatasetError, Files, Pixels, Subset
from workers.datasets.files import (
    images_by_name,
    published_splits,
    read_class_ids,
    read_ids,
    read_indices,
    require_folder,
)

# Label maps of an image, the surest first: ids of all classes, ids of those that are evaluated, colours.
KINDS = ("labelIds", "labelTrainIds", "color")
# labelIds that are evaluated, in the order of their train ids 0 to 18 (cityscapesScripts, helpers/labels.py).
EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TRAIN_IDS = np.full(256, IGNORE, dtype=np.uint8)
TRAIN_IDS[list(EVALUATED)] = np.arange(len(EVALUATED), dtype=np.uint8)


def open_cityscapes(root: Path) -> Dataset:
    """D_S 10, D_T 150, D_R 200 and D_V 2605 images of the folder train; test is all of the folder val (500).

    `root` holds leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png and gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png
    as they are unpacked. Where the latter is missing, NAME_gtFine_labelTrainIds.png is read, else NAME_gtFine_color.png, in
    which number plates have the colour of cars, and are cars. The authors list the ten images of D_S in D_V too; here they are
    in D_S alone. Raises DatasetError for what is missing.
    """
    train, val = (_pairs(root, folder) for folder in ("train", "val"))
    wanted = dict(published_splits("cityscapes"))
    wanted["pool"] = tuple(name for name in wanted["pool"] if name not in set(wanted["state"]))
    try:
        splits = split_by_names([name for name, _, _ in train], wanted)
    except ValueError as error:
        raise DatasetError(f"{root} is not Cityscapes as the authors' splits need it. {error}") from error
    files = Files(train, read_label_map)
    return Dataset(
        name="cityscapes",
        classes=CITYSCAPES,
        splits={name: Subset(files, numbers) for name, numbers in splits.items()}
        | {"test": Files(val, read_label_map)},
    )


def read_train_ids(path: Path) -> Pixels:
    """A labelIds PNG as the indices of the 19 evaluated classes, IGNORE for the other ids."""
    return np.asarray(np.take(TRAIN_IDS, read_ids(path)))


def read_label_map(path: Path) -> Pixels:
    """A label map of any of the three kinds, as its name says, as class indices, IGNORE where nothing is evaluated."""
    if path.name.endswith(f"{KINDS[1]}.png"):
        return read_class_ids(path, CITYSCAPES)
    if path.name.endswith(f"{KINDS[2]}.png"):
        return read_indices(path, CITYSCAPES, LabelReading(colors=True, ignore_unlisted=True))
    return read_train_ids(path)


def _pairs(root: Path, folder: str) -> list[tuple[str, Path, Path | None]]:
    """(name, image, label map) of all cities of a folder, in order of name."""
    images = require_folder(root / "leftImg8bit" / folder, "the images that leftImg8bit_trainvaltest.zip unpacks to")
    labels = require_folder(root / "gtFine" / folder, "the label maps that gtFine_trainvaltest.zip unpacks to")
    pairs: list[tuple[str, Path, Path | None]] = []
    for place, path in images_by_name(images, images.glob("*/*"), "_leftImg8bit").items():
        kinds = [labels / f"{place}_gtFine_{kind}.png" for kind in KINDS]
        label_map = next((each for each in kinds if each.is_file()), None)
        if label_map is None:
            raise DatasetError(f"The image {path} has no label map {kinds[0]}.")
        pairs.append((Path(place).name, path, label_map))
    if not pairs:
        raise DatasetError(f"There is no image CITY/NAME_leftImg8bit.png in {images}.")
    return pairs
