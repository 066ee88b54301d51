"""Label maps as PNG, against Pillow, and what is refused."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from service.domain.classes import CAMVID
from service.domain.masks import (
    MaskError,
    decode_label_png,
    decode_png,
    encode_label_png,
)

label_maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24))
# First row, first column, row step and column step of the seven passes of an interlaced PNG.
_PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def _png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _raw_png(height: int, width: int, *chunks: bytes, bits: int = 8, color_type: int = 0, interlaced: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _code(decode: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(MaskError) as raised:
        decode(*args, **options)
    assert str(raised.value) == raised.value.message
    return raised.value.code


class TestPng:
    @given(label_maps, st.sampled_from([None, CAMVID.palette(), [1, 2, 3]]))
    def test_decoding_gives_what_was_encoded_with_any_palette(self, label_map: Any, palette: list[int] | None) -> None:
        data = encode_label_png(label_map, palette)
        height, width = label_map.shape
        decoded = decode_label_png(data, height=height, width=width)
        assert decoded.dtype == np.uint8
        assert decoded.flags.writeable
        np.testing.assert_array_equal(decoded, label_map)
        np.testing.assert_array_equal(decode_png(data, max_pixels=height * width), label_map)

    def test_pillow_reads_the_palette_colors_from_an_8_bit_png(self) -> None:
        data = encode_label_png(np.array([[3, 0]], dtype=np.uint8), CAMVID.palette())
        assert data[24] == 8
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "P"
            assert np.array(image.convert("RGB")).tolist() == [[[128, 64, 128], [128, 128, 128]]]

    @pytest.mark.parametrize("colors", [2, 4, 16, 200])
    def test_palette_pngs_that_pillow_packs_into_fewer_bits_keep_their_indices(self, colors: int) -> None:
        label_map = (np.arange(35) % colors).astype(np.uint8).reshape(5, 7)
        image = Image.fromarray(label_map)
        image.putpalette([value % 256 for value in range(3 * colors)])
        np.testing.assert_array_equal(decode_label_png(_png(image), height=5, width=7), label_map)

    def test_text_color_profiles_transparency_and_animation_do_not_matter(self) -> None:
        first, second = np.full((9, 10), 4, dtype=np.uint8), np.full((9, 10), 5, dtype=np.uint8)
        animated = _png(Image.fromarray(first), save_all=True, append_images=[Image.fromarray(second)])
        np.testing.assert_array_equal(decode_label_png(animated, height=9, width=10), first)
        with_extras = _png(Image.fromarray(first), icc_profile=b"none", transparency=4, dpi=(1, 1))
        np.testing.assert_array_equal(decode_label_png(with_extras, height=9, width=10), first)

    @pytest.mark.parametrize(
        ("image", "kind"),
        [
            (Image.new("RGB", (7, 5)), "RGB of 8 bits"),
            (Image.new("RGBA", (7, 5)), "RGBA of 8 bits"),
            (Image.new("LA", (7, 5)), "greyscale with alpha of 8 bits"),
            (Image.new("1", (7, 5)), "greyscale of 1 bits"),
            (Image.new("I;16", (7, 5)), "greyscale of 16 bits"),
        ],
    )
    def test_other_modes_are_refused_and_named(self, image: Image.Image, kind: str) -> None:
        with pytest.raises(MaskError, match=f"The PNG is {kind}") as raised:
            decode_label_png(_png(image), height=5, width=7)
        assert raised.value.code == "wrong_mode"

    @pytest.mark.parametrize("form", ["JPEG", "BMP", "GIF", "TIFF"])
    def test_other_formats_are_not_taken_for_a_label_map(self, form: str) -> None:
        buffer = io.BytesIO()
        Image.new("L", (7, 5)).save(buffer, format=form)
        assert _code(decode_label_png, buffer.getvalue(), height=5, width=7) == "not_an_image"

    def test_another_size_is_refused_with_both_sizes(self) -> None:
        data = encode_label_png(np.zeros((5, 7), dtype=np.uint8))
        with pytest.raises(MaskError, match="is 5 high and 7 wide; 7 high and 5 wide is expected") as raised:
            decode_label_png(data, height=7, width=5)
        assert raised.value.code == "wrong_size"

    @given(st.data())
    def test_one_changed_byte_anywhere_is_refused(self, data: st.DataObject) -> None:
        png = bytearray(encode_label_png(np.arange(120, dtype=np.uint8).reshape(10, 12), CAMVID.palette()))
        place = data.draw(st.integers(0, len(png) - 1))
        png[place] ^= data.draw(st.integers(1, 255))
        assert _code(decode_label_png, bytes(png), height=10, width=12) in {"not_an_image", "wrong_size", "wrong_mode"}

    def test_a_png_cut_short_anywhere_is_refused(self) -> None:
        png = encode_label_png(np.arange(120, dtype=np.uint8).reshape(10, 12))
        codes = {_code(decode_label_png, png[:end], height=10, width=12) for end in range(len(png))}
        assert codes == {"not_an_image"}

    @given(st.binary(max_size=200))
    def test_bytes_that_are_no_png_are_not_an_image(self, data: bytes) -> None:
        assert _code(decode_png, data, max_pixels=100) == "not_an_image"

    @settings(max_examples=300)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"IDAT", b"PLTE", b"tRNS", b"zTXt", b"IHDR", b"acTL", b"fdAT", b"XXXX"]),
                st.one_of(st.binary(max_size=30), st.binary(max_size=30).map(zlib.compress)),
            ),
            max_size=4,
        ),
        st.sampled_from([0, 3]),
    )
    def test_chunks_with_right_checksums_and_any_content_decode_or_are_refused(
        self, chunks: list[tuple[bytes, bytes]], color_type: int
    ) -> None:
        data = _raw_png(3, 4, *(_chunk(*each) for each in chunks), color_type=color_type)
        try:
            assert decode_label_png(data, height=3, width=4).shape == (3, 4)
        except MaskError as error:
            assert error.code == "not_an_image"  # noqa: PT017

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 8), (9, 17)])
    def test_interlaced_pngs_keep_their_indices(self, height: int, width: int, bits: int) -> None:
        label_map = np.random.default_rng(0).integers(0, 1 << bits, size=(height, width), dtype=np.uint8)
        rows = b""
        for top, left, down, right in _PASSES:
            for row in label_map[top::down, left::right]:
                packed = np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()
                rows += b"\x00" + np.packbits(packed).tobytes() if row.size else b""
        chunks = _chunk(b"PLTE", bytes(3 << bits)), _chunk(b"IDAT", zlib.compress(rows))
        data = _raw_png(height, width, *chunks, bits=bits, color_type=3, interlaced=1)
        np.testing.assert_array_equal(decode_label_png(data, height=height, width=width), label_map)

    @pytest.mark.parametrize(
        "pixels",
        [
            zlib.compress(b"\x00abcd" * 2),
            zlib.compress(b"\x00abcd" * 4),
            zlib.compress(b"\x00abcd" * 3 + b"\x00"),
            zlib.compress(b"\x00abcd" * 3)[:-4],
            zlib.compress(b"\x00abcd" * 3)[:-1] + b"x",
            zlib.compress(b"\x09abcd" * 3),
            b"",
        ],
        ids=["a row short", "a row long", "a byte long", "no checksum", "wrong checksum", "unknown filter", "nothing"],
    )
    def test_damaged_pixels_behind_right_chunk_checksums_are_refused(self, pixels: bytes) -> None:
        data = _raw_png(3, 4, _chunk(b"IDAT", pixels))
        assert _code(decode_label_png, data, height=3, width=4) == "not_an_image"

    def test_pixels_may_be_spread_over_several_chunks(self) -> None:
        pixels = zlib.compress(b"\x00abcd" * 2)
        data = _raw_png(2, 4, *(_chunk(b"IDAT", pixels[place : place + 3]) for place in range(0, len(pixels), 3)))
        assert decode_label_png(data, height=2, width=4).tolist() == [[97, 98, 99, 100]] * 2

    def test_a_bomb_is_refused_by_its_header_before_anything_of_its_size_is_allocated(self) -> None:
        bomb = _raw_png(60_000, 60_000, _chunk(b"IDAT", zlib.compress(bytes(10**7))))
        tracemalloc.start()
        assert _code(decode_png, bomb, max_pixels=10**6) == "too_large"
        assert _code(decode_label_png, bomb, height=90, width=80) == "wrong_size"
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()

    def test_pixels_and_text_that_inflate_beyond_the_header_are_not_inflated(self) -> None:
        rows = b"\x00abcd" * 2
        bomb = _raw_png(2, 4, _chunk(b"IDAT", zlib.compress(rows + bytes(10**7))))
        text = _chunk(b"zTXt", b"k\x00\x00" + zlib.compress(bytes(10**7)))
        with_text = _raw_png(2, 4, text, _chunk(b"IDAT", zlib.compress(rows)))
        tracemalloc.start()
        assert _code(decode_label_png, bomb, height=2, width=4) == "not_an_image"
        assert decode_label_png(with_text, height=2, width=4).tolist() == [[97, 98, 99, 100]] * 2
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()

    @pytest.mark.parametrize(("height", "width"), [(0, 4), (4, 0), (1 << 31, 4)])
    def test_sizes_that_no_png_has_are_refused(self, height: int, width: int) -> None:
        assert _code(decode_png, _raw_png(height, width), max_pixels=10**6) == "not_an_image"

    @pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)])
    def test_what_is_no_label_map_is_not_encoded(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match="A label map is uint8, height x width"):
            encode_label_png(wrong)

    @pytest.mark.parametrize("palette", [[1, 2], [0, 0, 256], [0, -1, 0], [0] * 771])
    def test_what_is_no_palette_is_refused(self, palette: list[int]) -> None:
        with pytest.raises(ValueError, match="A palette holds up to 256 triples"):
            encode_label_png(np.zeros((2, 2), dtype=np.uint8), palette)
