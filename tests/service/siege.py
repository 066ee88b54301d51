"""A server as a process of its own, and what is tried on it while somebody asks how it is."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The status of a response, and what came with it."""

    status: int
    said: str = ""


@dataclass(slots=True, kw_only=True)
class Watch:
    """What was seen while something was tried: `slowest` answer of /healthz in seconds, growth of memory, bytes written."""

    slowest: float = 0.0
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    grown: int = 0
    written: int = 0


class Besieged:
    """`regionwise serve` without a worker, on a port of its own."""

    def __init__(self, folder: Path, database_url: str, **settings: object) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        # It is never spoken to: nothing here queues a job.
        broker = {"REGIONWISE_BROKER_URL": "redis://127.0.0.1:1/0", "REGIONWISE_SWEEP_SECONDS": "3600"}
        chosen = {f"REGIONWISE_{name.upper()}": str(value) for name, value in settings.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REGIONWISE_")}
        own = {"REGIONWISE_DATA_DIR": str(folder), "REGIONWISE_DATABASE_URL": database_url}
        # As many files as a process may open where nobody has seen to it.
        serve = [sys.executable, "-m", "service", "serve", "--port", str(self.port)]
        with (folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", *serve],
                cwd=folder,
                env={**kept, **broker, **own, **chosen, "PYTHONPATH": os.environ.get("SIEGE_OF", str(ROOT))},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self.healthy():
            assert self.process.poll() is None, (folder / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def healthy(self) -> bool:
        """Whether /healthz answers, on a connection of its own."""
        with suppress(OSError), closing(self.connect()) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return answer(connection).status == 200
        return False

    def get(self, path: str, token: str) -> httpx.Response:
        """A small request of somebody with a token."""
        return httpx.get(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def connect(self) -> socket.socket:
        """A connection on which nothing is sent yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def post(
        self, path: str, body: bytes | int, *, token: str = "", kind: str = "application/json", forwarded: str = ""
    ) -> Answer:
        """Send a body, or so many MiB of one, and read what comes, even where it comes before all is sent."""
        parts = [body] if isinstance(body, bytes) else _numbers(body)
        with closing(self.connect()) as connection:
            connection.sendall(head(path, sum(map(len, parts)), token=token, kind=kind, forwarded=forwarded))
            with suppress(ConnectionError):  # it has been told enough, and has closed
                for part in parts:
                    connection.sendall(part)
            return answer(connection)

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Ask for /healthz all the while, from a thread of its own."""
        watch, done = Watch(), threading.Event()
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # the highest mark of memory begins anew
        before, written = self._memory("VmRSS"), self._written()
        watcher = threading.Thread(target=self._watch, args=(watch, done))
        watcher.start()
        try:
            yield watch
        finally:
            done.set()
            watcher.join()
            watch.grown = self._memory("VmHWM") - before
            watch.written = self._written() - written

    def _watch(self, watch: Watch, done: threading.Event) -> None:
        while not done.is_set() or not watch.asked:
            begun = time.monotonic()
            if not self.healthy():
                watch.failed.append(f"after {time.monotonic() - begun:.1f} s")
            watch.slowest = max(watch.slowest, time.monotonic() - begun)
            watch.asked += 1
            done.wait(0.05)

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def _written(self) -> int:
        # Temporary files without a name are seen here alone; so are responses, which are small.
        found = re.search(r"wchar: (\d+)", Path(f"/proc/{self.process.pid}/io").read_text())
        assert found
        return int(found[1])


def _numbers(mib: int) -> list[bytes]:
    """A JSON list, in parts of a MiB each."""
    part = b",1" * (MIB // 2)
    return [b"[" + part[1:], *[part] * (mib - 2), part[:-1] + b"]"]


def head(path: str, size: int, *, token: str = "", kind: str = "application/json", forwarded: str = "") -> bytes:
    """The head of a POST with a body of so many bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {size}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"X-Forwarded-For: {forwarded}"] if forwarded else []
    return "\r\n".join([*lines, "", ""]).encode()


def answer(connection: socket.socket) -> Answer:
    """The response that comes; status 0: the connection was closed without one."""
    received = b""
    with suppress(OSError):
        while not _whole(received) and (part := connection.recv(65536)):
            received += part
    found = re.match(rb"HTTP/1.1 (\d+)", received)
    return Answer(status=int(found[1]) if found else 0, said=received.decode("latin-1").lower())


def _whole(response: bytes) -> bool:
    top, end, body = response.partition(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", top)
    return bool(end) and len(body) >= int(size[1] if size else 0)


def closed(connection: socket.socket, seconds: float) -> bool:
    """Whether the server closes the connection before so many seconds are over."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
