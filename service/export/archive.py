"""Writes a zip piece by piece: what is finished can be sent while the rest is still to be made."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

_PIECE = 1 << 20
_IN_MEMORY = 1 << 20
_NEEDS_ZIP64 = 1 << 31


class Spool:
    """Bytes that grow while an export goes on; on the disk where they are many."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - see __del__
        self.size = 0

    def __del__(self) -> None:
        # An export may be given up at any piece, by whoever does not ask for the next.
        self._file.close()

    def write(self, data: bytes) -> None:
        """Add to the end."""
        self._file.write(data)
        self.size += len(data)

    def pieces(self) -> Iterator[bytes]:
        """All of it from the start, a MiB at a time; nothing is to be added after."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece


class JsonList(Spool):
    """A list of JSON values, one on a line."""

    def append(self, value: Any) -> None:
        """Add a value to the end."""
        self.write((",\n" if self.size else "\n").encode() + json.dumps(value).encode())


def json_object(fields: dict[str, Any]) -> Spool:
    """A JSON object of fields, of which those that are a JsonList are copied, whatever their size."""
    whole = Spool()
    for place, (key, value) in enumerate(fields.items()):
        whole.write(f"{',' if place else '{'}\n{json.dumps(key)}: ".encode())
        if isinstance(value, JsonList):
            write_list(value, whole)
        else:
            whole.write(json.dumps(value, indent=1).encode())
    whole.write(b"\n}\n")
    return whole


def write_list(values: JsonList, to: Spool) -> None:
    """Copy a list, with its brackets."""
    to.write(b"[")
    for piece in values.pieces():
        to.write(piece)
    to.write(b"]")


class _Sink:
    """Where the zip is written to: keeps what has not been taken. It cannot be sought in, so nothing is changed later."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        """There is nothing behind it."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class ZipStream:
    """A zip of which each method returns the bytes that follow. All files bear the time of the export."""

    def __init__(self, now: datetime) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")
        self._now = now

    def add(self, path: str, data: bytes | Spool) -> Iterator[bytes]:
        """A file; bytes are taken to be compressed already, as PNG and JPEG are."""
        info = zipfile.ZipInfo(path, date_time=self._now.timetuple()[:6])
        info.external_attr = 0o644 << 16
        # Never stored: a reader that does not seek cannot tell where such a file ends.
        if isinstance(data, bytes):
            self._zip.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=0)
            yield self._sink.taken()
            return
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=data.size >= _NEEDS_ZIP64) as file:
            for piece in data.pieces():
                file.write(piece)
                yield self._sink.taken()
        yield self._sink.taken()

    def end(self) -> bytes:
        """The table of contents."""
        self._zip.close()
        return self._sink.taken()
