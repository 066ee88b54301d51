"""Bounds connections: how many there are, by process and by address, and how long one may keep the service waiting."""

import asyncio
import ipaddress
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.throttle import machine_of

MOST_HEAD_BYTES = 64 << 10
_MOST_DISCARDED = 16 << 20
_DISCARD_SECONDS = 5.0
_SWEEP_SECONDS = 0.5
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Connections of a process and of one of its addresses, those of `proxies` aside; seconds that headers may take."""

    connections: int
    per_address: int
    header_seconds: float
    proxies: Sequence[str] = ()


def as_files_allow(connections: int) -> int:
    """So many connections, or fewer where the process may not open twice as many files and some: an upload takes two."""
    if sys.platform == "win32":
        return connections
    import resource  # not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if files == resource.RLIM_INFINITY else max(8, min(connections, (files - 100) // 2))


class _Line:
    """Connections, that first of which nothing was heard for longest: those without a request, and the others."""

    def __init__(self) -> None:
        self._idle: dict[Connection, None] = {}
        self._busy: dict[Connection, None] = {}

    def put(self, heard: "Connection") -> None:
        """One goes to the end, whether or not it was here before."""
        self.drop(heard)
        (self._idle if heard.idle else self._busy)[heard] = None

    def drop(self, gone: "Connection") -> None:
        """One is not here any more, if it was."""
        self._idle.pop(gone, None)
        self._busy.pop(gone, None)

    def close_one(self) -> bool:
        """End the one that has waited longest for its client, those without a request before others. False: none waits."""
        found = next(iter(self._idle), None) or next((each for each in self._busy if each.waits), None)
        if found is None:
            return False
        found.end()
        return True

    def __contains__(self, asked: "Connection") -> bool:
        return asked in self._idle or asked in self._busy

    def __iter__(self) -> "Iterator[Connection]":
        return chain(self._idle, self._busy)

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy)


class Connections:
    """The open connections of a process. Where there are too many, the one that has waited longest for its client goes."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self.bounds = bounds
        self.clock = clock
        self._open = _Line()
        self._of: dict[str, _Line] = {}  # by address
        self._proxies = [ipaddress.ip_network(each, strict=False) for each in bounds.proxies]
        self._sweep: asyncio.TimerHandle | None = None

    def admit(self, new: "Connection") -> bool:
        """Take one in. False where all others are being answered, and none can go for it."""
        same = self._of.get(new.address)
        full = same is not None and len(same) >= self.bounds.per_address and not self._is_proxy(new.address)
        if full and same is not None and not same.close_one():
            return False
        if len(self) >= self.bounds.connections and not self._open.close_one():
            return False
        self._open.put(new)
        self._of.setdefault(new.address, _Line()).put(new)
        if self._sweep is None:
            self._sweep = new.loop.call_later(_SWEEP_SECONDS, self._close_late, new.loop)
        return True

    def forget(self, gone: "Connection") -> None:
        """One that has ended."""
        self._open.drop(gone)
        if (same := self._of.get(gone.address)) is not None:
            same.drop(gone)
            if not same:
                del self._of[gone.address]

    def heard(self, of: "Connection") -> None:
        """One has sent something, or taken something: from here on it waits, if it does."""
        if of in self._open:
            self._open.put(of)
            self._of[of.address].put(of)

    def __len__(self) -> int:
        return len(self._open)

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_network(address)
        except ValueError:
            return False
        return any(each.version == found.version and each.overlaps(found) for each in self._proxies)

    def _close_late(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self.clock()
        for each in [each for each in self._open if each.due <= now]:
            each.end()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._close_late, loop) if self._open else None


class Connection(HttpToolsProtocol):
    """uvicorn's, with a bound on headers, on bodies that nobody reads, and on how many of them there are."""

    def __init__(self, *, among: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._among = among
        self._admitted = False
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._discarded = 0
        self.address = ""
        self.due = float("inf")

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return not self._in_body and (self.cycle is None or self.cycle.response_complete)

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn."""
        return self.idle or self.flow.write_paused or (self._in_body and not self.flow.read_paused)

    def end(self) -> None:
        """Close it, whatever it is at."""
        self._among.forget(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = machine_of(self.client[0] if self.client else "")
        self._admitted = self._among.admit(self)
        if not self._admitted:
            transport.write(_FULL)
            transport.close()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if self.idle and self.due == float("inf"):
            self._expect_head()
        bodies = self._body_bytes
        super().data_received(data)
        if self._in_body and self._body_bytes > bodies:
            self._head_bytes = 0
        elif self._in_head or self._in_body:
            # Of chunks and what follows them, too, nobody else bounds the headers.
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self._refuse_head()
        self._among.heard(self)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # For the door: where many connections are given up at once, most need not be asked who they are.
        self.scope["gone"] = self.transport.is_closing  # type: ignore[typeddict-unknown-key]
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._head_bytes, self._discarded = 0, 0
        self.due = float("inf")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > _MOST_DISCARDED:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_bytes = 0
        self.due = float("inf")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._in_body:
            # Refused before it was read: a client hears of that when it has sent what it is at, or soon enough.
            self.due = self._among.clock() + _DISCARD_SECONDS
            if self.expect_100_continue and not self.transport.is_closing():
                self.transport.close()
        super().on_response_complete()
        self._among.heard(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._among.heard(self)

    def _expect_head(self) -> None:
        self._in_head = True
        self.due = self._among.clock() + self._among.bounds.header_seconds

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
