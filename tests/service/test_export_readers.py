"""Formats are read back by datumaro and by Label Studio's converter, which have an environment of their own."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.domain.classes import CITYSCAPES
from service.domain.segments import brush_rle
from tests.maker import Maker
from tests.service import readers
from tests.service.labelled import AWKWARD, HEIGHT, WIDTH, Labelled, make_labelled, names, unpacked

PYTHON = Path(__file__).parents[2] / ".venv" / "readers" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no readers are installed: make .venv/.readers")


@pytest.fixture
def world(make: Maker, admin: TestClient) -> Labelled:
    """Four images, three of them with labels, of awkward classes."""
    return make_labelled(make, admin, classes=AWKWARD)


def read_by(program: str, folder: Path) -> dict[str, np.ndarray]:
    """The masks that a program reads of an export, by names with `|` between them."""
    masks = folder / "masks.npz"
    ran = subprocess.run(
        [PYTHON, "-W", "ignore", readers.__file__, program, folder, masks], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    with np.load(masks) as arrays:
        return dict(arrays.items())


def read_by_datumaro(folder: Path, format: str) -> dict[str, dict[str, np.ndarray]]:
    """The masks of each class by the item's name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, mask in read_by(format, folder).items():
        item, _, name = key.partition("|")
        found.setdefault(item, {})[name] = mask
    return found


def assert_same_masks(found: dict[str, np.ndarray], world: Labelled, image_id: int) -> None:
    for each in world.classes.classes:
        mask = found.get(each.name, np.zeros((HEIGHT, WIDTH), np.bool_))
        np.testing.assert_array_equal(mask, world.of_class(image_id, each.id), err_msg=each.name)


@pytest.mark.parametrize(
    ("format", "theirs"), [("coco-panoptic", "coco_panoptic"), ("voc", "voc_segmentation"), ("cvat", "cvat")]
)
def test_masks_are_read_by_datumaro(
    world: Labelled, admin: TestClient, tmp_path: Path, format: str, theirs: str
) -> None:
    folder = unpacked(admin, world.project, tmp_path, format=format, images=True)
    found = read_by_datumaro(folder, theirs)
    assert set(found) == set(names(folder).values())
    for image_id, name in names(folder).items():
        assert_same_masks(found[name], world, image_id)


def test_cityscapes_is_read_by_datumaro(make: Maker, admin: TestClient, tmp_path: Path) -> None:
    world = make_labelled(make, admin, classes=CITYSCAPES)
    folder = unpacked(admin, world.project, tmp_path, format="cityscapes", images=True)
    found = read_by_datumaro(folder, "cityscapes")
    for image_id, name in names(folder).items():
        masks = found[f"mystreets/{name}"]
        for each in CITYSCAPES.classes:
            mask = masks.get(each.name.replace(" ", ""), np.zeros((HEIGHT, WIDTH), np.bool_))
            np.testing.assert_array_equal(mask, world.of_class(image_id, each.id), err_msg=each.name)


def test_label_studio_s_tasks_are_read_by_its_converter(world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    folder = unpacked(admin, world.project, tmp_path, format="labelstudio", predictions=True)
    found = read_by("label-studio", folder)
    expected = {
        f"{image.name}|{kind}|{each.name}": world.of_class(image.id, each.id, predicted=kind == "predictions")
        for image in world.images
        for kind in ("annotations", "predictions")
        for each in world.classes.classes
    }
    for key, mask in expected.items():
        np.testing.assert_array_equal(found.pop(key, np.zeros((HEIGHT, WIDTH), np.bool_)), mask, err_msg=key)
    assert found == {}


@pytest.mark.parametrize("height", [1, 128, 1024])
def test_brushes_of_runs_of_every_length_are_read_by_label_studio(height: int, tmp_path: Path) -> None:
    masks = {filled: np.arange(height * 257).reshape(height, 257) < filled for filled in (1, 2, 4, 64, 16384, 16385)}
    results = [
        {
            "type": "brushlabels",
            "from_name": "label",
            "original_width": 257,
            "original_height": height,
            "value": {"rle": brush_rle(mask), "brushlabels": [str(filled)]},
        }
        for filled, mask in masks.items()
    ]
    task = {"data": {"name": "a"}, "annotations": [{"result": results}], "predictions": []}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    labels = "".join(f'<Label value="{filled}"/>' for filled in masks)
    (tmp_path / "label_config.xml").write_text(
        f'<View><Image name="image" value="$image"/><BrushLabels name="label" toName="image">{labels}</BrushLabels></View>'
    )
    found = read_by("label-studio", tmp_path)
    assert {int(key.rpartition("|")[2]): mask.tolist() for key, mask in found.items()} == {
        filled: mask.tolist() for filled, mask in masks.items()
    }
