"""The data sets that experiments run on, opened by name.

A new one is a new module here, which opens the folder that it lies in, and its line in _IN_A_FOLDER.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from workers.datasets.base import Dataset, DatasetError, ImageSource
from workers.datasets.camvid import open_camvid
from workers.datasets.cityscapes import open_cityscapes
from workers.datasets.folder import FolderReading, open_folder
from workers.datasets.formats import FORMATS, FormatReading
from workers.datasets.forwarding import Resized
from workers.datasets.streets import streets_dataset


def _of_format(name: str, root: Path, seed: int) -> Dataset:
    return FORMATS[name](root, FormatReading())


_IN_A_FOLDER: dict[str, Callable[[Path, int], Dataset]] = {
    "camvid": lambda root, seed: open_camvid(root),
    "cityscapes": lambda root, seed: open_cityscapes(root),
    **{name: partial(_of_format, name) for name in FORMATS},
}
NAMES = ("folder", *_IN_A_FOLDER, "streets")
STREETS_SIZE = (360, 480)

__all__ = ["NAMES", "Dataset", "DatasetError", "ImageSource", "open_dataset"]


def open_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    height: int | None = None,
    width: int | None = None,
    seed: int = 0,
    counts: Mapping[str, int] | None = None,
    reading: FolderReading | None = None,
) -> Dataset:
    """The data set `name`, read from the folder `root`, every image at height x width where these are given.

    `seed` draws a folder's splits, where it has none, and the scenes of streets; `counts` is the number of scenes in
    each split of streets, `reading` how the files of a folder are read. Raises DatasetError with a sentence for an unknown
    name, a missing or unreadable folder, and for arguments that the data set has no use for.
    """
    if name not in NAMES:
        raise DatasetError(f"There is no data set {name!r}; there are {', '.join(NAMES)}.")
    if (height is None) != (width is None):
        raise DatasetError("A size is a height and a width; only one of them is given.")
    if name == "streets":
        size = (height or STREETS_SIZE[0], width or STREETS_SIZE[1])
        return streets_dataset(seed, *size, counts=counts)  # drawn at this size, nothing is resampled
    if counts is not None:
        raise DatasetError(f"Numbers of images per split are for streets; those of {name} are what they are.")
    if root is None:
        raise DatasetError(f"The data set {name} needs the folder that it lies in (root).")
    own = name == "folder"
    if reading is not None and not own:
        raise DatasetError(f"How files are read is said of the data set folder, not of {name}.")
    opened = open_folder(Path(root), seed=seed, reading=reading) if own else _IN_A_FOLDER[name](Path(root), seed)
    if height is None or width is None:
        return opened
    splits = {split: Resized(source, height, width) for split, source in opened.splits.items()}
    return Dataset(name=opened.name, classes=opened.classes, splits=splits)
