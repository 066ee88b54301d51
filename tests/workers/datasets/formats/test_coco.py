"""COCO's own files: polygons of several parts, run lengths of both kinds, crowds, splits, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.classes import IGNORE
from tests.workers.datasets.pictures import picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError, behind
from workers.datasets.formats import FORMATS, Annotated, Drawn, FormatReading

HEIGHT, WIDTH = 20, 30
CATEGORIES = [{"id": 7, "name": "cat", "color": [1, 2, 3]}, {"id": 3, "name": "dog"}]
SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]


def annotation(segmentation: Any, category: int = 3, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


def coco(
    root: Path, *annotations: dict[str, Any], file: str = "annotations/instances_default.json", **more: Any
) -> Path:
    name = more.pop("name", "a.png")
    write(root / "images" / name, picture(0, HEIGHT, WIDTH))
    images = [{"id": 1, "file_name": name, "height": HEIGHT, "width": WIDTH}]
    document = {"images": images, "categories": CATEGORIES, "annotations": list(annotations), **more}
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return root


def drawn(root: Path, how: FormatReading | None = None) -> Drawn:
    source, number = behind(FORMATS["coco"](root, how or FormatReading()).splits["pool"], 0)
    assert isinstance(source, Annotated)
    return source.drawn(number)


def square(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_polygons_of_several_parts_are_one_and_a_later_shape_lies_in_the_hole(tmp_path: Path) -> None:
    parts = annotation([SQUARE, [20, 2, 24, 2, 24, 6, 20, 6]])
    hole = annotation([[5, 5, 8, 5, 8, 8, 5, 8]], category=7)
    found = drawn(coco(tmp_path, parts, hole))
    inner = square(5, 5, 8, 8)
    outer = square(2, 2, 12, 12) | square(2, 20, 6, 24)
    # Classes are in the order of ids: dog (3) is 0, cat (7) is 1.
    np.testing.assert_array_equal(found.indices_HW == 0, outer & ~inner)
    np.testing.assert_array_equal(found.indices_HW == 1, inner)
    np.testing.assert_array_equal(found.labelled_HW, outer)
    assert "the later one counts" in " ".join(open_dataset("coco", tmp_path).notes)


def test_run_lengths_of_both_kinds_and_crowds_are_read(tmp_path: Path) -> None:
    from pycocotools import mask as mask_api

    ring = square(3, 3, 10, 10) & ~square(5, 5, 8, 8)
    packed = mask_api.encode(np.asfortranarray(ring.astype(np.uint8)))
    compressed = annotation({"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()})
    plain = annotation({"size": [HEIGHT, WIDTH], "counts": [0, 40, 560]}, category=7, iscrowd=1)
    found = drawn(coco(tmp_path, compressed, plain))
    np.testing.assert_array_equal(found.indices_HW == 0, ring)
    crowd = square(0, 0, HEIGHT, 2)
    np.testing.assert_array_equal(found.labelled_HW, ring | crowd)
    assert set(found.indices_HW[crowd].tolist()) == {IGNORE}


def test_pixels_of_no_shape_are_of_the_rest_if_there_is_one(tmp_path: Path) -> None:
    found = drawn(coco(tmp_path, annotation([SQUARE])), FormatReading(rest="floor"))
    assert found.labelled_HW.all()
    np.testing.assert_array_equal(found.indices_HW == 2, ~square(2, 2, 12, 12))
    one: dict[str, Any] = {"categories": CATEGORIES[1:]}
    with pytest.raises(DatasetError, match=r"the class dog alone, .* --rest background"):
        drawn(coco(tmp_path, annotation([SQUARE]), **one))
    assert drawn(tmp_path, FormatReading(rest="background")).indices_HW[0, 0] == 1


def test_several_files_are_splits_and_one_is_what_is_said(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco(tmp_path, annotation([SQUARE]), file=f"annotations/instances_{split}.json", name=f"{split}.png")
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    splits = FORMATS["coco"](tmp_path, FormatReading()).splits
    assert {split: source.name(0) for split, source in splits.items()} == {"train": "train2017", "reward": "val2017"}
    (tmp_path / "annotations" / "instances_val2017.json").unlink()
    assert list(FORMATS["coco"](tmp_path, FormatReading(split="test")).splits) == ["test"]
    assert "choose another split with --split" in " ".join(open_dataset("coco", tmp_path).notes)
    with pytest.raises(ValueError, match="no split 'dev'"):
        FormatReading(split="dev")


@pytest.mark.parametrize(
    ("segmentation", "more", "sentence"),
    [
        ([SQUARE], {"category_id": 9}, "annotation 1 has the category 9, which is not in the list"),
        ([[1, 2, 3]], {}, "at least three points"),
        ([[1, 2, 3, 4, 5, "x"]], {}, "numbers of pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [1, 2]}, {}, "do not add up"),
        ({"size": [9, 9], "counts": [81]}, {}, "A mask is"),
        ({"size": [10**9, 10**9], "counts": "abc"}, {}, "is the limit"),
        (None, {}, "a segmentation is a list of polygons"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said(
    tmp_path: Path, segmentation: Any, more: dict[str, Any], sentence: str
) -> None:
    root = coco(tmp_path, annotation(segmentation, **more))
    with pytest.raises(DatasetError, match=sentence) as failed:
        drawn(root)
    assert "a.png" in str(failed.value)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"categories": [*CATEGORIES, {"id": 8, "name": "cat"}]}, "Class names must differ"),
        ({"categories": [*CATEGORIES, {"id": 7, "name": "cow"}]}, "an id of their own"),
        ({"images": [{"id": 1}]}, "needs a file_name"),
        ({"annotations": 3}, "lacks the list annotations"),
        ({"images": [{"id": 1, "file_name": "../../x.png", "height": 1, "width": 1}]}, "holds `..`"),
        ({"images": []}, "no image"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        open_dataset("coco", coco(tmp_path, annotation([SQUARE]), **more))


def test_points_far_outside_cost_nothing(tmp_path: Path) -> None:
    found = drawn(coco(tmp_path, annotation([[-1e30, -1e30, 1e30, -1e30, 1e30, 1e30, -1e30, 1e30]])))
    assert (found.indices_HW == 0).all()


def listing(root: Path, *names: str) -> Path:
    images = [{"id": at, "file_name": each, "height": HEIGHT, "width": WIDTH} for at, each in enumerate(names, start=1)]
    (root / "annotations.json").parent.mkdir(exist_ok=True)
    (root / "annotations.json").write_text(
        json.dumps({"images": images, "categories": CATEGORIES, "annotations": [annotation([SQUARE])]})
    )
    return root


def test_a_picture_of_another_folder_is_not_taken_for_one_that_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "images" / "patientB" / "slice_001.png", picture(0, HEIGHT, WIDTH))
    source = open_dataset("coco", listing(tmp_path, "patientA/slice_001.png")).splits["pool"]
    with pytest.raises(DatasetError, match=r"patientA/slice_001\.png"):
        source.image(0)


@pytest.mark.parametrize(
    ("listed", "lies"),
    [
        ("a.png", "deep/within/a.png"),
        ("train2017/a.png", "images/a.png"),
        ("/home/ada/cells/one/a.png", "images/one/a.png"),
        ("one/a.png", "cells/one/a.png"),
    ],
)
def test_a_picture_is_found_where_its_folders_agree(tmp_path: Path, listed: str, lies: str) -> None:
    write(tmp_path / lies, picture(0, HEIGHT, WIDTH))
    source, own = behind(open_dataset("coco", listing(tmp_path, listed)).splits["pool"], 0)
    assert isinstance(source, Annotated)
    assert source.files(own)[0] == tmp_path / lies


def test_one_file_is_not_two_images(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", picture(0, HEIGHT, WIDTH))
    with pytest.raises(DatasetError, match=r"Both one/a\.png and two/a\.png would be the file .*a\.png"):
        open_dataset("coco", listing(tmp_path, "one/a.png", "two/a.png"))
