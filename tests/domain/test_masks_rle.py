"""Masks as COCO RLE, against pycocotools, and what is refused."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from service.domain.masks import MaskError, label_map_from_rles, rle_decode, rle_encode

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))


def _code(decode: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(MaskError) as raised:
        decode(*args, **options)
    assert str(raised.value) == raised.value.message
    return raised.value.code


class TestRle:
    @given(masks)
    def test_encoding_equals_pycocotools_byte_for_byte(self, mask: np.ndarray) -> None:
        expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert rle_encode(mask) == {"size": expected["size"], "counts": expected["counts"].decode()}

    @given(st.lists(st.integers(1, 40_000), min_size=1, max_size=12), st.booleans())
    @example([1, 600_000, 1, 1, 600_000, 1], True)
    def test_long_runs_and_falling_counts_equal_pycocotools_byte_for_byte(self, runs: list[int], first: bool) -> None:
        mask = np.repeat((np.arange(len(runs)) % 2 == 0) == first, runs)[:, None]
        expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert rle_encode(mask)["counts"] == expected["counts"].decode()
        np.testing.assert_array_equal(rle_decode(rle_encode(mask)), mask)

    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    @given(masks)
    def test_pycocotools_decodes_both_of_our_forms(self, mask: np.ndarray) -> None:
        height, width = mask.shape
        compressed, runs = rle_encode(mask), rle_encode(mask, compressed=False)
        np.testing.assert_array_equal(coco.decode(compressed), mask)
        np.testing.assert_array_equal(coco.decode(coco.frPyObjects(runs, height, width)), mask)
        assert coco.frPyObjects(runs, height, width)["counts"].decode() == compressed["counts"]

    @given(masks)
    def test_we_decode_pycocotools_and_both_of_our_forms(self, mask: np.ndarray) -> None:
        theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        for rle in (theirs, rle_encode(mask), rle_encode(mask, compressed=False)):
            decoded = rle_decode(rle)
            assert decoded.dtype == np.bool_
            np.testing.assert_array_equal(decoded, mask)

    def test_counts_run_down_the_columns_and_begin_with_the_unset(self) -> None:
        mask = np.array([[False, True], [True, True], [False, False]])
        assert rle_encode(mask, compressed=False) == {"size": [3, 2], "counts": [1, 1, 1, 2, 1]}
        assert rle_encode(~mask, compressed=False) == {"size": [3, 2], "counts": [0, 1, 1, 1, 2, 1]}

    def test_empty_runs_in_the_middle_are_taken(self) -> None:
        assert rle_decode({"size": [1, 4], "counts": [1, 0, 1, 2]}).tolist() == [[False, False, True, True]]

    @pytest.mark.parametrize(
        "rle",
        [
            {},
            [],
            {"size": [2, 2]},
            {"counts": [4]},
            {"size": [2], "counts": [4]},
            {"size": [2, 2, 1], "counts": [4]},
            {"size": [2, -2], "counts": [4]},
            {"size": [0, 2], "counts": []},
            {"size": [True, 4], "counts": [4]},
            {"size": [2.0, 2], "counts": [4]},
            {"size": "22", "counts": [4]},
            {"size": [2, 2], "counts": [3]},
            {"size": [2, 2], "counts": [5]},
            {"size": [2, 2], "counts": []},
            {"size": [2, 2], "counts": [6, -2]},
            {"size": [2, 2], "counts": [4.0]},
            {"size": [2, 2], "counts": [True, 3]},
            {"size": [2, 2], "counts": [1 << 70]},
            {"size": [2, 2], "counts": None},
            {"size": [2, 2], "counts": ""},
            {"size": [2, 2], "counts": "Q"},
            {"size": [2, 2], "counts": "!"},
            {"size": [2, 2], "counts": "é"},
            {"size": [2, 2], "counts": "4\x80"},
            {"size": [2, 2], "counts": "P" * 20 + "1"},
        ],
    )
    def test_what_is_no_rle_is_refused(self, rle: Any) -> None:
        assert _code(rle_decode, rle) == "bad_rle"

    @given(st.text(max_size=30), st.tuples(st.integers(1, 9), st.integers(1, 9)))
    def test_any_text_decodes_to_its_size_or_is_refused(self, counts: str, size: tuple[int, int]) -> None:
        try:
            assert rle_decode({"size": list(size), "counts": counts}).shape == size
        except MaskError as error:
            assert error.code == "bad_rle"  # noqa: PT017

    def test_a_size_beyond_the_limit_is_refused_before_it_is_allocated(self) -> None:
        tracemalloc.start()
        assert _code(rle_decode, {"size": [60_000, 60_000], "counts": [3_600_000_000]}) == "too_large"
        assert _code(rle_decode, {"size": [10**12, 10**12], "counts": [1]}) == "too_large"
        assert _code(rle_decode, {"size": [3, 3], "counts": [9]}, max_pixels=8) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()

    def test_a_mask_without_pixels_has_no_rle(self) -> None:
        with pytest.raises(ValueError, match="height x width"):
            rle_encode(np.zeros((0, 3), dtype=np.bool_))


class TestLabelMapFromRles:
    @given(arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 3, 7, 255])), st.booleans())
    def test_one_rle_per_class_makes_the_label_map_they_came_from(self, label_map: Any, compressed: bool) -> None:
        rles = {each: rle_encode(label_map == each, compressed=compressed) for each in (0, 3, 7)}
        rebuilt = label_map_from_rles(rles, height=5, width=6, ignore_id=255)
        assert rebuilt.dtype == np.uint8
        np.testing.assert_array_equal(rebuilt, label_map)

    def test_pixels_in_no_rle_are_ignored_pixels(self) -> None:
        assert label_map_from_rles({}, height=1, width=2, ignore_id=11).tolist() == [[11, 11]]

    def test_overlapping_rles_are_refused_with_both_classes(self) -> None:
        rles = {3: {"size": [1, 4], "counts": [0, 2, 2]}, 5: {"size": [1, 4], "counts": [1, 2, 1]}}
        with pytest.raises(MaskError, match="RLEs of classes 3 and 5 overlap") as raised:
            label_map_from_rles(rles, height=1, width=4, ignore_id=255)
        assert raised.value.code == "overlapping_rle"

    def test_overlap_is_noticed_on_the_ignore_id_too(self) -> None:
        rles = {255: {"size": [1, 2], "counts": [0, 2]}, 5: {"size": [1, 2], "counts": [1, 1]}}
        assert _code(label_map_from_rles, rles, height=1, width=2, ignore_id=255) == "overlapping_rle"

    def test_an_rle_of_another_size_is_refused_before_it_is_decoded(self) -> None:
        rles = {3: {"size": [2, 2], "counts": [4]}, 5: {"size": [60_000, 60_000], "counts": [3_600_000_000]}}
        with pytest.raises(MaskError, match="class 5 is of 60000 high and 60000 wide; 2 high and 2 wide") as raised:
            label_map_from_rles(rles, height=2, width=2, ignore_id=255)
        assert raised.value.code == "wrong_size"

    @pytest.mark.parametrize("class_id", [-1, 256])
    def test_an_id_that_no_png_holds_is_refused(self, class_id: int) -> None:
        rles = {class_id: {"size": [1, 1], "counts": [1]}}
        assert _code(label_map_from_rles, rles, height=1, width=1, ignore_id=255) == "bad_rle"
