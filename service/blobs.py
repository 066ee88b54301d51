"""Bytes of images, label maps and checkpoints, by key, on any file system that fsspec knows."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fsspec.implementations.local import LocalFileSystem

from service import far, references
from service.windows.keyed import png_of, window_of

_KEY = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")


class BlobMissing(FileNotFoundError):
    """A row names bytes that are not there."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There are no bytes under {key}: bring them back from the backup.")
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Bytes that are there: their key, how many, and when they came, where the file system says so."""

    key: str
    size: int
    modified: datetime | None


class Blobs:
    """A folder of blobs; each appears whole or not at all, and none that a row refers to is ever changed."""

    def __init__(self, url: str) -> None:
        """`url` is an fsspec URL: file:///var/lib/regionwise/blobs, s3://bucket/prefix, memory://blobs."""
        self._files, self._root = far.opened(url)

    @property
    def folder(self) -> Path | None:
        """Where the blobs lie, if that is a folder of this machine."""
        return Path(self._root) if isinstance(self._files, LocalFileSystem) else None

    def total_size(self) -> int | None:
        """Bytes of all blobs, found by looking at each; None where the blobs lie elsewhere, which would be asked for long."""
        return None if self.folder is None else sum(each.size for each in self.found())

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`; what is already there stays, and counts as new: somebody is about to name it."""
        path = self._path(key)
        if not self._there(path):
            self.replace(key, data)
        elif isinstance(self._files, LocalFileSystem):
            with suppress(FileNotFoundError):
                os.utime(path)

    def replace(self, key: str, data: bytes) -> None:
        """Store `data` under `key` in place of what is there: for the state of unfinished jobs, which has no row."""
        path = self._path(key)
        if isinstance(self._files, LocalFileSystem):
            _write_durably(Path(path), data)
        else:
            with far.answering():
                self._files.pipe_file(path, data)

    def put_content(self, kind: str, data: bytes, suffix: str = "") -> str:
        """Store `data` under a key made of its SHA-256, and return the key: `kind/ab/abcd...suffix`."""
        digest = hashlib.sha256(data).hexdigest()
        key = f"{kind}/{digest[:2]}/{digest}{suffix}"
        self.put(key, data)
        return key

    def get(self, key: str) -> bytes:
        """The bytes under `key`, which may be a reference's, or a window's (a PNG). Raises BlobMissing, and what those raise."""
        if references.is_reference(key):
            found = window_of(key)
            return references.read(key) if found is None else png_of(*found)
        try:
            with far.answering():
                data: bytes = self._files.cat_file(self._path(key))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        return data

    def exists(self, key: str) -> bool:
        """Whether there are bytes under `key`; those of a reference are elsewhere, and reading them tells."""
        return references.is_reference(key) or self._there(self._path(key))

    def delete(self, key: str) -> None:
        """Remove the bytes under `key`, if there are any, but never a file elsewhere. Nothing may refer to them any more."""
        if references.is_reference(key):
            return
        path = self._path(key)
        with far.answering():
            if self._files.exists(path):
                self._files.rm_file(path)

    def delete_under(self, folder: str) -> None:
        """Remove all bytes whose keys begin with `folder/`, if there are any."""
        path = self._path(folder)
        with far.answering():
            if self._files.exists(path):
                self._files.rm(path, recursive=True)

    def size(self, key: str) -> int:
        """How many bytes there are under `key`; 0 where there is nothing, or what is there is elsewhere."""
        with far.answering():
            there = not references.is_reference(key) and self._files.exists(self._path(key))
            return int(self._files.size(self._path(key)) or 0) if there else 0

    def found(self) -> Iterator[Found]:
        """All that is there, a folder at a time, half written files too."""
        root = self._root.rstrip("/")
        with far.answering():
            for folder, _, files in self._files.walk(root, detail=True):
                for name, info in files.items():
                    key = f"{folder.rstrip('/')}/{name}".removeprefix(f"{root}/")
                    yield Found(key=key, size=int(info.get("size") or 0), modified=_moment(info))

    def bucket_missing(self) -> str | None:
        """The name of the bucket, where the blobs should be in one and there is none. Raises OSError where nobody answers."""
        with far.answering():
            return far.bucket_missing(self._files, self._root)

    def signed(self, key: str, seconds: int, *, media_type: str, head: bool = False) -> str | None:
        """An address from which anybody reads the bytes for so many seconds (`head`: or asks for their headers).

        None where the file system has no such addresses, or `key` is that of a reference, whose bytes are checked when read.
        """
        if references.is_reference(key):
            return None
        with far.answering():
            return far.signed(self._files, self._path(key), seconds, head=head, media_type=media_type)

    def _there(self, path: str) -> bool:
        with far.answering():
            return bool(self._files.exists(path))

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key) or ".." in key:
            raise ValueError(f"A blob key is made of letters, digits, '_', '.', '-' and '/', unlike {key!r}.")
        return f"{self._root.rstrip('/')}/{key}"


def _moment(info: dict[str, Any]) -> datetime | None:
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        match info.get(name):
            case datetime() as moment:
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            case int() | float() as seconds:
                return datetime.fromtimestamp(seconds, UTC)
    return None


def _write_durably(path: Path, data: bytes) -> None:
    """Write beside, flush to the disk, then rename: a row must never point at half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
