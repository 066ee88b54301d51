"""Files and states that are replaced as a whole, and short names for settings."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol


class StateStore(Protocol):
    """Keeps the bytes of one unfinished piece of work."""

    def load(self) -> bytes | None:
        """What was saved last, or None."""

    def save(self, data: bytes) -> None:
        """Keep these bytes in place of the last; a crash leaves the one or the other."""

    def clear(self) -> None:
        """Forget; the work is done."""


class FileState:
    """A state in a file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> bytes | None:
        """The file's bytes, or None."""
        return self.path.read_bytes() if self.path.exists() else None

    def save(self, data: bytes) -> None:
        """Write beside the file, flush to the disk, then rename."""
        write_atomically(self.path, data)

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a reader, or a crash, sees the old bytes or the new."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes the path's place at the end; where that fails nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # as is_unfinished knows it
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def is_unfinished(path: Path) -> bool:
    """Whether `replacing` has a file by this name under way, or left it there when its process was killed."""
    return path.name.startswith(".") and path.suffix[1:].isdecimal()


def settings_hash(settings: Any) -> str:
    """A short hash of settings: equal settings, equal hash."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
