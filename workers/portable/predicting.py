"""Label maps of image files: which files they become, and their writing, one image in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from service.domain.masks import encode_label_png
from service.domain.readings import Reading
from service.pictures import PictureError, pixels_of
from service.progress import Progress
from service.settings import get_settings
from workers.datasets.files import files_below, images_by_name
from workers.files import write_atomically
from workers.portable.one_image import OneImage, predicted
from workers.portable.opening import Model, open_model
from workers.training.device import resolve_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An image file, and the PNG that its label map becomes."""

    image: Path
    label_map: Path


def predict(
    images: Sequence[Path], *, model: Path, to: Path, classes: Path | None, reading: Reading, overwrite: bool
) -> int:
    """Write the label map of every image, and say on stderr which could not be; returns how many were written.

    `reading` says how images are read, as it did when those were that the model has learned from.
    Raises ValueError for images, a model or a folder that cannot be used (then nothing is written), and at the end where
    single images could not be predicted.
    """
    settings = get_settings()
    works = planned(images, to, overwrite=overwrite)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    opened = open_model(model, classes=classes, device=resolve_device(settings.device))
    failed = 0
    with Progress("Predicting", total=len(works), unit="images") as progress:
        progress.update(0)
        for number, work in enumerate(works):
            try:
                data = label_map_png(
                    opened, work.image.read_bytes(), max_pixels=settings.max_image_pixels, reading=reading
                )
                _keep(work.label_map, data, overwrite=overwrite)
            except (PictureError, OSError, ValueError) as error:
                failed += 1
                progress.say(f"{work.image}: {error}")
            progress.update(number + 1, work.image.name)
    if failed:
        raise ValueError(f"{failed} of {len(works)} images could not be predicted; each is named above with why.")
    return len(works)


def label_map_png(model: Model, data: bytes, *, max_pixels: int, reading: Reading) -> bytes:
    """An 8-bit PNG of class ids with the classes' colours, of an image file that the service would take.

    Raises PictureError for one that it would not, ValueError for one that is too small for the network.
    """
    pixels_HW3 = pixels_of(data, max_pixels=max_pixels, reading=reading)
    indices_HW = predicted(model.segmenter, OneImage(pixels_HW3))
    return encode_label_png(model.classes.to_ids(indices_HW), model.classes.palette())


def planned(images: Sequence[Path], to: Path, *, overwrite: bool) -> list[Work]:
    """Which image becomes which file of `to`: under its own name, one in a folder under its path there.

    Raises ValueError where there is no image, where two would become one file, where an image would be overwritten, and, without
    `overwrite`, where anything would.
    """
    works = [
        Work(image=path, label_map=to / f"{name}.png") for given in images for name, path in _found(given, besides=to)
    ]
    taken: dict[str, Path] = {}
    originals, inside = {work.image.resolve() for work in works}, to.resolve()
    for work in works:
        # Some file systems tell no capital letters.
        other = taken.setdefault(str(work.label_map).casefold(), work.image)
        if other != work.image:
            raise ValueError(f"Both {other} and {work.image} would become {work.label_map}: predict one at a time.")
        if work.label_map.resolve() in originals:
            raise ValueError(f"{work.label_map} is one of the images: name another folder with --to.")
        if not work.label_map.parent.resolve().is_relative_to(inside):
            raise ValueError(f"{work.label_map.parent} is a link that leaves {to}: name another folder with --to.")
    there = [work.label_map for work in works if work.label_map.exists()]
    if there and not overwrite:
        others = f" and {len(there) - 1} more are" if len(there) > 1 else " is"
        raise ValueError(f"{there[0]}{others} there already: name another folder with --to, or give --overwrite.")
    return works


def _found(given: Path, *, besides: Path) -> Iterator[tuple[str, Path]]:
    """(name without suffix, path) of an image, or of every one in a folder but for those in `besides`."""
    if not given.is_dir():
        if not given.exists():
            raise ValueError(f"There is no image or folder {given}.")
        yield given.stem, given
        return
    left_out = besides.resolve()
    files = (path for path in files_below(given) if not path.resolve().is_relative_to(left_out))
    found = images_by_name(given, files)
    if not found:
        raise ValueError(f"There are no images in {given}.")
    yield from found.items()


def _keep(path: Path, data: bytes, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:  # it came while others were predicted
        raise FileExistsError(f"{path} is there by now, and is not overwritten.")
    write_atomically(path, data)
