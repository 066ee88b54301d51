"""Writes an export: a zip of one label map per image and a manifest that says where every label came from."""

import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
from sqlalchemy.orm import Session

from service.domain.classes import ClassSet
from service.domain.masks import decode_label_png, encode_label_png
from service.store.export import ExportedRegion, labelled_images, regions_of_image
from service.tables import Image, Project


def write_export(session: Session, project: Project, file: IO[bytes], now: datetime) -> int:
    """Write the zip; returns how many images it holds. Memory follows the largest image, not their number.

    `label_maps/NAME.png` are 8-bit PNGs of class ids at the image's size, the ignore id outside labelled regions.
    """
    classes = ClassSet.from_json(project.classes)
    entries: list[dict[str, Any]] = []
    names: set[str] = set()
    # PNGs are compressed already.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for image in labelled_images(session, project.id):
            regions = regions_of_image(session, image.id)
            name = _file_name(image, names)
            archive.writestr(name, _label_map(image, regions, classes))
            entries.append(_entry(image, name, regions))
        manifest = {
            "project": project.name,
            "exported_at": now.isoformat(),
            "classes": classes.to_json(),
            "settings": project.settings,
            "images": entries,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=1), compress_type=zipfile.ZIP_DEFLATED)
    return len(entries)


def _file_name(image: Image, taken: set[str]) -> str:
    """The image's name with the suffix .png, and its id where two images would share a file."""
    stem = PurePosixPath(image.name).stem
    name = f"label_maps/{stem}.png" if stem not in taken else f"label_maps/{stem}-{image.id}.png"
    taken.add(stem)
    return name


def _label_map(image: Image, regions: Sequence[ExportedRegion], classes: ClassSet) -> bytes:
    label_map = np.full((image.height, image.width), classes.ignore_id, np.uint8)
    for region in regions:
        rows, cols = slice(region.row, region.row + region.height), slice(region.col, region.col + region.width)
        label_map[rows, cols] = decode_label_png(region.mask, height=region.height, width=region.width)
    return encode_label_png(label_map, classes.palette())


def _entry(image: Image, name: str, regions: Sequence[ExportedRegion]) -> dict[str, Any]:
    return {
        "image_id": image.id,
        "image": image.name,
        "sha256": image.digest,
        "split": image.split,
        "width": image.width,
        "height": image.height,
        "label_map": name,
        "regions": [
            {
                "region_id": each.region_id,
                "x": each.col,
                "y": each.row,
                "width": each.width,
                "height": each.height,
                "round": each.round_number,
                "annotator": each.annotator,
                "label_id": each.label_id,
                "version": each.version,
                "seconds": each.seconds,
                "labelled_at": each.created_at.isoformat(),
            }
            for each in regions
        ],
    }
