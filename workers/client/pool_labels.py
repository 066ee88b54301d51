"""Sends labels of the pool's images, whole or in parts, as labels of the regions that they cover."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.client import Client
from service.domain.classes import ClassSet
from service.domain.image_names import image_name
from service.domain.masks import encode_label_png
from service.progress import Progress
from workers.client.entries import UNLABELLED, Entry, drawn_of
from workers.client.limits import Limits
from workers.datasets.base import behind
from workers.datasets.formats import Annotated

BATCH, BATCH_PIXELS = 16, 1 << 26


@dataclass(kw_only=True)
class Told:
    """What became of regions, by status, as the service says; of those labelled in part, and of those without a class."""

    statuses: Counter[str] = field(default_factory=Counter)
    partly: int = 0
    empty: int = 0

    def add(self, answer: Any) -> None:
        """Count what the service answered."""
        for item in answer["items"]:
            self.statuses.update(each["status"] for each in item["regions"])
            self.partly += item["partly"]
            self.empty += item["empty"]

    def __str__(self) -> str:
        counts = [f"{count:,} {status}" for status, count in sorted(self.statuses.items())]
        counts += [f"{self.partly:,} labelled in part, left as they are"] * bool(self.partly)
        counts += [f"{self.empty:,} without a pixel of a class, left as they are"] * bool(self.empty)
        said = f"Regions of the pool: {', '.join(counts) or 'none is labelled as a whole'}."
        if self.statuses["differs"]:
            said += " Those that differ keep their labels: --replace makes new versions of them."
        return said


def send_pool_labels(
    client: Client,
    project: int,
    entries: Sequence[Entry],
    classes: ClassSet,
    *,
    source: str,
    replace: bool = False,
    limits: Limits | None = None,
) -> Told:
    """Send the labels of those entries of the pool that have any; their images are there. What is there too stays as it is."""
    chosen, told = [entry for entry in entries if entry.split in UNLABELLED], Told()
    with Progress("Labels of the pool", total=len(chosen), unit="images") as progress:
        for part in _batches(chosen, min(BATCH_PIXELS, (limits or Limits()).files_bytes // 2)):
            files, origins = list[tuple[str, tuple[str, bytes, str]]](), dict[str, Any]()
            for entry in part:
                with suppress(LookupError):
                    files += _files(entry, classes)
                    origins |= _origins(entry)
            if files:
                told_of = json.dumps({"source": source, "images": origins}).encode()
                files.append(("origins", ("origins.json", told_of, "application/json")))
                form = {"replace": str(replace).lower()}
                told.add(client.call("POST", f"/projects/{project}/label-maps", data=form, files=files))
            progress.advance(len(part))
    return told


def _files(entry: Entry, classes: ClassSet) -> list[tuple[str, tuple[str, bytes, str]]]:
    """The label map, and the mask of what is labelled, where that is known. Raises LookupError without labels."""
    whole, _ = behind(entry.source, entry.number)
    drawn = drawn_of(entry)
    label_map = _png("label_map", entry.name, classes.to_ids(drawn.indices_HW), classes)
    if not isinstance(whole, Annotated):
        return [label_map]
    mask_HW = np.where(drawn.labelled_HW, np.uint8(255), np.uint8(0))
    return [label_map, _png("labelled", entry.name, mask_HW)]


def _png(
    what: str, name: str, pixels_HW: np.ndarray, classes: ClassSet | None = None
) -> tuple[str, tuple[str, bytes, str]]:
    palette = None if classes is None else classes.palette()
    return what, (image_name(name), encode_label_png(np.ascontiguousarray(pixels_HW), palette), "image/png")


def _origins(entry: Entry) -> dict[str, Any]:
    whole, number = behind(entry.source, entry.number)
    found = whole.listed[number].origins if isinstance(whole, Annotated) else ()
    return {image_name(entry.name): [dict(each) for each in found]} if found else {}


def _batches(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    """Entries whose label maps fit one request together."""
    batch, held = list[Entry](), 0
    for entry in entries:
        height, width = _size(entry)
        if batch and (len(batch) == BATCH or held + height * width > most):
            yield batch
            batch, held = [], 0
        batch.append(entry)
        held += height * width
    if batch:
        yield batch


def _size(entry: Entry) -> tuple[int, int]:
    whole, number = behind(entry.source, entry.number)
    listed = whole.listed[number].size if isinstance(whole, Annotated) else None
    return listed or entry.source.size(entry.number)
