"""Puts a data set into the service over HTTP, as any other client would."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from rich.progress import Progress

from service.client import Client
from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from service.domain.masks import encode_label_png
from workers.datasets import open_dataset
from workers.datasets.base import SPLITS, Dataset, ImageSource, Pixels

# Images per request: large enough to be fast, small enough to show progress.
BATCH = 16
_PRESETS = {CAMVID.names: "camvid", CITYSCAPES.names: "cityscapes"}


def import_dataset(
    client: Client,
    dataset: str,
    root: Path | None,
    name: str,
    settings: dict[str, Any],
    options: dict[str, Any] | None = None,
    splits: Sequence[str] = SPLITS,
) -> int:
    """Make (or complete) the project `name`; returns its number. The pool's label maps stay here: people give those."""
    opened = open_dataset(dataset, root, **(options or {}))
    project = find_or_make_project(client, name, opened.classes, settings)
    with Progress() as progress:
        for split in splits:
            source = opened.splits.get(split)
            if source is None or not len(source):
                continue
            task = progress.add_task(f"Split {split}", total=len(source))
            upload(client, project, opened, split, source, partial(progress.advance, task))
    return project


def find_or_make_project(client: Client, name: str, classes: ClassSet, settings: dict[str, Any]) -> int:
    """The project of this name, made if there is none."""
    for project in client.pages("/projects"):
        if project["name"] == name:
            return int(project["id"])
    wire = _PRESETS.get(classes.names) or classes.to_json()
    made = client.call("POST", "/projects", json={"name": name, "classes": wire, "settings": settings})
    return int(made["id"])


def upload(
    client: Client, project: int, dataset: Dataset, split: str, source: ImageSource, advance: Callable[[int], None]
) -> None:
    """Send a split's images; those that are there already are left as they are."""
    numbers = range(len(source))
    for start in numbers[::BATCH]:
        files = [
            part for number in numbers[start : start + BATCH] for part in _parts(dataset.classes, split, source, number)
        ]
        client.call("POST", f"/projects/{project}/images", data={"split": split}, files=files)
        advance(len(numbers[start : start + BATCH]))


def _parts(
    classes: ClassSet, split: str, source: ImageSource, number: int
) -> Iterator[tuple[str, tuple[str, bytes, str]]]:
    name = source.name(number)
    yield "image", (f"{name}.png", encode_rgb(source.image(number)), "image/png")
    if split == "pool":
        return
    try:
        indices = source.label_map(number)
    except LookupError:
        return
    yield "label_map", (f"{name}.png", encode_label_png(classes.to_ids(indices), classes.palette()), "image/png")


def encode_rgb(pixels: Pixels) -> bytes:
    """RGB pixels as a PNG, written fast rather than small."""
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
