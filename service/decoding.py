"""How many pixels this process decodes at a time: who decodes a whole image waits for room, and not for long."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import Busy

# Pixels of all images that are decoded at a time, 3 to 8 bytes each. One that is larger is decoded alone.
MOST_PIXELS = 1 << 26
# An image of no more pixels waits for nobody.
SMALL = 1 << 20
# So many may wait, each in a thread that answers nobody meanwhile, and so long.
MOST_WAITING, PATIENCE = 24, 30.0


class DecodingRoom:
    """Room for a number of pixels, in the order of asking."""

    def __init__(
        self, most: int = MOST_PIXELS, *, most_waiting: int = MOST_WAITING, patience: float = PATIENCE
    ) -> None:
        """`patience` in seconds."""
        self._most, self._most_waiting, self._patience = most, most_waiting, patience
        self._taken = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        """Within, an image of so many pixels may be decoded. Raises Busy where too many wait, or it takes too long.

        Not to be entered by who is within already.
        """
        if pixels <= SMALL:
            yield
            return
        pixels = min(pixels, self._most)
        self._enter(pixels)
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()

    def _enter(self, pixels: int) -> None:
        me = object()
        with self._changed:
            if len(self._line) >= self._most_waiting:
                raise _busy()
            self._line.append(me)
            until = time.monotonic() + self._patience
            try:
                while self._line[0] is not me or self._taken + pixels > self._most:
                    left = until - time.monotonic()
                    if left <= 0:
                        raise _busy()
                    self._changed.wait(left)
                self._taken += pixels
            finally:
                self._line.remove(me)
                self._changed.notify_all()


def _busy() -> Busy:
    return Busy("Many large images are being decoded at this moment; please try again in a few seconds.")


ROOM = DecodingRoom()
