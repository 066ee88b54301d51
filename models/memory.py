"""Memory that is given back to the system: glibc keeps what is freed, in blocks of up to 32 MiB, for later."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Numbers of mallopt(3). Blocks from the threshold on are the system's own, and go back to it when they are freed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_GIVEN_BACK = 1 << 20
# What glibc comes to by itself in a process that frees large blocks.
_KEPT = 32 << 20


@contextmanager
def blocks_given_back() -> Iterator[None]:
    """Within, what is freed is no longer held, but for blocks below 1 MiB: a third of what images of 4,000 x 3,000 pixels take.

    It costs some time, since the system hands out each block as zeros. Without glibc nothing changes.
    """
    if (mallopt := _mallopt()) is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _GIVEN_BACK)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT)


def _mallopt() -> Callable[[int, int], int] | None:
    try:
        function: Callable[[int, int], int] = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none by that name
        return None
    return function
