"""Label maps of few bits are values as their files hold them."""

import struct

import pytest

from service.domain.classes import ClassSet, LabelClass
from service.domain.label_readings import read_label_map

FOUR = ClassSet(classes=tuple(LabelClass(id=id, name=f"class {id}", color=(id, 0, 0)) for id in range(4)))
SHORT, LONG = 3, 4


def grey_tiff(bits: int, packed: bytes) -> bytes:
    """A row of four pixels, as the TIFF specification lays it out (6.0, section 4)."""
    tags = [(256, LONG, 4), (257, LONG, 1), (258, SHORT, bits), (259, SHORT, 1), (262, SHORT, 1), (273, LONG, 8)]
    tags += [(277, SHORT, 1), (278, LONG, 1), (279, LONG, len(packed))]
    values = b"".join(struct.pack("<HHIHH", tag, kind, 1, value, 0) for tag, kind, value in tags)
    start = 8 + len(packed) + len(packed) % 2
    head = struct.pack("<2sHI", b"II", 42, start) + packed.ljust(start - 8, b"\0")
    return head + struct.pack("<H", len(tags)) + values + struct.pack("<I", 0)


@pytest.mark.parametrize(
    ("bits", "packed", "values"),
    [
        (8, bytes([0, 1, 2, 3]), [0, 1, 2, 3]),
        (4, bytes([0x01, 0x23]), [0, 1, 2, 3]),
        (2, bytes([0b00_01_10_11]), [0, 1, 2, 3]),
        (1, bytes([0b0110_0000]), [0, 1, 1, 0]),
    ],
)
def test_grey_values_of_a_tiff_are_not_stretched(bits: int, packed: bytes, values: list[int]) -> None:
    assert read_label_map(grey_tiff(bits, packed), FOUR, max_pixels=100).tolist() == [values]
