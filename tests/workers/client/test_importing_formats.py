"""Other tools' files through the API: labels of the pool as labels of regions, those of other splits with their images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Region
from tests.workers.client.folders import folder
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets.base import DatasetError

Run = Callable[..., int | None]
CELLS = {"cell_height": 20, "cell_width": 20}
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


def coco(root: Path, missing: bool = False) -> Path:
    """Two images of 40 x 40: the upper half of the first is labelled, and nine columns more."""
    images = []
    for number in range(2):
        if not (missing and number):
            write(root / "images" / f"{number}.png", picture(number, 40, 40))
        images.append({"id": number, "file_name": f"{number}.png", "height": 40, "width": 40})
    shapes = [[0, 0, 40, 0, 40, 20, 0, 20], [0, 20, 9, 20, 9, 40, 0, 40]]
    annotations = [
        {"id": place, "image_id": 0, "category_id": 1 + place, "segmentation": [shape], "iscrowd": 0}
        for place, shape in enumerate(shapes)
    ]
    path = root / "annotations" / "instances_default.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": images, "categories": CATEGORIES, "annotations": annotations}))
    return root


def test_labels_of_the_pool_go_in_when_that_is_said(
    run: Run, admin: TestClient, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = coco(tmp_path / "cats")
    assert run(root, dataset="coco", settings=CELLS, dry_run=True, pool_labels=True) is None
    assert run(root, dataset="coco", settings=CELLS) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "choose another split with --split" in said
    assert "with --pool-labels they are sent" in said
    assert admin.get("/projects/1/rounds").json()["items"] == []
    run(root, dataset="coco", into="cats", pool_labels=True)
    assert "2 labelled, 1 labelled in part, left as they are" in capsys.readouterr().out.replace("\n", " ")
    with database.read() as session:
        regions = session.scalars(select(Region).order_by(Region.cell))
        assert [(each.image_id, each.cell) for each in regions] == [(1, 0), (1, 1)]
    (round_,) = admin.get("/projects/1/rounds").json()["items"]
    assert (round_["strategy"], round_["size"]) == ("import", 2)


def test_a_missing_image_is_named_and_left_out_when_that_is_said(run: Run, admin: TestClient, tmp_path: Path) -> None:
    root = coco(tmp_path / "cats", missing=True)
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(root, dataset="coco")
    assert admin.get("/projects").json()["items"] == []
    run(root, dataset="coco", skip_bad=True, pool_labels=True)
    assert [each["name"] for each in admin.get("/projects/1/images").json()["items"]] == ["0.png"]


def test_the_rest_is_a_class_and_other_splits_come_with_their_label_maps(
    run: Run, admin: TestClient, tmp_path: Path
) -> None:
    run(coco(tmp_path / "cats"), dataset="coco", split="train", rest="floor", anyway=True)
    assert [each["name"] for each in admin.get("/projects/1").json()["classes"]] == ["cat", "dog", "floor"]
    images = admin.get("/projects/1/images").json()["items"]
    assert [(each["split"], each["has_label_map"]) for each in images] == [("train", True), ("train", True)]


def test_images_are_read_as_it_is_said(run: Run, admin: TestClient, tmp_path: Path) -> None:
    root = coco(tmp_path / "cats")
    write(root / "images" / "0.png", (np.arange(1600) * 40).astype(np.uint16).reshape(40, 40))
    clear = np.zeros((40, 40, 4), np.uint8)
    write(root / "images" / "1.png", clear)
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(root, dataset="coco")
    run(root, dataset="coco", scale="minmax", background="10,20,30")
    images = admin.get("/projects/1/images").json()["items"]
    assert [each["reading"] for each in images] == [{"scale": "minmax"}, {"background": [10, 20, 30]}]


@pytest.mark.parametrize("said", [{"scale": "minmax"}, {"background": "0,0,0"}])
def test_of_data_sets_that_are_read_as_they_are_nothing_else_is_said(
    run: Run, tmp_path: Path, said: dict[str, str]
) -> None:
    with pytest.raises(DatasetError, match=r"--scale and --background are for own images .* those of camvid"):
        run(tmp_path, dataset="camvid", **said)


def test_label_maps_of_a_folder_s_pool_go_in_too(
    run: Run, admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "cells")
    labels = ids(4, [0, 1], 40, 40)
    labels[:20, :20] = 255
    write(root / "labels" / "4.png", labels)
    run(root, settings=CELLS, pool_labels=True)
    assert "3 labelled, 1 without a pixel of a class" in capsys.readouterr().out.replace("\n", " ")
    regions = [admin.get(f"/regions/{number}").json() for number in (1, 2, 3)]
    assert [(each["image_name"], each["x"], each["y"]) for each in regions] == [
        ("4.png", 20, 0), ("4.png", 0, 20), ("4.png", 20, 20),
    ]  # fmt: skip
    assert np.count_nonzero(labels == 255) == 400
