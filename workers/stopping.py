"""How a Celery worker that is asked to end lets its pool processes save where they are."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from billiard import active_children
from celery.signals import worker_process_init, worker_shutting_down

log = logging.getLogger(__name__)

# From the parent to its pool processes. Not SIGTERM, of which one that is at nothing dies, and is started anew; SIGUSR1 is
# billiard's, for time limits.
_SAVE = signal.SIGUSR2


class Stopping:
    """Set in a pool process that is at a job when it, or its parent, is asked to end. Elsewhere nothing is ever set."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._busy = self._in_pool = False

    def listen(self) -> None:
        """Have Celery's signals say when: in the parent that it ends, in each pool process that it has begun."""
        worker_shutting_down.connect(self._tell_children, weak=False)
        worker_process_init.connect(self._in_a_pool_process, weak=False)

    @contextmanager
    def at_a_job(self) -> Iterator[None]:
        """While this goes on, the process is at a job.

        A process that still gets one is not to end: somebody asked it alone, and its parent goes on.
        """
        if self.asked.is_set():  # a signal's handler must not find the event's lock taken
            self.asked.clear()
        # A service manager sends SIGTERM to all processes of a worker. Billiard has an end of its own for one at nothing.
        before = signal.signal(signal.SIGTERM, self._save) if self._in_pool else None
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            if self._in_pool:
                signal.signal(signal.SIGTERM, before)

    def _tell_children(self, **_: Any) -> None:
        for child in active_children():
            try:
                os.kill(child.pid, _SAVE)
            except ProcessLookupError:
                log.info("Pool process %s has ended already.", child.pid)

    def _in_a_pool_process(self, **_: Any) -> None:
        self._in_pool = True
        signal.signal(_SAVE, self._save)

    def _save(self, number: int, frame: FrameType | None) -> None:
        if self._busy:
            self.asked.set()
