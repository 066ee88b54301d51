"""Runs the API with uvicorn: finds out first whether the port is free, and speaks up once it serves."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI


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
    """Serve until Ctrl-C, or SIGTERM. `stopping` is called by a signal's handler, before the last requests are answered."""
    config = uvicorn.Config(app, log_level=log_level, timeout_graceful_shutdown=10, access_log=log_level != "warning")
    try:
        _Server(config, started, stopping).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises it again after it has stopped
        pass
    finally:
        listener.close()
