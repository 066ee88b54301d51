"""Makes image files and label maps of every kind, most of them byte by byte: what libraries do not write is what is odd."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112  # EXIF
# (colour type, samples) of PNGs
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = (0, 1), (2, 3), (3, 1), (4, 2), (6, 4)
BMP_COLORS = np.stack([255 - np.arange(256), np.arange(256), np.arange(256)], axis=1).astype(np.uint8)
"""Red, green and blue of the palette of those that are made here."""
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def saved(pixels: NDArray[Any] | Image.Image, format: str = "PNG", **more: Any) -> bytes:
    """As Pillow writes it."""
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, format, **({"lossless": True} if format == "WEBP" else {}), **more)
    return buffer.getvalue()


def animated(format: str, *frames: NDArray[np.uint8], **more: Any) -> bytes:
    """Several frames or pages in one file."""
    first, *others = (Image.fromarray(each) for each in frames)
    return saved(first, format, save_all=True, append_images=others, **more)


def oriented(pixels: NDArray[np.uint8], orientation: Any, format: str = "PNG", **more: Any) -> bytes:
    """With an orientation in its EXIF data, or its tags."""
    if format == "TIFF":
        return saved(pixels, format, tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(pixels, format, exif=exif, **more)


def exif_entry(kind: int, value: bytes) -> bytes:
    """EXIF data that says the orientation as a value of another kind than a whole number."""
    entry = struct.pack("<HHI", ORIENTATION, kind, 2 if kind == 2 else 1) + value
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0" * 4


def packed(rows: NDArray[Any], bits: int) -> list[bytes]:
    """Each row of numbers (rows x numbers) in so many bits a number, the first in the highest."""
    if bits >= 8:
        return [row.astype(f">u{bits // 8}").tobytes() for row in rows]
    lines = ["".join(f"{value:0{bits}b}" for value in row) for row in rows.tolist()]
    return [int(line + "0" * (-len(line) % 8), 2).to_bytes(-(-len(line) // 8), "big") for line in lines]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    values: NDArray[Any],
    bits: int = 8,
    kind: tuple[int, int] = GREY,
    *,
    extra: bytes = b"",
    size: tuple[int, int] | None = None,
    interlaced: bool = False,
    level: int = 6,
) -> bytes:
    """Of height x width (x samples); `extra` chunks stand before the pixels, `size` (height, width) is what the header says."""
    whole = values.reshape(*values.shape[:2], kind[1])
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [whole[row::down, col::right] for row, col, down, right in passes]
    lines = [
        line for part in parts if part.size for line in packed(part.reshape(len(part), -1), bits)
    ]  # each has a byte for its filter before it
    height, width = size or values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, kind[0], 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines), level)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def palette(*colors: Sequence[int], alphas: bytes = b"") -> bytes:
    """The chunks of a PNG's palette."""
    found = chunk(b"PLTE", bytes(part for color in colors for part in color))
    return found + (chunk(b"tRNS", alphas) if alphas else b"")


def transparent(*values: int) -> bytes:
    """The chunk that says which value of a PNG is transparent."""
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def tiff(
    values: NDArray[Any],
    bits: int = 8,
    *,
    strips: int = 1,
    tile: int = 0,
    big: bool = False,
    order: str = "<",
    left_out: int = 0,
    size: tuple[int, int] | None = None,
    **tags: int,
) -> bytes:
    """Not compressed, of height x width (x samples) in strips, or tiles of `tile` x `tile`, of which the last are left out.

    size: height and width as it says.
    tags: photometric, format, planes, orientation, extra, tile_length; planes = 2 keeps samples apart.
    """
    whole = values.reshape(*values.shape[:2], -1)
    height, width, samples = whole.shape
    planes = [whole[..., place : place + 1] for place in range(samples)] if tags.get("planes") == 2 else [whole]
    rows = tile or -(-height // strips)
    blocks = [
        np.pad(block, [(0, tile - block.shape[0]), (0, tile - block.shape[1]), (0, 0)]) if tile else block
        for plane in planes
        for row in range(0, height, rows)
        for col in range(0, width, tile or width)
        for block in [plane[row : row + rows, col : col + (tile or width)]]
    ]
    parts = [
        b"".join(packed(block.reshape(len(block), -1), bits))
        if bits < 8
        else block.astype(block.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
        for block in blocks[: len(blocks) - left_out]
    ]
    starts, at = [], 16 if big else 8
    for part in parts:
        starts.append(at)
        at += len(part)
    said = size or (height, width)
    fields = {256: [said[1]], 257: [said[0]], 258: [bits] * samples, 259: [1], 262: [tags.get("photometric", 1)]}
    fields |= {277: [samples], 284: [tags.get("planes", 1)], 339: [tags.get("format", 1)] * samples}
    sizes = [len(part) for part in parts]
    if tile:
        fields |= {322: [tile], 323: [tags.get("tile_length", tile)], 324: starts, 325: sizes}
    else:
        fields |= {273: starts, 278: [rows if size is None else size[0]], 279: sizes}
    fields |= {tag: [tags[name]] for name, tag in (("orientation", ORIENTATION), ("extra", 338)) if name in tags}
    return _with_directory(b"".join(parts), fields, order, big)


def _with_directory(body: bytes, fields: dict[int, list[int]], order: str, big: bool) -> bytes:
    """The file of pixels and fields: those that are more than fit stand behind the directory."""
    count, number, kind, room = ("Q", "Q", 16, 8) if big else ("H", "I", 4, 4)
    start = (16 if big else 8) + len(body)
    after = start + struct.calcsize(f"={count}") + len(fields) * (20 if big else 12) + room
    entries, rest = b"", b""
    for tag, values in sorted(fields.items()):
        held = struct.pack(f"{order}{len(values)}{number}", *values)
        if len(held) > room:
            held, rest = struct.pack(f"{order}{number}", after + len(rest)), rest + held
        entries += struct.pack(f"{order}HH{number}", tag, kind, len(values)) + held
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, start) if big else struct.pack(f"{order}HI", 42, start)
    return mark + head + body + struct.pack(f"{order}{count}", len(fields)) + entries + b"\0" * room + rest


def bmp(
    pixels: bytes, height: int, width: int, *, bits: int = 8, runs: int = 0, down: bool = False, colors: int = 256
) -> bytes:
    """Of rows as they stand in the file; runs: 1 or 2 for run lengths of 8 or 4 bits; down: the first row is the top one."""
    listed = b"".join(bytes([*BMP_COLORS[value][::-1].tolist(), 0]) for value in range(colors)) if bits <= 8 else b""
    start = 54 + len(listed)
    head = struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    size = struct.pack("<IiiHHII", 40, width, -height if down else height, 1, bits, runs, len(pixels))
    return b"BM" + head + size + struct.pack("<iiII", 0, 0, colors if bits <= 8 else 0, 0) + listed + pixels


def npy(values: NDArray[Any], **more: Any) -> bytes:
    """As numpy writes it."""
    buffer = io.BytesIO()
    np.save(buffer, values, **more)
    return buffer.getvalue()


def npy_header(kind: str, shape: tuple[int, ...]) -> bytes:
    """An NPY that says what it holds, and holds nothing."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def deflated(data: bytes) -> bytes:
    """As PNGs pack it."""
    return zlib.compress(data)


def flipped(data: bytes, at: int) -> bytes:
    """With one byte changed."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at:][1:]


def jpeg_of_size(data: bytes, height: int, width: int) -> bytes:
    """A JPEG whose header says another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def without_adobe(data: bytes) -> bytes:
    """A JPEG without the segment in which Adobe says how its colours are meant."""
    at = data.find(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
