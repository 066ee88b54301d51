"""Windows by the keys of their blobs: which image at which URL, which box of it, how it is read, and what it was at first."""

import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from service import references
from service.domain.regions import Box
from service.errors import Conflict, Invalid
from service.pixels import rgb_png
from service.windows import WindowReader, fingerprint, rgb_window
from service.windows.opening import opened

log = logging.getLogger(__name__)

LONGEST_KEY = 255
_KEPT, _KEPT_SECONDS = 4, 60.0
_PLACE = re.compile(r"(.+)@(\d+),(\d+),(\d+),(\d+),(\d*),([^,@#/]*)#([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A box of an image at a URL, and how it is read."""

    url: str
    box: Box
    page: int | None
    scale: str | None

    def key(self, print_: str) -> str:
        """Its key, where the image's fingerprint is this. Raises Invalid for a URL that is too long for it."""
        box, page = self.box, "" if self.page is None else self.page
        place = f"{self.url}@{box.row},{box.col},{box.height},{box.width},{page},{self.scale or ''}"
        key = references.key_of(place, self.digest(print_))
        if len(key) > LONGEST_KEY:
            raise Invalid(
                f"The URL {self.url[:60]}... is {len(key) - LONGEST_KEY} characters too long for an image that is read in "
                "windows.",
                code="reference_not_allowed",
                detail={"url": self.url},
            )
        return key

    def digest(self, print_: str) -> str:
        """The SHA-256 that names its pixels, where the image's fingerprint is this."""
        return hashlib.sha256(f"{print_} {self.box} {self.page} {self.scale}".encode()).hexdigest()


def window_of(key: str) -> tuple[Window, str] | None:
    """What a key says, and the digest of that time; None for a key of another kind."""
    found = _PLACE.fullmatch(key)
    if found is None:
        return None
    row, col, height, width = (int(each) for each in found.group(2, 3, 4, 5))
    window = Window(
        url=found[1],
        box=Box(row=row, col=col, height=height, width=width),
        page=int(found[6]) if found[6] else None,
        scale=found[7] or None,
    )
    return window, found[8]


def png_of(window: Window, digest: str, part: Box | None = None) -> bytes:
    """What is seen of a window, or of a part of it, as an RGB PNG. Raises Conflict where that is lost or another one by now."""
    name = window.url.rstrip("/").rpartition("/")[2]  # without its place: annotators are told of it too
    try:
        reader, print_ = READERS.get(window.url, window.page)
        same = window.digest(print_) == digest
        pixels_HW3 = rgb_window(reader, _within(window.box, part), window.scale) if same else None
    except Exception as error:  # file systems and decoders of all kinds fail in their own ways
        log.warning("A window of %s cannot be read: %s", window.url, error)
        raise Conflict(
            f"The image is a part of a file that stays elsewhere, {name}, which cannot be read now.",
            code="reference_lost",
            detail={"sha256": digest},
        ) from error
    if pixels_HW3 is None:
        log.warning("%s is not the image any more that it was.", window.url)
        raise Conflict(
            f"The file {name}, which stays elsewhere, is another one than when its parts came: put that one back.",
            code="reference_changed",
            detail={"sha256": digest},
        )
    return rgb_png(pixels_HW3)


class OpenReaders:
    """Readers that stay open for a moment, since windows of one image are asked for together, with their fingerprints."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int | None], tuple[float, WindowReader, str]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str, page: int | None) -> tuple[WindowReader, str]:
        """Raises PictureError, and what file systems raise."""
        key = url, page
        with self._lock:
            if key in self._kept and time.monotonic() - self._kept[key][0] < _KEPT_SECONDS:
                return self._kept[key][1:]
            reader = opened(url, page)
            self._kept[key] = time.monotonic(), reader, fingerprint(reader)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key][1:]


def _within(box: Box, part: Box | None) -> Box:
    if part is None:
        return box
    return Box(row=box.row + part.row, col=box.col + part.col, height=part.height, width=part.width)


READERS = OpenReaders()
