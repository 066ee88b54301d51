"""Bounds connections: how many there are, by process and by address, and how long one may keep the service waiting."""

import asyncio
import ipaddress
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


class Connections:
    """The open connections of a process. Where there are too many, the one that has waited longest for its client goes."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self.bounds = bounds
        self.clock = clock
        self._open: dict[str, set[Connection]] = {}
        self._proxies = [ipaddress.ip_network(each, strict=False) for each in bounds.proxies]
        self._sweep: asyncio.TimerHandle | None = None

    def admit(self, new: "Connection") -> bool:
        """Take one in. False where all others are being answered, and none can go for it."""
        same = self._open.get(new.address, set())
        if len(same) >= self.bounds.per_address and not self._is_proxy(new.address) and not _close_one(same):
            return False
        if len(self) >= self.bounds.connections and not _close_one(
            {each for some in self._open.values() for each in some}
        ):
            return False
        self._open.setdefault(new.address, set()).add(new)
        if self._sweep is None:
            self._sweep = new.loop.call_later(_SWEEP_SECONDS, self._close_late, new.loop)
        return True

    def forget(self, gone: "Connection") -> None:
        """One that has ended."""
        same = self._open.get(gone.address, set())
        same.discard(gone)
        if not same:
            self._open.pop(gone.address, None)

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_network(address)
        except ValueError:
            return False
        return any(each.version == found.version and each.overlaps(found) for each in self._proxies)

    def _close_late(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self.clock()
        for each in [each for some in self._open.values() for each in some if each.due <= now]:
            each.end()
        self._sweep = loop.call_later(_SWEEP_SECONDS, self._close_late, loop) if self._open else None


def _close_one(among: "set[Connection]") -> bool:
    waiting = [each for each in among if each.waits]
    if not waiting:
        return False
    min(waiting, key=lambda each: (not each.idle, each.touched)).end()
    return True


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
        self.touched = among.clock()
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
        self.touched = self._among.clock()
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
        self.touched = self._among.clock()
        if self._in_body:
            # Refused before it was read: a client hears of that when it has sent what it is at, or soon enough.
            self.due = self.touched + _DISCARD_SECONDS
            if self.expect_100_continue and not self.transport.is_closing():
                self.transport.close()
        super().on_response_complete()

    def resume_writing(self) -> None:
        self.touched = self._among.clock()
        super().resume_writing()

    def _expect_head(self) -> None:
        self._in_head = True
        self.due = self._among.clock() + self._among.bounds.header_seconds

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
