"""Sends images and label maps to the service, or where they lie, as many at a time as fit a request."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from service.client import Client
from service.domain.classes import ClassSet
from service.domain.image_names import image_name
from service.domain.masks import encode_label_png
from service.progress import Progress
from workers.client.entries import Entry
from workers.client.limits import Limits
from workers.client.ordering import ImportOrder
from workers.datasets.base import Dataset, Pixels

# Images per request: large enough to be fast, small enough to show progress.
BATCH, BATCH_BYTES = 16, 48 << 20


def send(
    client: Client,
    project: int,
    entries: Sequence[Entry],
    dataset: Dataset,
    order: ImportOrder,
    urls: Mapping[Path, str] | None = None,
    limits: Limits | None = None,
) -> None:
    """Send images split by split, or, with `urls`, where they are; those that are there already are left as they are."""
    for split in dict.fromkeys(entry.split for entry in entries):
        chosen = [entry for entry in entries if entry.split == split]
        with Progress(f"Split {split}", total=len(chosen), unit="images") as progress:
            for part in _batches(chosen, min(BATCH_BYTES, (limits or Limits()).files_bytes)):
                labels = [file for entry in part for file in _label_map(entry, dataset.classes, order)]
                form: dict[str, Any] = {"split": split, **order.form(part[0])}
                path = f"/projects/{project}/images"
                if urls is None:
                    client.call("POST", path, data=form, files=[*map(_image, part), *labels])
                else:
                    form["name"], form["url"] = [each.name for each in part], [urls[_file(each)] for each in part]
                    client.call("POST", f"{path}/references", data=form, files=labels)
                progress.advance(len(part))


def _batches(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    """Entries that fit one request together: of the same page, by number, and by bytes."""
    batch, held = list[Entry](), 0
    for entry in entries:
        size = sum(path.stat().st_size for path in (entry.path, entry.label) if path is not None)
        other = bool(batch) and batch[0].reading.page != entry.reading.page
        if batch and (other or len(batch) == BATCH or held + size > most):
            yield batch
            batch, held = [], 0
        batch.append(entry)
        held += size
    if batch:
        yield batch


_Upload = tuple[str, tuple[str, bytes, str]]


def _image(entry: Entry) -> _Upload:
    """The image's bytes as they are.

    Names are sent as they will be kept: of C:\\a.png a server that thinks of old browsers takes a.png alone.
    """
    data = encode_rgb(entry.source.image(entry.number)) if entry.path is None else entry.path.read_bytes()
    return "image", (image_name(entry.name), data, "application/octet-stream")


def _file(entry: Entry) -> Path:
    assert entry.path is not None  # what is drawn has no URL
    return entry.path


def _label_map(entry: Entry, classes: ClassSet, order: ImportOrder) -> list[_Upload]:
    """The label map's bytes as they are, or, of data sets with ids of their own and of pages, encoded; none without one."""
    if not entry.labelled:
        return []
    if order.sends_as_is(entry):
        if entry.label is None:
            return []
        return [("label_map", (image_name(entry.label_name), entry.label.read_bytes(), "application/octet-stream"))]
    try:
        ids_HW = classes.to_ids(entry.source.label_map(entry.number))
    except LookupError:
        return []
    return [
        (
            "label_map",
            (f"{entry.source.name(entry.number)}.png", encode_label_png(ids_HW, classes.palette()), "image/png"),
        )
    ]


def encode_rgb(pixels: Pixels) -> bytes:
    """RGB pixels as a PNG, written fast rather than small."""
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
