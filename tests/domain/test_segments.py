"""Segments and how tools write them: worked out by hand, and read by the tools' own decoders."""

import numpy as np
from cvat_sdk.masks import encode_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

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
def test_runs_along_the_rows_are_those_of_cvat(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert row_runs(mask) == encode_mask(mask, [0, 0, width, height])[:-4]


def test_a_brush_counts_its_values_and_writes_a_length_and_a_value_for_each_run() -> None:
    bits = "".join(f"{byte:08b}" for byte in brush_rle(np.array([[False, True, True, True, True, True]])))
    header = f"{24:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    unset = "1" + "00" + "011" + "00000000"  # 4 values: 3 bits are enough
    filled = "1" + "10" + "00010011" + "11111111"  # 20 values: 8 bits
    assert bits == header + unset + filled + "0" * (-len(header + unset + filled) % 8)
