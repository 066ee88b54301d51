"""How image files are read where that is not settled by the file: deep pixels scaled to 8 bits, alpha composed, which page.

Shapes: HW height x width.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import Color

SCALES = "minmax, percentile, bits:N (N from 1 to 16), or range:LOW:HIGH"
PERCENTILES = (1.0, 99.0)
_AT_ONCE = 1 << 20  # pixels
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BITS = re.compile(r"bits:(\d{1,2})")
_RANGE = re.compile(rf"range:({_NUMBER}):({_NUMBER})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is said of a file, or of many. scale: how pixels of more than 8 bits become 0 to 255, see SCALES; None: such files
    are refused. background: what shows through where a picture is transparent. page: of a file with several, from 0; None: such
    files are refused.
    """

    scale: str | None = None
    background: Color = (255, 255, 255)
    page: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence."""
        if self.scale is not None:
            _limits_of(self.scale)
        if len(self.background) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in self.background):
            raise ValueError(f"A background is three whole numbers from 0 to 255, not {self.background}.")
        if self.page is not None and self.page < 0:
            raise ValueError(f"Pages are numbered from 0, not {self.page}.")


def color_of(text: str) -> Color:
    """Of "255,255,255". Raises ValueError with a sentence."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"A colour is three whole numbers from 0 to 255 with commas between them, not {text!r}.")
    red, green, blue = (int(part) for part in parts)
    return red, green, blue


def scaled(values_HW: NDArray[Any], scale: str) -> NDArray[np.uint8]:
    """Numbers of any kind as 0 to 255, the ends of the scale's range and what is beyond them as those; what is no number as 0.

    Raises ValueError for a scale that is none.
    """
    limits = _limits_of(scale)
    if limits is None:
        finite = values_HW[np.isfinite(values_HW)]
        if not finite.size:
            return np.zeros(values_HW.shape, np.uint8)
        ends = np.percentile(finite, PERCENTILES) if scale == "percentile" else (finite.min(), finite.max())
        limits = float(ends[0]), float(ends[1])
    low, high = limits
    found_HW = np.empty(values_HW.shape, np.uint8)
    rows = max(1, _AT_ONCE // max(1, values_HW.shape[1]))  # bounds the memory that a large picture takes
    for start in range(0, len(values_HW), rows):
        part = values_HW[start : start + rows].astype(np.float64)
        part[~np.isfinite(part)] = low
        shares = (part - low) / (high - low or 1.0)
        found_HW[start : start + rows] = np.rint(255 * shares.clip(0, 1))
    return found_HW


def _limits_of(scale: str) -> tuple[float, float] | None:
    """(low, high) where the scale says them itself; None where they are the picture's."""
    if scale in ("minmax", "percentile"):
        return None
    if found := _BITS.fullmatch(scale):
        if 1 <= int(found[1]) <= 16:
            return 0.0, float(2 ** int(found[1]) - 1)
    elif found := _RANGE.fullmatch(scale):
        low, high = float(found[1]), float(found[2])
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    raise ValueError(f"A scale is {SCALES}, not {scale!r}.")
