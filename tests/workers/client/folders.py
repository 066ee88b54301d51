"""Folders to import, made up, and what imports them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from service.domain.masks import decode_label_png
from service.store import images as store
from tests.workers.datasets.pictures import ids, picture, write

CLASSES: dict[str, Any] = {
    "classes": [
        {"id": 0, "name": "Ground", "color": [0, 0, 0]},
        {"id": 1, "name": "Cell", "color": [255, 0, 0]},
    ],
    "ignore_id": 255,
}
SPLITS = {"train": ["0", "1"], "reward": ["2", "3"], "pool": ["4", "5"]}


def folder(root: Path, classes: dict[str, Any] = CLASSES, values: tuple[int, int] = (0, 1)) -> Path:
    """Six images, of which four have label maps."""
    for number in range(6):
        write(root / "images" / f"{number}.png", picture(number, 40, 40))
        if number < 4:
            write(root / "labels" / f"{number}.png", ids(number, list(values), 40, 40))
    (root / "classes.json").write_text(json.dumps(classes))
    (root / "splits.json").write_text(json.dumps(SPLITS))
    return root


def names(admin: TestClient, project: int = 1) -> dict[str, str]:
    return {each["name"]: each["split"] for each in admin.get(f"/projects/{project}/images").json()["items"]}


def kept_labels(database: Database, blobs: Blobs, image: int) -> np.ndarray:
    with database.read() as session:
        row = store.get_image(session, image)
        assert row.label_key is not None
        return decode_label_png(blobs.get(row.label_key), height=row.height, width=row.width)
