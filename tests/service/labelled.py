"""A project for exports: images of awkward names, partly labelled, with ignored pixels and predictions, and the truth."""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from service.domain.classes import CAMVID, ClassSet, LabelClass
from service.domain.masks import encode_label_png
from service.store.images import list_images
from service.tables import Annotator, Image, Label, Project, Region, Round
from tests.conftest import START
from tests.maker import Maker

HEIGHT, WIDTH = 180, 160  # four regions of 90 x 80
NAMES = ("a.png", "a.jpg", "a-2.png", "Aux.webp")
LABELLED = (4, 2, 1, 0)
"""Regions of each image that are labelled; the next of the second and the first of the last have predictions."""
NOTHING = -1
"""Where the truth has no label."""


# Ids with gaps, two classes of one color, names that need escaping, an ignore id in between.
AWKWARD = ClassSet(
    classes=(
        LabelClass(id=0, name="road & rail", color=(128, 64, 128)),
        LabelClass(id=7, name='"quoted"', color=(0, 0, 142)),
        LabelClass(id=200, name="Straße", color=(0, 0, 142)),
        LabelClass(id=255, name="tree", color=(0, 0, 0)),
    ),
    ignore_id=3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """The project, its images, and by image id the labels (int: class id, the ignore id, or NOTHING) and predictions."""

    project: Project
    classes: ClassSet
    images: Sequence[Image]
    files: dict[str, bytes]
    labels: dict[int, NDArray[np.int64]]
    predictions: dict[int, NDArray[np.int64]]

    def of_class(self, image_id: int, class_id: int, *, predicted: bool = False) -> NDArray[np.bool_]:
        """The mask of a class in an image."""
        mask: NDArray[np.bool_] = (self.predictions if predicted else self.labels)[image_id] == class_id
        return mask

    def written(self, image_id: int, ids: dict[str, int], *, ignored: int, unlabelled: int) -> NDArray[np.int64]:
        """The labels of an image by what a format writes for each class's name."""
        labels = self.labels[image_id]
        found = np.full(labels.shape, unlabelled, np.int64)
        found[labels == self.classes.ignore_id] = ignored
        for each in self.classes.classes:
            found[labels == each.id] = ids[each.name]
        return found


def make_labelled(
    make: Maker,
    admin: TestClient,
    *,
    classes: ClassSet = CAMVID,
    names: Sequence[str] = NAMES,
    name: str = "My streets",
) -> Labelled:
    """Label regions of four images in one round, each class, ignored pixels and noise among them."""
    project = make.project(name, classes)
    files = {each: _picture(make, each, seed) for seed, each in enumerate(names)}
    for each in names:
        sent = admin.post(
            f"/projects/{project.id}/images", data={"split": "pool"}, files={"image": (each, files[each])}
        )
        assert sent.status_code == 201, sent.text
    make.annotator(name="ada")
    with make.database.read() as session:
        images = list_images(session, project.id, split=None, limit=10, after=0)
    regions = make.round_(project, images, regions=4 * len(images))
    checkpoint = make.checkpoint(project, "segmenter")
    labels = {each.id: np.full((HEIGHT, WIDTH), NOTHING, np.int64) for each in images}
    predictions = {each.id: np.full((HEIGHT, WIDTH), NOTHING, np.int64) for each in images}
    chance = np.random.default_rng(0)
    with make.database.write() as session:
        ada = session.query(Annotator).filter_by(name="ada").one()
        round = session.query(Round).one()
        round.strategy, round.checkpoint_id = "entropy", checkpoint.id
        for place, region in enumerate(session.merge(each) for each in regions):
            image, cell = divmod(place, 4)
            box = np.s_[region.row : region.row + region.height, region.col : region.col + region.width]
            if cell < LABELLED[image]:
                first, last = (_noise(chance, region, classes) for _ in range(2))
                for version, mask in ((1, first), (2, last)):
                    session.add(_label(region, ada, version, mask))
                region.state, region.prediction_checkpoint_id = "labelled", checkpoint.id
                labels[region.image_id][box] = last
            elif (image, cell) in ((1, 2), (3, 0)):
                predicted = _noise(chance, region, classes)
                region.prediction, region.prediction_checkpoint_id = encode_label_png(predicted), checkpoint.id
                predictions[region.image_id][box] = predicted
    return Labelled(
        project=project, classes=classes, images=images, files=files, labels=labels, predictions=predictions
    )


def _picture(make: Maker, name: str, seed: int) -> bytes:
    format = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[name.rpartition(".")[2]]
    return make.picture(HEIGHT, WIDTH, format=format, seed=seed)


def _noise(chance: np.random.Generator, region: Region, classes: ClassSet) -> NDArray[np.uint8]:
    """Blocks of classes and of ignored pixels, a tenth of the pixels drawn anew."""
    ids = np.array([*classes.ids, classes.ignore_id], np.uint8)
    rows, cols = -(-region.height // 16), -(-region.width // 16)
    blocks = np.kron(chance.integers(len(ids), size=(rows, cols)), np.ones((16, 16), np.int64))
    places = blocks[: region.height, : region.width]
    anew = chance.random(places.shape) < 0.1
    return ids[np.where(anew, chance.integers(len(ids), size=places.shape), places)]


def _label(region: Region, by: Annotator, version: int, mask: NDArray[np.uint8]) -> Label:
    return Label(
        region_id=region.id,
        annotator_id=by.id,
        version=version,
        mask=encode_label_png(mask),
        digest=hashlib.sha256(mask.tobytes()).hexdigest(),
        class_counts=[],
        seconds=12.0,
        created_at=START,
    )


def exported(admin: TestClient, project: Project, **params: Any) -> zipfile.ZipFile:
    """The zip of an export."""
    response = admin.get(f"/projects/{project.id}/export", params=params)
    assert response.status_code == 200, response.text
    return zipfile.ZipFile(io.BytesIO(response.content))


def unpacked(admin: TestClient, project: Project, to: Path, **params: Any) -> Path:
    """The folder that an export was unpacked to."""
    exported(admin, project, **params).extractall(to)
    return to


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export that was unpacked."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def names(folder: Path) -> dict[int, str]:
    """The names of images in an export that was unpacked, by their ids."""
    return {entry["image_id"]: entry["name"] for entry in manifest(folder)["images"]}
