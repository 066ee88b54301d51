"""Features of images, kept: in memory, and in a folder that processes share, both bounded; of large images in files alone."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workers.datasets.decoded import DecodedCache
from workers.files import is_unfinished, replacing
from workers.training.feature_files import Part, Shape, mapped, write_parts

log = logging.getLogger(__name__)

Features = NDArray[np.float16]
MEMORY_BYTES = 3 << 30
DISK_BYTES = 20 << 30
# Of what is over the limit of the disk so much more is removed, so that it is not looked through for every image.
_HEADROOM = 0.1
# What others have written is found by counting again, whenever this share of the limit has been written here.
_COUNTED_AGAIN = 0.05
# A file that has been under way for so long is one whose process was killed.
_STALE_SECONDS = 3600.0


class FeatureCache:
    """Features of images by what they are of and who saw them: in memory, and on disk where a folder is given.

    Both are bounded, least recently used out first; what is gone is computed again. Processes may share a folder: the bound
    is one for all of them, but that each may go over it by a twentieth before it looks what the others have written.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds as files are dated in."""
        self.folder, self._disk_bytes, self._clock = folder, disk_bytes, clock
        self._memory: DecodedCache[Features] = DecodedCache(memory_bytes)
        self._held: int | None = None  # bytes on disk, as they were counted last; None: not looked yet
        self._written = 0  # bytes of this process since then
        self._lock = threading.Lock()

    def get(self, sight: str, digest: str, look: Callable[[], Features]) -> Features:
        """The features of an image that `digest` names, as they are seen by `sight`; looked for with `look` only once."""
        return self._memory.get(f"{sight}/{digest}", lambda: self._from_disk(sight, digest, look))

    def get_large(self, sight: str, digest: str, shape: Shape, look: Callable[[], Iterable[Part]]) -> Tensor | None:
        """As `get`, (F, h, w) float16, mapped from its file, into which `look` gives them part by part: held by nobody.

        None where no file can be kept.
        """
        if self.folder is None:
            return None
        path = self._path(sight, digest)
        try:
            kept = mapped(path, shape)
            if kept is None:
                with replacing(path) as file:
                    size = write_parts(file, shape, look())
                self._count(size)
                return mapped(path, shape)
            _used(path)
        except OSError as error:
            log.warning("Features cannot be kept at %s: %s", path, error)
            return None
        return kept

    def _path(self, sight: str, digest: str) -> Path:
        assert self.folder is not None
        return self.folder / sight / digest[:2] / f"{digest}.npy"

    def _from_disk(self, sight: str, digest: str, look: Callable[[], Features]) -> Features:
        if self.folder is None:
            return look()
        path = self._path(sight, digest)
        try:
            kept: Features = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            pass
        except (ValueError, EOFError, OSError) as error:  # cut off by a machine that died, say
            log.warning("Features at %s cannot be read (%s); they are computed again.", path, error)
        else:
            _used(path)
            return kept
        seen = look()
        try:
            self._write(path, seen)
        except OSError as error:  # a full disk costs time, not work
            log.warning("Features cannot be kept at %s: %s", path, error)
        return seen

    def _write(self, path: Path, seen: Features) -> None:
        with replacing(path) as file:
            np.save(file, seen, allow_pickle=False)
            size = file.tell()
        self._count(size)

    def _count(self, size: int) -> None:
        """So many bytes more are on disk."""
        with self._lock:
            self._written += size
            due = self._held is None or self._written > _COUNTED_AGAIN * self._disk_bytes
            if due or (self._held or 0) + self._written > self._disk_bytes:
                self._held, self._written = self._make_room(), 0

    def on_disk(self) -> int:
        """Bytes that the folder holds now, with what is under way there."""
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, Path]]:
        """(last used, bytes, path) of all that is kept or under way."""
        found = []
        for path in self.folder.rglob("*.npy*") if self.folder else ():
            if path.suffix != ".npy" and not is_unfinished(path):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # another process has made room, or has ended what it wrote
                continue
            found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _make_room(self) -> int:
        """Remove what killed processes left, and what is over the limit; the bytes that stay."""
        files, stale = self._files(), self._clock() - _STALE_SECONDS
        held = sum(size for _, size, _ in files)
        most = self._disk_bytes * (1 - _HEADROOM) if held > self._disk_bytes else held
        for used, size, path in files:
            if used < stale if is_unfinished(path) else held > most:
                path.unlink(missing_ok=True)
                held -= size
        return held


def _used(path: Path) -> None:
    with suppress(OSError):  # a folder that may only be read is no less good to read from
        os.utime(path)
