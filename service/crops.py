"""Crops of images for people: a large image is decoded once, and kept for a while in tiles that crops are put together of."""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.decoding import DecodingRoom
from service.domain.regions import Box
from service.pixels import crop_png, rgb_png, rgb_strips
from service.windows.keyed import png_of, window_of

# Images of more pixels are kept in tiles.
LARGE = 1 << 22
TILE = 512
# Compressed bytes of all images that are kept.
KEPT_BYTES = 128 << 20
_FAST = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiled:
    """An image of height x width as compressed RGB tiles, TILE pixels high and wide but for the last ones, by row and column."""

    height: int
    width: int
    tiles: dict[tuple[int, int], bytes]

    @property
    def nbytes(self) -> int:
        """Of all tiles."""
        return sum(map(len, self.tiles.values()))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def about(self) -> str:
        """See WindowReader."""
        return "decoded"

    def read(self, box: Box) -> NDArray[np.uint8]:
        """The box's, RGB, uint8, height x width x 3."""
        found = np.empty((box.height, box.width, 3), np.uint8)
        rows, cols = box.slices
        for top in range(rows.start // TILE * TILE, rows.stop, TILE):
            for left in range(cols.start // TILE * TILE, cols.stop, TILE):
                below, right = min(top + TILE, self.height), min(left + TILE, self.width)
                tile = np.frombuffer(zlib.decompress(self.tiles[top // TILE, left // TILE]), np.uint8)
                tile = tile.reshape(below - top, right - left, 3)
                first, last = max(top, rows.start), min(below, rows.stop)
                begin, end = max(left, cols.start), min(right, cols.stop)
                found[first - rows.start : last - rows.start, begin - cols.start : end - cols.start] = tile[
                    first - top : last - top, begin - left : end - left
                ]
        return found


def tiled(data: bytes) -> Tiled:
    """An image file, as `look` has found it plain or derived, in tiles."""
    tiles, height, width = dict[tuple[int, int], bytes](), 0, 0
    for strip_hW3 in rgb_strips(data, TILE):
        width = strip_hW3.shape[1]
        for left in range(0, width, TILE):
            part = np.ascontiguousarray(strip_hW3[:, left : left + TILE])
            tiles[height // TILE, left // TILE] = zlib.compress(part.tobytes(), _FAST)
        height += strip_hW3.shape[0]
    return Tiled(height=height, width=width, tiles=tiles)


class Crops:
    """Crops of images by the keys of their blobs; each large image is decoded by one caller while others of it wait."""

    def __init__(self, room: DecodingRoom, kept_bytes: int = KEPT_BYTES) -> None:
        self._room, self._most = room, kept_bytes
        self._kept: OrderedDict[str, Tiled] = OrderedDict()
        self._lock = threading.Lock()

    def png(self, key: str, size: tuple[int, int], box: Box, read: Callable[[], bytes]) -> bytes:
        """The box's pixels of an image of `size` (H, W), whose file `read` gives, as an RGB PNG. Raises Busy.

        Of a window of a large image no more is read than the box.
        """
        window = window_of(key)
        if window is not None:
            with self._room.room(box.area):
                return png_of(*window, part=box)
        pixels = size[0] * size[1]
        if pixels <= LARGE:
            with self._room.room(pixels):
                return crop_png(read(), box)
        found = self._found(key)
        if found is not None:
            with self._room.room(box.area):
                return rgb_png(found.read(box))
        with self._room.room(pixels):
            # Who waited meanwhile finds it.
            found = self._found(key) or self._keep(key, tiled(read()))
            return rgb_png(found.read(box))

    def _found(self, key: str) -> Tiled | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: str, image: Tiled) -> Tiled:
        with self._lock:
            self._kept[key] = image
            while sum(each.nbytes for each in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return image
