"""A bounded cache of decoded images, so that state and reward images are decoded once in a worker's life."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Anything that knows its size in bytes, as arrays do."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class DecodedCache(Generic[T]):
    """Least recently used out first, once more than `limit` bytes are held."""

    def __init__(self, limit: int = 2 << 30) -> None:
        self._limit, self._held = limit, 0
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, decode: Callable[[], T]) -> T:
        """What is kept under the key, else what `decode` gives."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = decode()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._held += value.nbytes
            while self._held > self._limit and len(self._kept) > 1:
                self._held -= self._kept.popitem(last=False)[1].nbytes
        return value
