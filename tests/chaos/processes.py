"""Processes that are started, killed, halted and started again, and those that end by themselves."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_SECONDS = 600.0
"""How long anything is waited for: nothing is wrong with being slow."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"{PATIENCE_SECONDS:.0f} seconds passed before {what}."
        time.sleep(0.1)


class Process:
    """A command, its children, and its log. `tend` starts it again where it has ended by itself."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, *, env: dict[str, str], user: str | None = None
    ) -> None:
        self.name, self._command, self._log, self._env, self._user = name, command, log, env, user
        self._popen: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []
        self.starts = self.ends_by_itself = 0
        self.down = True  # on purpose

    def start(self) -> None:
        """Start it, unless it runs."""
        self.down = False
        if self.running:
            return
        self.starts += 1
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._log.parent,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                user=self._user,
            )

    @property
    def running(self) -> bool:
        """Whether its first process is there."""
        return self._popen is not None and self._popen.poll() is None

    def tend(self) -> None:
        """Start it again where it has ended though nobody wanted it to, as a service manager does."""
        if not self.down and not self.running:
            self.ends_by_itself += 1
            self.start()

    def children(self) -> list[psutil.Process]:
        """The processes that it has started, theirs too."""
        if self._popen is None:
            return []
        try:
            return psutil.Process(self._popen.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def send(self, number: int, *, parent: bool = True, children: bool = True) -> None:
        """Send a signal to its first process, to its children, or to all."""
        below = self.children()
        self._family += below  # whoever outlives its parent is ended in the end
        if parent and self.running and self._popen is not None:
            os.kill(self._popen.pid, number)
        for each in below if children else []:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def kill(self, *, children: bool = True) -> None:
        """End it, and its children, by a signal that cannot be caught; it stays down."""
        self.down = True
        self.send(signal.SIGKILL, children=children)
        if self._popen is not None:
            self._popen.wait()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60.0) -> None:
        """Ask it to end, and wait for that; it stays down. Where it does not come to its end, it is killed."""
        self.down = True
        self.send(signal.SIGCONT)  # who is halted hears nothing
        self.send(number, children=False)
        if self._popen is not None:
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        """Leave neither it nor anything that it has started."""
        self.send(signal.SIGCONT)
        self.kill()
        for each in self._family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
