"""Where backups lie: a folder, a URL or one tar file; what it holds of each backup; and that bytes are what their names say."""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from service.blobs import Blobs
from service.file_urls import file_url

FORMAT = 1
NEWEST = "newest"
_PART = 32 << 20  # bytes of lines that are packed at once
_DIGEST = re.compile(r"^[^/]+(?:/[^/]+)*/([0-9a-f]{2})/(\1[0-9a-f]{62})(?:\.[a-z0-9]+)*$")


class Place(Protocol):
    """What a backup is written to."""

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under a key, unless it has some."""

    def replace(self, key: str, data: bytes) -> None:
        """Keep bytes under a key in place of what is there."""

    def exists(self, key: str) -> bool:
        """Whether there are bytes under a key."""


class Tar:
    """A tar file that is written from the start to the end."""

    def __init__(self, path: Path) -> None:
        """Raises FileExistsError where there is such a file."""
        self._tar = tarfile.open(path, "x")  # noqa: SIM115 - `close` ends it
        self._there = set[str]()

    def put(self, key: str, data: bytes) -> None:
        """Add a file."""
        info = tarfile.TarInfo(key)
        info.size, info.mode = len(data), 0o600
        self._tar.addfile(info, io.BytesIO(data))
        self._there.add(key)

    replace = put

    def exists(self, key: str) -> bool:
        """Whether this backup has added such a file."""
        return key in self._there

    def close(self) -> None:
        """Write the end."""
        self._tar.close()


def is_tar(place: str) -> bool:
    """Whether a place is one tar file of this machine."""
    return place.endswith(".tar") and "://" not in place


def opened(place: str) -> Blobs:
    """A place to read from, or a folder or URL to write to."""
    if is_tar(place):
        return Blobs(f"tar://::{file_url(Path(place))}")
    return Blobs(place if "://" in place else file_url(Path(place)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `rows` by table, `numbers` the highest that each has given; `parts` of lines, by digest."""

    name: str
    release: str
    revision: str
    made_at: str
    database: str
    rows: dict[str, int]
    numbers: dict[str, int]
    row_parts: dict[str, str]
    key_parts: dict[str, str]
    blobs: int
    missing: list[str] = field(default_factory=list)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def of(cls, data: bytes) -> "Manifest":
        """Raises ValueError, with a sentence, for what this release cannot read."""
        fields: dict[str, Any] = json.loads(data)
        if fields.get("format") != FORMAT:
            raise ValueError(
                f"This backup was made by regionwise {fields.get('release')}; restore it with that release."
            )
        return cls(**fields)


def pack(lines: Iterable[str], name: str, place: Place) -> dict[str, str]:
    """Write lines as parts, NAME-0001.jsonl.gz and so on; returns the digest of each. Memory follows a part."""
    parts: dict[str, str] = {}
    waiting, size = list[bytes](), 0

    def keep() -> None:
        data = gzip.compress(b"".join(waiting), mtime=0)
        key = f"{name}-{len(parts) + 1:04}.jsonl.gz"
        place.put(key, data)
        parts[key] = hashlib.sha256(data).hexdigest()

    for line in lines:
        waiting.append(line.encode() + b"\n")
        size += len(waiting[-1])
        if size >= _PART:
            keep()
            waiting, size = [], 0
    keep()
    return parts


def unpack(parts: dict[str, str], place: Blobs) -> Iterator[str]:
    """The lines of parts. Raises ValueError for one that is not as it was written."""
    for key, digest in parts.items():
        data = place.get(key)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"{key} of the backup is damaged: its digest is another.")
        yield from gzip.decompress(data).decode().splitlines()


def sound(key: str, data: bytes) -> bool:
    """Whether bytes are those that their key names; a key without a digest says nothing of them."""
    named = _DIGEST.match(key)
    return named is None or hashlib.sha256(data).hexdigest() == named[2]
