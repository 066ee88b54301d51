"""Every format is read back by a program that is not ours, to the pixel."""

import contextlib
import glob
import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation
from cityscapesscripts.helpers.csHelpers import getCsFileInfo
from cityscapesscripts.helpers.labels import name2label
from cvat_sdk.masks import decode_mask
from PIL import Image as Picture
from pycocotools.coco import COCO
from starlette.testclient import TestClient

from service.domain.classes import CITYSCAPES
from tests.maker import Maker
from tests.service.labelled import AWKWARD, HEIGHT, NOTHING, WIDTH, Labelled, make_labelled, manifest, names, unpacked

# pycocotools is older than the way in which numpy 2 asks for arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def world(make: Maker, admin: TestClient) -> Labelled:
    """Four images, three of them with labels, of awkward classes."""
    return make_labelled(make, admin, classes=AWKWARD)


def pixels(path: Path) -> np.ndarray:
    return np.array(Picture.open(path))


def test_masks_of_what_is_labelled_come_with_every_format(world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    for format in ("png", "coco", "coco-panoptic", "voc", "cityscapes", "labelstudio", "cvat"):
        folder = unpacked(admin, world.project, tmp_path / format, format=format)
        assert len(manifest(folder)["images"]) == 3
        for entry in manifest(folder)["images"]:
            labelled = pixels(folder / entry["labelled"]) == 255
            np.testing.assert_array_equal(labelled, world.labels[entry["image_id"]] != NOTHING)


def test_coco_is_read_by_pycocotools(world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="coco", images=True, predictions=True)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "annotations" / "instances_default.json")
        results = truth.loadRes(str(folder / "annotations" / "results.json"))
    categories = {each["name"]: each["id"] for each in truth.loadCats(truth.getCatIds())}
    assert categories == {"road & rail": 1, '"quoted"': 2, "Straße": 3, "tree": 4} == manifest(folder)["written_ids"]
    for image in world.images:
        described = truth.loadImgs(image.id)[0]
        assert (folder / "images" / described["file_name"]).read_bytes() == world.files[image.name]
        for each in world.classes.classes:
            for read, predicted in ((truth, False), (results, True)):
                found = read.loadAnns(read.getAnnIds(imgIds=[image.id], catIds=[categories[each.name]]))
                expected = world.of_class(image.id, each.id, predicted=predicted)
                assert len(found) == bool(expected.any())
                for annotation in found:
                    np.testing.assert_array_equal(read.annToMask(annotation), expected)
                    rows, cols = np.nonzero(expected)
                    box = [cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1]
                    assert (annotation["area"], list(annotation["bbox"])) == (expected.sum(), box)


def test_coco_panoptic_has_a_segment_for_every_color_as_panopticapi_wants(
    world: Labelled, admin: TestClient, tmp_path: Path
) -> None:
    # What pq_compute of panopticapi checks, which is on no package index: ids, areas, and categories of both agree.
    folder = unpacked(admin, world.project, tmp_path, format="coco-panoptic")
    document = json.loads((folder / "annotations" / "panoptic_default.json").read_text())
    categories = {each["id"]: each for each in document["categories"]}
    assert all(each["isthing"] == 0 for each in categories.values())
    for annotation in document["annotations"]:
        rgb = pixels(folder / "annotations" / "panoptic_default" / annotation["file_name"]).astype(np.uint32)
        ids, areas = np.unique(rgb[..., 0] + 256 * rgb[..., 1] + 256 * 256 * rgb[..., 2], return_counts=True)
        in_pixels = dict(zip(ids.tolist(), areas.tolist(), strict=True))
        void = in_pixels.pop(0)
        labels = world.labels[annotation["image_id"]]
        assert void == np.isin(labels, [NOTHING, world.classes.ignore_id]).sum()
        assert {each["id"]: each["area"] for each in annotation["segments_info"]} == in_pixels
        assert {each["category_id"] for each in annotation["segments_info"]} <= set(categories)


def test_voc_writes_the_place_of_a_class_and_255_for_what_is_not_to_be_learned(
    world: Labelled, admin: TestClient, tmp_path: Path
) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="voc", predictions=True)
    ids = manifest(folder)["written_ids"]
    assert list(ids.values()) == [1, 2, 3, 4]
    listed = (folder / "ImageSets" / "Segmentation" / "pool.txt").read_text().splitlines()
    assert listed == list(names(folder).values())
    for entry in manifest(folder)["images"]:
        written = world.written(entry["image_id"], ids, ignored=255, unlabelled=255)
        np.testing.assert_array_equal(pixels(folder / entry["label_map"]), written)
    predicted = manifest(folder)["images"][-1]
    for each in world.classes.classes:
        mask = pixels(folder / predicted["prediction"]) == ids[each.name]
        np.testing.assert_array_equal(mask, world.of_class(predicted["image_id"], each.id, predicted=True))


def test_cityscapes_is_evaluated_by_its_own_scripts(
    make: Maker, admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_labelled(make, admin, classes=CITYSCAPES)
    folder = unpacked(admin, world.project, tmp_path / "export", format="cityscapes", images=True)
    monkeypatch.setattr(evaluation.args, "quiet", True)
    monkeypatch.setattr(evaluation.args, "JSONOutput", False)
    monkeypatch.setattr(evaluation.args, "evalInstLevelScore", False)
    for entry in manifest(folder)["images"]:
        info = getCsFileInfo(entry["label_map"])
        assert (info.city, int(info.frameNb), info.type2) == ("mystreets", entry["image_id"], "labelIds")
        # As if the truth, written by somebody else, were a prediction.
        ids = {each.name: name2label[each.name].id for each in CITYSCAPES.classes}
        written = world.written(entry["image_id"], ids, ignored=3, unlabelled=0)
        path = tmp_path / "truth.png"
        Picture.fromarray(written.astype(np.uint8)).save(path)
        result = evaluation.evaluateImgLists([str(path)], [str(folder / entry["label_map"])], evaluation.args)
        matrix, order = np.array(result["confMatrix"]), result["labels"]
        assert matrix.sum() == HEIGHT * WIDTH == np.trace(matrix)
        for name in ("road", "bicycle"):
            expected = (written == name2label[name].id).sum()
            assert matrix[order[name], order[name]] == expected > 0
        assert pixels(folder / entry["file"]).shape == (HEIGHT, WIDTH, 3)
        assert entry["file"].endswith("_leftImg8bit.png")


def test_cityscapes_finds_its_files_where_its_scripts_look(world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="cityscapes", predictions=True)
    found = sorted(glob.glob(os.path.join(folder, "gtFine", "train", "*", "*_gtFine_labelIds.png")))
    assert len(found) == 4
    ids = manifest(folder)["written_ids"]
    assert list(ids.values()) == [35, 36, 37, 38]
    for entry, path in zip(manifest(folder)["images"], found, strict=True):
        assert folder / entry["label_map"] == Path(path)
        written = world.written(entry["image_id"], ids, ignored=3, unlabelled=0)
        np.testing.assert_array_equal(pixels(Path(path)), written)


def test_cvat_s_masks_are_read_by_its_sdk_and_predictions_are_automatic(
    world: Labelled, admin: TestClient, tmp_path: Path
) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="cvat", predictions=True)
    by_name = {each.name: each.id for each in world.classes.classes}
    images = list(ElementTree.parse(folder / "annotations.xml").getroot().iter("image"))
    assert [each.get("name") for each in images] == ["a.png", "a-2.jpg", "a-2-3.png", "_Aux.webp"]
    sources = set()
    for element, image in zip(images, world.images, strict=True):
        for mask in element:
            at = mask.attrib
            left, top, width, height = (int(at[key]) for key in ("left", "top", "width", "height"))
            encoded = [*map(int, at["rle"].split(",")), left, top, left + width - 1, top + height - 1]
            decoded = decode_mask(encoded, image_width=WIDTH, image_height=HEIGHT)
            expected = world.of_class(image.id, by_name[at["label"]], predicted=at["source"] == "auto")
            np.testing.assert_array_equal(decoded, expected)
            sources.add((image.name, at["source"]))
    assert sources == {
        ("a.png", "manual"),
        ("a.jpg", "manual"),
        ("a.jpg", "auto"),
        ("a-2.png", "manual"),
        ("Aux.webp", "auto"),
    }


def test_label_studio_s_images_are_where_its_local_storage_looks(
    world: Labelled, admin: TestClient, tmp_path: Path
) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="labelstudio", images=True, predictions=True)
    tasks = json.loads((folder / "tasks.json").read_text())
    for task, image in zip(tasks, world.images, strict=True):
        assert task["data"]["name"] == image.name
        at = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (folder / at).read_bytes() == world.files[image.name]
