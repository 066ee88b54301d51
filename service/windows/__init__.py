"""Windows of images that stay where they are and are too large to be decoded: the pixels of a box, and no others, are read.

Every format is a `WindowReader`; an image that is decoded once and kept in tiles (service/crops.py) is one, too.
"""

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.domain.readings import Reading, scaled
from service.domain.regions import Box
from service.pictures import PictureError

_SAMPLED, _SAMPLES = 64, 16


class WindowReader(Protocol):
    """An image of `size` (height, width) of which parts are read; `about` says what else tells it from others."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def about(self) -> str: ...

    def read(self, box: Box) -> NDArray[Any]:
        """Numbers as they are stored, height x width x 1 or 3. Raises PictureError, and what its file system does."""


def require_readable(reader: WindowReader, reading: Reading) -> None:
    """Raises PictureError where numbers of more than 8 bits come without a scale that is the same for all windows."""
    sample = reader.read(Box(row=0, col=0, height=1, width=1))
    if sample.dtype != np.uint8 and (reading.scale is None or reading.scale in ("minmax", "percentile")):
        raise PictureError(
            "needs_scale",
            "It has more than 8 bits a pixel, and is read in windows: say how all of them are scaled, bits:N or range:LOW:HIGH.",
        )


def rgb_window(reader: WindowReader, box: Box, scale: str | None) -> NDArray[np.uint8]:
    """What is seen of a box, RGB, uint8, height x width x 3."""
    values_HWC = reader.read(box)
    if values_HWC.dtype != np.uint8:
        flat = values_HWC.reshape(box.height, -1)
        values_HWC = scaled(flat, scale or "").reshape(values_HWC.shape)
    return np.ascontiguousarray(np.broadcast_to(values_HWC, (box.height, box.width, 3)))


def fingerprint(reader: WindowReader) -> str:
    """The SHA-256 of what an image is and of parts all over it: enough to notice another one, without reading all."""
    (height, width), found = reader.size, hashlib.sha256(f"{reader.size} {reader.about}".encode())
    high, wide = min(_SAMPLED, height), min(_SAMPLED, width)
    for place in range(_SAMPLES):
        row = place * (height - high) // (_SAMPLES - 1)
        col = place * 7 % _SAMPLES * (width - wide) // (_SAMPLES - 1)
        found.update(np.ascontiguousarray(reader.read(Box(row=row, col=col, height=high, width=wide))).tobytes())
    return found.hexdigest()
