"""Memory that is given back to the system: glibc keeps what is freed, in blocks of up to 32 MiB, for later."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

# Numbers of mallopt(3). Blocks from the threshold on are the system's own, and go back to it when they are freed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_GIVEN_BACK = 1 << 20
# What glibc comes to by itself in a process that frees large blocks.
_KEPT = 32 << 20
# Of madvise(2), on Linux.
_DONTNEED = 4


@contextmanager
def blocks_given_back() -> Iterator[None]:
    """Within, what is freed is no longer held, but for blocks below 1 MiB: a third of what images of 4,000 x 3,000 pixels take.

    It costs some time, since the system hands out each block as zeros. Without glibc nothing changes.
    """
    if (mallopt := _function("mallopt")) is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _GIVEN_BACK)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT)


def let_go_of_file(tensor: Tensor) -> None:
    """Of a tensor that a file is mapped to, and nobody writes to, hold nothing: it is read from the file again. Others stay."""
    storage = tensor.untyped_storage()
    if tensor.device.type == "cpu" and storage.filename is not None and (madvise := _function("madvise")) is not None:
        madvise(ctypes.c_void_p(storage.data_ptr()), ctypes.c_size_t(storage.nbytes()), _DONTNEED)


def _function(name: str) -> Callable[..., int] | None:
    """One of the C library's; None in another library that lacks it."""
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return function
