"""CVAT's own files: masks, polygons and boxes by z-order, subsets as splits, and hostile XML."""

from pathlib import Path

import numpy as np
import pytest
from cvat_sdk.masks import encode_mask

from tests.workers.datasets.pictures import picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError, behind
from workers.datasets.formats import Annotated, Drawn
from workers.datasets.formats.shapes import polygon_mask

HEIGHT, WIDTH = 20, 40
LABELS = "".join(
    f"<label><name>{name}</name><color>#{color}</color></label>"
    for name, color in (("car", "ff0000"), ("road", "00ff00"))
)


def cvat(root: Path, shapes: str, *, before: str = "", image: str = 'name="a.png"', labels: str = LABELS) -> Path:
    write(root / "images" / "a.png", picture(0, HEIGHT, WIDTH))
    (root / "annotations.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>{before}<annotations><version>1.1</version><meta><task><labels>{labels}'
        f'</labels></task></meta><image id="0" {image} width="{WIDTH}" height="{HEIGHT}">{shapes}</image></annotations>'
    )
    return root


def drawn(root: Path) -> Drawn:
    source, number = behind(open_dataset("cvat", root).splits["pool"], 0)
    assert isinstance(source, Annotated)
    return source.drawn(number)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_shapes_lie_in_the_order_of_z_and_lines_have_no_area(tmp_path: Path) -> None:
    ring = box(2, 3, 9, 12) & ~box(4, 5, 7, 9)
    *runs, left, top, right, bottom = map(int, encode_mask(ring.astype(np.uint8).astype(bool)))
    shapes = (
        f'<mask label="car" rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{right - left + 1}" '
        f'height="{bottom - top + 1}" z_order="1"></mask>'
        '<polygon label="road" points="0.0,0.0;20.0,0.0;20.0,10.0;0.0,10.0" z_order="0"></polygon>'
        '<box label="car" xtl="30.0" ytl="10.0" xbr="40.0" ybr="20.0" z_order="0"></box>'
        '<polyline label="car" points="0,0;5,5"></polyline><tag label="car"></tag>'
    )
    dataset = open_dataset("cvat", cvat(tmp_path, shapes))
    assert [(each.name, each.color) for each in dataset.classes.classes] == [
        ("car", (255, 0, 0)),
        ("road", (0, 255, 0)),
    ]
    found = drawn(tmp_path)
    np.testing.assert_array_equal(found.indices_HW == 0, ring | box(10, 30, 20, 40))
    np.testing.assert_array_equal(found.indices_HW == 1, box(0, 0, 10, 20) & ~ring)
    np.testing.assert_array_equal(found.labelled_HW, box(0, 0, 10, 20) | box(10, 30, 20, 40))


def test_subsets_are_splits_and_missing_images_are_named(tmp_path: Path) -> None:
    root = cvat(tmp_path, "", image='name="gone.png" subset="Validation"')
    reward = open_dataset("cvat", root).splits["reward"]
    with pytest.raises(DatasetError, match=r"gone\.png cannot be read"):
        reward.image(0)
    with pytest.raises(LookupError):
        reward.label_map(0)


ENTITIES = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>'
FILES = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("before", [ENTITIES, FILES, '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'])
def test_xml_that_declares_anything_is_refused(tmp_path: Path, before: str) -> None:
    with pytest.raises(DatasetError, match="declares a document type"):
        open_dataset("cvat", cvat(tmp_path, "", before=before, labels=LABELS))


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ('<box label="cow" xtl="0" ytl="0" xbr="1" ybr="1"/>', "the label 'cow', which is not in the list"),
        ('<box label="car" xtl="0"/>', "it lacks 'ytl'"),
        ('<ellipse label="car" cx="9" cy="9" rx="3" ry="2"/>', "shapes of the kind ellipse, which are not read"),
        ('<polygon label="car" points="1,2;3"/>', "at least three points"),
        ('<polygon label="car" points="a,b"/>', "could not convert"),
        ('<mask label="car" rle="1,2" left="0" top="0" width="9" height="9"/>', "do not add up"),
        ('<mask label="car" rle="1" left="0" top="0" width="999999" height="999999"/>', "is the limit"),
    ],
)
def test_what_is_wrong_with_a_shape_is_said(tmp_path: Path, shapes: str, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        drawn(cvat(tmp_path, shapes))


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    for root, sentence in (
        (cvat(tmp_path / "a", "", labels=""), "names no label"),
        (cvat(tmp_path / "b", "", labels=LABELS + LABELS), "Class names must differ"),
        (cvat(tmp_path / "c", "<"), "cannot be read"),
        (cvat(tmp_path / "d", "", image='name="../a.png"'), "holds `..`"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            open_dataset("cvat", root)


def test_a_turned_box_is_drawn_turned(tmp_path: Path) -> None:
    shapes = '<box label="car" xtl="4" ytl="8" xbr="20" ybr="12" rotation="90"></box>'
    np.testing.assert_array_equal(drawn(cvat(tmp_path, shapes)).labelled_HW, box(2, 10, 18, 14))


def test_what_reaches_beyond_an_image_keeps_its_slopes_within() -> None:
    beyond = polygon_mask([[50, 0, -150, 100, 50, 100]], 100, 100)
    assert beyond.sum() == pytest.approx(4375, rel=0.02)  # 50 x 100 less the triangle above the slope
    assert not polygon_mask([[-30, -30, -10, -30, -10, -10]], 100, 100).any()
