"""A worker's process as the service knows it: announced, heard of every few seconds, and gone when it ends."""

import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from service.db import Database
from service.store import workers as store

log = logging.getLogger(__name__)


class Presence:
    """Says that this process is alive, and which job it is at, from a thread that waits for no job."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        missing: Mapping[str, str],
        *,
        seconds: float,
        queues: str | None = None,
    ) -> None:
        """`missing` and `queues`: what this process lacks and takes, see `announce`; `seconds` lie between two words of it."""
        self._database, self._clock, self._missing, self._seconds = database, clock, missing, seconds
        self._queues = queues
        self._host, self._pid = platform.node(), os.getpid()
        self.name = f"{self._host}:{self._pid}:{uuid4().hex[:8]}"[-255:]
        self._job: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether it is at a job."""
        return self._job is not None

    def start(self) -> None:
        """Announce the process, and go on saying that it is alive."""
        self._say(self._announce)
        self._thread.start()

    def close(self) -> None:
        """The process ends."""
        self._ended.set()
        self._thread.join(timeout=10)
        self._say(self._leave)

    @contextmanager
    def at(self, job_id: int) -> Iterator[None]:
        """While this goes on, the process is at the job."""
        self._job = job_id
        try:
            yield
        finally:
            self._job = None

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._say(self._beat)

    def _say(self, what: Callable[[], None]) -> None:
        try:
            what()
        except SQLAlchemyError as error:  # the database may be away for a moment; the next word comes soon
            log.warning("This worker could not say that it is alive: %s", error)

    def _beat(self) -> None:
        with self._database.write(durable=False) as session:
            known = store.heard_of(session, self.name, self._clock(), job_id=self._job)
        if not known:  # it was silent for so long that it was forgotten, or the database was away when it started
            self._announce()

    def _announce(self) -> None:
        with self._database.write(durable=False) as session:
            host, pid, queues = self._host, self._pid, self._queues
            store.announce(session, self.name, self._missing, self._clock(), host=host, pid=pid, queues=queues)

    def _leave(self) -> None:
        with self._database.write(durable=False) as session:
            store.leave(session, self.name)
