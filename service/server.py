"""Runs the API with uvicorn: finds out first whether the port is free, and speaks up once it serves."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from service.connections import Bounds, Connection, Connections, as_files_allow
from service.settings import Settings


class PortTaken(Exception):
    """Somebody else listens there; the message says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTaken(
            f"Port {port} of {host} cannot be used ({getattr(error, 'strerror', None) or error}). "
            f"Choose another one: PORT={port + 1 if port < 65535 else 8001} make run, or --port."
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Calls back once requests are answered, and once it is asked to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce, self._stopping = started, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """While this goes on, SIGTERM ends the process as Ctrl-C does: what is under way is put away first.

    Of itself SIGTERM ends a process where it stands, and uvicorn sends it on to itself when it has stopped.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    app: FastAPI,
    listener: socket.socket,
    *,
    started: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
    log_level: str = "warning",
) -> None:
    """Serve until Ctrl-C, or SIGTERM. `stopping` is called by a signal's handler, before the last requests are answered.

    Lines of the log go where service.logs sends them; each request has one of its own there.
    """

    def ending() -> None:
        stopping()
        app.state.giving.close()  # who waits for a region is not waited for
        app.state.live.close()  # nor is who listens

    config = uvicorn.Config(
        app,
        log_level=log_level,
        timeout_graceful_shutdown=10,
        log_config=None,
        access_log=False,
        http=_protocol(app.state.settings),
        ws="none",
        # Without a proxy that is trusted, whoever calls could call themselves anything.
        proxy_headers=bool(app.state.settings.trusted_proxies),
        forwarded_allow_ips=list(app.state.settings.trusted_proxies),
    )
    try:
        _Server(config, started, ending).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises it again after it has stopped
        pass
    finally:
        listener.close()


def _protocol(settings: Settings) -> type[asyncio.Protocol]:
    bounds = Bounds(
        connections=as_files_allow(settings.max_connections),
        per_address=settings.max_connections_per_address,
        header_seconds=settings.header_seconds,
        proxies=settings.trusted_proxies,
    )
    # uvicorn calls it; nothing asks whether it is a class.
    return cast(type[asyncio.Protocol], partial(Connection, among=Connections(bounds)))
