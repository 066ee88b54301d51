"""Finding the images and label maps of a data set in folders, and saying what is missing in a sentence."""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from service.domain.classes import ClassSet, UnknownClassIds
from service.domain.label_readings import LabelReading, read_label_map
from service.domain.masks import MaskError, decode_png
from workers.datasets.base import DatasetError, FileWrong, Pixels

SUFFIXES = frozenset({".png", ".apng", ".webp", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".tif", ".tiff"})
# Pictures too, which cannot be read: they are named, and not passed over.
UNREAD = frozenset(
    {".gif", ".jp2", ".j2k", ".jpx", ".heic", ".heif", ".avif", ".jxl", ".tga", ".psd", ".exr", ".dng", ".dcm"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".ico", ".dib", ".czi", ".nd2", ".lif", ".vsi", ".svs", ".ndpi"}
)
MAX_LABEL_PIXELS = 1 << 28


def require_folder(folder: Path, holds: str) -> Path:
    """The folder itself. Raises DatasetError, saying what it `holds`, where there is none."""
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}, which should hold {holds}.")
    return folder


def images_by_name(
    folder: Path, files: Iterable[Path], ending: str = "", kinds: Collection[str] = SUFFIXES
) -> dict[str, Path]:
    """Image files by their path below `folder` without suffix (and without `ending`), in order of name.

    Files of other `kinds`, and those that do not end so, are left out. Raises DatasetError for two of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(files):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() not in kinds or not stem.endswith(ending) or path.name.startswith("."):
            continue
        name = stem.removesuffix(ending)
        if name in found:
            raise DatasetError(f"Both {found[name]} and {path} are named {name}; image names must differ.")
        found[name] = path
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, linked ones too, but for hidden ones and for what archives leave."""
    looked_into: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in looked_into else [name for name in folders if not is_left_out(name)]
        if real in looked_into:  # a link that leads back
            continue
        looked_into.add(real)
        yield from (Path(place, name) for name in files if not is_left_out(name))


def is_left_out(name: str) -> bool:
    """Whether a file or folder is hidden, or left there by an archive."""
    return name.startswith(".") or name == "__MACOSX"


def read_indices(path: Path, classes: ClassSet, reading: LabelReading) -> Pixels:
    """A label map in any form that the reading allows as class indices, uint8. Raises DatasetError naming the file."""
    try:
        return classes.to_indices(
            read_label_map(path.read_bytes(), classes, max_pixels=MAX_LABEL_PIXELS, reading=reading)
        )
    except OSError as error:
        raise DatasetError(f"The label map {path} cannot be read: {error.strerror or error}.") from error
    except MaskError as error:
        raise FileWrong(path, error.message) from error
    except UnknownClassIds as error:
        raise FileWrong(path, str(error)) from error


def read_class_ids(path: Path, classes: ClassSet) -> Pixels:
    """A PNG of class ids as class indices, uint8. Raises DatasetError naming the file and what is wrong with it."""
    try:
        return classes.to_indices(read_ids(path))
    except UnknownClassIds as error:
        raise FileWrong(path, str(error)) from error


def read_ids(path: Path) -> Pixels:
    """The values of an 8-bit grey or palette PNG, uint8, height x width. Raises DatasetError."""
    try:
        return decode_png(path.read_bytes(), max_pixels=MAX_LABEL_PIXELS)
    except OSError as error:
        raise DatasetError(f"The label map {path} cannot be read: {error.strerror or error}.") from error
    except MaskError as error:
        raise DatasetError(f"The label map {path} is not an 8-bit PNG of class ids: {error.message}") from error


def read_json(path: Path, holds: str) -> Any:
    """The contents of a JSON file. Raises DatasetError, saying what it `holds`, where it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}, which should hold {holds}.") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}, which should hold {holds}, cannot be read: {error}.") from error


@lru_cache(maxsize=4)
def published_splits(name: str) -> dict[str, tuple[str, ...]]:
    """The image names of each split that the paper's authors published, from `<name>_splits.json` in this package."""
    text = resources.files("workers.datasets").joinpath(f"{name}_splits.json").read_text(encoding="utf-8")
    return {split: tuple(names) for split, names in json.loads(text).items()}
