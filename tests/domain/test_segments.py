"""Segments and how tools write them: worked out by hand, and read by the tools' own decoders."""

import numpy as np
import pytest
from cvat_sdk.masks import encode_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_studio_converter.brush import decode_rle

from service.domain.regions import Box
from service.domain.segments import brush_rle, panoptic_rgb, row_runs, segments

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def test_a_segment_holds_every_pixel_of_its_class_and_the_box_around_them() -> None:
    label_map = np.array([[9, 4, 9], [4, 9, 2], [9, 9, 2]], np.uint8)
    two, four = segments(label_map, (2, 3, 4))
    assert (two.class_id, two.area, two.box) == (2, 2, Box(row=1, col=2, height=2, width=1))
    assert (four.class_id, four.area, four.box) == (4, 2, Box(row=0, col=0, height=2, width=2))
    np.testing.assert_array_equal(four.mask_HW, label_map == 4)


def test_panoptic_colors_are_the_digits_of_the_segment_id_to_base_256() -> None:
    rgb = panoptic_rgb(np.array([[0, 1, 256, 65536 + 512 + 3]]))
    assert rgb.tolist() == [[[0, 0, 0], [1, 0, 0], [0, 1, 0], [3, 2, 1]]]


@given(MASKS)
def test_a_brush_is_read_by_label_studio(mask: np.ndarray) -> None:
    pixels = np.repeat(mask.ravel() * np.uint8(255), 4)
    assert decode_rle(brush_rle(mask)).tolist() == pixels.tolist()


@pytest.mark.parametrize("filled", [0, 2, 4, 64, 16383, 16384, 16385, 32768])
def test_a_brush_of_runs_of_every_length_is_read(filled: int) -> None:
    mask = np.zeros((128, 257), np.bool_)
    mask.flat[:filled] = True
    assert decode_rle(brush_rle(mask)).reshape(128, 257, 4)[..., 3].sum() == 255 * filled


@given(MASKS)
def test_runs_along_the_rows_are_those_of_cvat(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert row_runs(mask) == encode_mask(mask, [0, 0, width, height])[:-4]
