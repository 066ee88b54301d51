"""Exports over HTTP: what comes without a format, which images, their names, who labelled, and what is refused."""

import io
import itertools
import json
import tracemalloc
import zipfile
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image as Picture
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.domain.classes import ClassSet, LabelClass
from service.errors import Unavailable
from service.export import Exporter
from service.export.layouts import LAYOUTS
from service.schemas.export import ExportFormat, ExportQuery
from service.tables import Region
from tests.conftest import START
from tests.maker import Maker
from tests.service.labelled import NOTHING, exported, make_labelled


def manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return found


def pixels(archive: zipfile.ZipFile, path: str) -> np.ndarray:
    return np.array(Picture.open(io.BytesIO(archive.read(path))))


def test_every_format_that_may_be_asked_for_has_a_layout() -> None:
    assert [each for each in LAYOUTS if each] == list(get_args(ExportFormat))


def test_without_a_format_there_are_label_maps_and_a_manifest(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin)
    archive = exported(admin, world.project)
    assert archive.testzip() is None
    assert archive.namelist() == ["label_maps/a.png", "label_maps/a-2.png", "label_maps/a-2-3.png", "manifest.json"]
    for image, path in zip(world.images, archive.namelist(), strict=False):
        expected = np.where(world.labels[image.id] == NOTHING, world.classes.ignore_id, world.labels[image.id])
        if path.endswith(".png"):
            np.testing.assert_array_equal(pixels(archive, path), expected)


def test_png_adds_masks_of_what_is_labelled(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin)
    archive = exported(admin, world.project, format="png")
    for image, entry in zip(world.images, manifest(archive)["images"], strict=False):
        labelled = world.labels[image.id] != NOTHING
        np.testing.assert_array_equal(pixels(archive, entry["labelled"]), labelled * np.uint8(255))
        ignored = (pixels(archive, entry["label_map"]) == world.classes.ignore_id) & labelled
        np.testing.assert_array_equal(ignored, world.of_class(image.id, world.classes.ignore_id))
        assert ignored.any()


def test_the_manifest_says_where_each_label_came_from(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin)
    found = manifest(exported(admin, world.project, format="coco"))
    assert (found["project"], found["format"]) == ("My streets", "coco")
    assert "labelled/" in found["unlabelled"]
    assert found["written_ids"] == {name: place for place, name in enumerate(world.classes.names, 1)}
    first = found["images"][0]
    assert (first["image"], first["name"], first["complete"], len(first["regions"])) == ("a.png", "a", True, 4)
    (checkpoint,) = found["checkpoints"]
    region = first["regions"][1]
    assert {key: region[key] for key in ("x", "y", "width", "height")} == {"x": 80, "y": 0, "width": 80, "height": 90}
    assert region["annotator"] == "ada"
    assert region["labelled_at"] == START.isoformat()
    assert (region["version"], region["round"], region["strategy"], region["seconds"]) == (2, 1, "entropy", 12.0)
    assert region["checkpoint_id"] == region["prediction_checkpoint_id"] == checkpoint["id"]
    assert (checkpoint["kind"], len(checkpoint["sha256"])) == ("segmenter", 64)


def test_names_are_unique_and_lead_back_to_the_original(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin)
    archive = exported(admin, world.project, images=True, predictions=True)
    named = {entry["image"]: entry for entry in manifest(archive)["images"]}
    assert {image: entry["name"] for image, entry in named.items()} == {
        "a.png": "a",
        "a.jpg": "a-2",
        "a-2.png": "a-2-3",
        "Aux.webp": "_Aux",
    }
    for image, entry in named.items():
        assert archive.read(entry["file"]) == world.files[image]
        assert entry["file"].rpartition(".")[2] == image.rpartition(".")[2]


def test_a_name_does_not_depend_on_which_images_are_wanted(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin, names=("b.jpg", "B.png", "b.webp", "c.png"))
    every = {entry["image"]: entry["name"] for entry in manifest(exported(admin, world.project))["images"]}
    assert every == {"b.jpg": "b", "B.png": "B-2", "b.webp": "b-3"}
    with make.database.write() as session:
        for region in session.query(Region).filter_by(image_id=world.images[0].id):
            region.state = "skipped"
    fewer = {entry["image"]: entry["name"] for entry in manifest(exported(admin, world.project))["images"]}
    assert fewer == {"B.png": "B-2", "b.webp": "b-3"}


@pytest.mark.parametrize(
    ("params", "images"),
    [
        ({}, ["a.png", "a.jpg", "a-2.png"]),
        ({"only": "labelled", "predictions": True}, ["a.png", "a.jpg", "a-2.png"]),
        ({"only": "complete"}, ["a.png"]),
        ({"predictions": True}, ["a.png", "a.jpg", "a-2.png", "Aux.webp"]),
    ],
)
def test_only_images_that_are_wanted_come(
    admin: TestClient, make: Maker, params: dict[str, Any], images: list[str]
) -> None:
    world = make_labelled(make, admin)
    found = manifest(exported(admin, world.project, format="png", **params))["images"]
    assert [entry["image"] for entry in found] == images


def test_predictions_are_of_regions_that_wait_and_name_their_checkpoint(admin: TestClient, make: Maker) -> None:
    world = make_labelled(make, admin)
    archive = exported(admin, world.project, format="png", predictions=True)
    entries = {entry["image_id"]: entry for entry in manifest(archive)["images"]}
    for image in world.images:
        entry, predicted = entries[image.id], world.predictions[image.id]
        assert ("prediction" in entry) == bool(entry["predicted"]) == bool((predicted != NOTHING).any())
        if entry["predicted"]:
            expected = np.where(predicted == NOTHING, world.classes.ignore_id, predicted)
            np.testing.assert_array_equal(pixels(archive, entry["prediction"]), expected)
            assert entry["predicted"][0]["checkpoint_id"] is not None
    plain = exported(admin, world.project, format="png")
    assert not [path for path in plain.namelist() if path.startswith("predictions/")]
    assert "predicted" not in manifest(plain)["images"][0]


@pytest.mark.parametrize(
    "params", [{"format": "yolo"}, {"format": ""}, {"format": "COCO"}, {"only": "some"}, {"formt": "coco"}]
)
def test_what_is_not_known_is_refused(admin: TestClient, make: Maker, params: dict[str, str]) -> None:
    response = admin.get(f"/projects/{make.project().id}/export", params=params)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_request"
    assert f"query.{next(iter(params))}" in response.json()["error"]["message"]


def test_classes_that_a_format_cannot_write_are_refused(admin: TestClient, make: Maker) -> None:
    many = tuple(LabelClass(id=id, name=f"class {id}", color=(0, 0, 0)) for id in range(255))
    project = make.project(classes=ClassSet(classes=many, ignore_id=255))
    for format in ("voc", "cityscapes"):
        response = admin.get(f"/projects/{project.id}/export", params={"format": format})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "classes_do_not_fit")
        assert "255" in response.json()["error"]["message"]


def test_the_file_is_called_by_the_project_and_the_format(admin: TestClient, make: Maker) -> None:
    response = admin.get(f"/projects/{make.project('My streets / 2').id}/export", params={"format": "coco"})
    assert 'filename="My-streets-2-coco.zip"' in response.headers["content-disposition"]


@pytest.mark.parametrize("format", list(LAYOUTS))
def test_a_project_without_labels_is_a_zip_of_every_format(
    admin: TestClient, make: Maker, format: ExportFormat | None
) -> None:
    params = {} if format is None else {"format": format}
    assert manifest(exported(admin, make.project(), **params))["images"] == []


def test_the_first_images_are_sent_before_the_last_are_read(admin: TestClient, make: Maker, blobs: Blobs) -> None:
    world = make_labelled(make, admin)
    blobs.delete(world.images[2].blob_key)
    exporter = Exporter.of(
        world.project, ExportQuery(images=True), database=make.database, blobs=blobs, now=make.clock()
    )
    pieces = exporter.pieces()
    sent = b"".join(itertools.islice(pieces, 4))
    assert world.files["a.jpg"] in sent
    with pytest.raises(Unavailable, match=world.images[2].name):
        list(pieces)


def test_memory_does_not_grow_with_the_number_of_images(make: Maker, blobs: Blobs) -> None:
    def peak(count: int) -> int:
        project = make.project(f"project of {count}", cell_height=360, cell_width=640)
        images = make.images(project, count, height=360, width=640)
        regions = make.round_(project, images, regions=count, number=1, prediction=True)
        assert len(regions) == count
        wanted = ExportQuery(format="coco", images=True, predictions=True)
        exporter = Exporter.of(project, wanted, database=make.database, blobs=blobs, now=make.clock())
        tracemalloc.start()
        size = sum(len(piece) for piece in exporter.pieces())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > count * 500_000
        return most

    few, many = peak(2), peak(42)
    assert many < few + 3_000_000
