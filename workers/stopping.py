"""How a Celery worker that is asked to end lets its pool processes save where they are."""

import logging
import os
import signal
import sys
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
        self._busy = False

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
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _tell_children(self, **_: Any) -> None:
        for child in active_children():
            try:
                os.kill(child.pid, _SAVE)
            except ProcessLookupError:
                log.info("Pool process %s has ended already.", child.pid)

    def _in_a_pool_process(self, **_: Any) -> None:
        signal.signal(_SAVE, self._save)
        # A service manager sends it to all processes of a worker.
        signal.signal(signal.SIGTERM, self._save_or_end)

    def _save(self, number: int, frame: FrameType | None) -> None:
        if self._busy:
            self.asked.set()

    def _save_or_end(self, number: int, frame: FrameType | None) -> None:
        self._save(number, frame)
        if not self._busy:
            sys.exit(0)
