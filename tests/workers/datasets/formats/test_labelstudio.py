"""Label Studio's own files: uploads and local storage, polygons in percent, turned rectangles, brushes, several annotations."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.masks import MaskError
from service.domain.segments import brush_mask, brush_rle
from tests.workers.datasets.pictures import picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError, behind
from workers.datasets.files import files_below
from workers.datasets.formats import Annotated, Drawn, annotated

HEIGHT, WIDTH = 20, 40


def result(kind: str, label: str = "car", **value: Any) -> dict[str, Any]:
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": "r", "type": kind, "from_name": "l", "to_name": "i", **size, "value": {**value, kind: [label]}}


def studio(root: Path, *annotations: Any, url: str = "/data/upload/1/0a1b2c3d-a.png") -> Path:
    write(root / "images" / "a.png", picture(0, HEIGHT, WIDTH))
    task = {"id": 1, "data": {"image": url}, "annotations": list(annotations)}
    (root / "project-1.json").write_text(json.dumps([task]))
    return root


def drawn(root: Path) -> Drawn:
    source, number = behind(open_dataset("labelstudio", root).splits["pool"], 0)
    assert isinstance(source, Annotated)
    return source.drawn(number)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_polygons_rectangles_and_brushes_lie_over_each_other(tmp_path: Path) -> None:
    brush = box(0, 0, 3, 5)
    made = [
        result("polygonlabels", "road", points=[[0, 0], [50, 0], [50, 50], [0, 50]]),
        result("rectanglelabels", "car", x=50, y=50, width=25, height=50, rotation=0),
        result("brushlabels", "car", format="rle", rle=brush_rle(brush)),
        {"type": "choices", "value": {"choices": ["day"]}},
    ]
    found = drawn(studio(tmp_path, {"result": made}))
    road = box(0, 0, 10, 20) & ~brush
    np.testing.assert_array_equal(found.indices_HW == 1, road)
    np.testing.assert_array_equal(found.indices_HW == 0, brush | box(10, 20, 20, 30))
    np.testing.assert_array_equal(found.labelled_HW, road | brush | box(10, 20, 20, 30))


def test_the_newest_annotation_counts_that_was_not_cancelled(tmp_path: Path) -> None:
    old, new = ([result("rectanglelabels", name, x=0, y=0, width=100, height=100)] for name in ("car", "road"))
    root = studio(
        tmp_path,
        {"result": new, "updated_at": "2025-02-01"},
        {"result": old, "updated_at": "2025-01-01"},
        {"result": old, "updated_at": "2025-03-01", "was_cancelled": True},
    )
    with pytest.raises(DatasetError, match="the class road alone"):
        open_dataset("labelstudio", root)


@pytest.mark.parametrize(
    "url", ["/data/upload/1/0a1b2c3d-a.png", "/data/local-files/?d=images%2Fa.png", "s3://bucket/there/a.png"]
)
def test_images_are_found_by_their_addresses(tmp_path: Path, url: str) -> None:
    made = [
        result("rectanglelabels", "car", x=0, y=0, width=50, height=100),
        result("rectanglelabels", "road", x=50, y=0, width=50, height=100),
    ]
    pool = open_dataset("labelstudio", studio(tmp_path, {"result": made}, url=url)).splits["pool"]
    np.testing.assert_array_equal(pool.image(0), picture(0, HEIGHT, WIDTH))
    assert set(np.unique(pool.label_map(0))) == {0, 1}


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (result("polygonlabels", points=[[0, 0], [1, 1]]), "at least three points"),
        (result("polygonlabels", points=[["a", 0]]), "x and y in percent"),
        (result("brushlabels", format="rle", rle=[1, 2, 3]), "not of an image 20 high and 40 wide"),
        (result("brushlabels", format="mask"), "without its rle"),
        ({**result("rectanglelabels"), "image_rotation": 90}, "turn the file itself"),
        ({**result("rectanglelabels"), "original_width": "wide"}, "original_height and original_width"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, made: dict[str, Any], sentence: str) -> None:
    other = result("rectanglelabels", "road", x=0, y=0, width=50, height=100)
    with pytest.raises(DatasetError, match=sentence):
        drawn(studio(tmp_path, {"result": [other, made]}))


def test_what_is_no_export_as_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([{"image": "a.png", "label": []}]))
    with pytest.raises(DatasetError, match="not as JSON-MIN"):
        open_dataset("labelstudio", tmp_path)
    (tmp_path / "y.json").write_text("[]")
    with pytest.raises(DatasetError, match="2 of other names: keep one"):
        open_dataset("labelstudio", tmp_path)


def test_brushes_are_read_as_they_are_written_and_hostile_ones_refused() -> None:
    for seed in range(5):
        mask = np.random.default_rng(seed).random((13, 7)) < 0.1 * (1 + 2 * seed)
        np.testing.assert_array_equal(brush_mask(brush_rle(mask), 13, 7), mask)
    packed = brush_rle(np.ones((13, 7), np.bool_))
    for broken in (packed[:-2], [*packed[:4], 255, *packed[5:]], [], ["a"], packed[:9]):
        with pytest.raises(MaskError):
            brush_mask(broken, 13, 7)  # type: ignore[arg-type]


def test_the_folder_is_looked_through_once_for_all_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[Path]()

    def looked(root: Path) -> Iterator[Path]:
        looks.append(root)
        return files_below(root)

    monkeypatch.setattr(annotated, "files_below", looked)
    made = [result("rectanglelabels", name, x=0, y=0, width=9, height=9) for name in ("car", "road")]
    tasks = []
    for number in range(3):
        write(tmp_path / "uploads" / f"{number}.png", picture(number, HEIGHT, WIDTH))
        tasks.append({"data": {"image": f"/data/upload/1/0a1b2c3d-{number}.png"}, "annotations": [{"result": made}]})
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    pool = open_dataset("labelstudio", tmp_path).splits["pool"]
    assert [pool.image(number).shape for number in range(3)] == [(HEIGHT, WIDTH, 3)] * 3
    assert looks == [tmp_path]
