"""Windows of a TIFF or BigTIFF: of its tiles, or low strips, those that a box touches are read and decoded."""

import threading
from types import ModuleType
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from service.domain.regions import Box
from service.pictures import PictureError

_MOST_PIXELS, _MOST_BYTES = 1 << 24, 1 << 28  # of a tile
_GREY, _RGB, _YCBCR = 1, 2, 6


class TiffWindows:
    """A page of a TIFF at a URL; without one, the first where the next is not as large (a pyramid's are smaller)."""

    def __init__(self, tifffile: ModuleType, url: str, page: int | None) -> None:
        self._lock = threading.Lock()
        self._file: Any = fsspec.open(url, "rb").open()
        try:
            pages = tifffile.TiffFile(self._file).pages
            if page is None and len(pages) > 1 and pages[1].shape[:2] == pages[0].shape[:2]:
                raise PictureError("several_pages", "It has several pages: say which, from 0.")
            if page is not None and page >= len(pages):
                raise PictureError("bad_reading", f"It has no page {page}.")
            self._page: Any = pages[page or 0]
        except tifffile.TiffFileError as error:
            raise PictureError("not_an_image", "It is no TIFF that can be read here, or it is damaged.") from error
        each = self._page
        self.size = int(each.imagelength), int(each.imagewidth)
        self._tile = (
            (int(each.tilelength), int(each.tilewidth)) if each.is_tiled else (int(each.rowsperstrip), self.size[1])
        )
        self._across = -(-self.size[1] // self._tile[1])
        self.about = (
            f"{each.dtype} {each.samplesperpixel} {int(each.photometric)} {self._tile} {sum(each.databytecounts)}"
        )
        self._require_readable()

    def _require_readable(self) -> None:
        page = self._page
        kinds = {(1, _GREY), (3, _RGB), (3, _YCBCR)}
        separate = page.samplesperpixel > 1 and int(page.planarconfig) != 1
        if (page.samplesperpixel, int(page.photometric)) not in kinds or page.dtype is None or separate:
            raise PictureError(
                "wrong_mode",
                "Of what is read in windows, pixels are grey (0 is black) or RGB without alpha: convert it before.",
            )
        if self._tile[0] * self._tile[1] > _MOST_PIXELS:
            raise PictureError(
                "too_large", f"Its parts are of {self._tile[0]} x {self._tile[1]} pixels: save it in tiles."
            )

    def read(self, box: Box) -> NDArray[Any]:
        """See WindowReader."""
        found = np.zeros((box.height, box.width, self._page.samplesperpixel), self._page.dtype)
        (high, wide), (rows, cols) = self._tile, box.slices
        for tile_row in range(rows.start // high, -(-rows.stop // high)):
            for tile_col in range(cols.start // wide, -(-cols.stop // wide)):
                tile = self._decoded(tile_row * self._across + tile_col)
                top, left = tile_row * high, tile_col * wide
                first, begin = max(top, rows.start), max(left, cols.start)
                part = tile[first - top : rows.stop - top, begin - left : cols.stop - left]
                found[first - rows.start :, begin - cols.start :][: part.shape[0], : part.shape[1]] = part
        return found

    def _decoded(self, index: int) -> NDArray[Any]:
        page, count = self._page, self._page.databytecounts[index]
        if count > _MOST_BYTES:
            raise PictureError("too_large", f"A tile of it holds {count:,} bytes; {_MOST_BYTES:,} is the limit.")
        with self._lock:
            self._file.seek(page.dataoffsets[index])
            data = self._file.read(count)
        if not data:  # nothing was written there
            return np.zeros((*self._tile, page.samplesperpixel), page.dtype)
        if len(data) < count:
            raise PictureError("not_an_image", "Bytes of its pixels are missing.")
        try:
            tile = page.decode(data, index, jpegtables=page.jpegtables)[0][0]
        except Exception as error:  # decoders of untrusted bytes fail in more ways than they document
            raise PictureError("not_an_image", f"A tile of it cannot be decoded: {error}") from error
        return np.asarray(tile[..., : page.samplesperpixel])
