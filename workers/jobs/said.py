"""What a job has said and no row holds yet."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from service.store.job_lines import MOST, Line

_NUMBER = re.compile(r"\d+")


class Said:
    """The lines of a job's log since its last heartbeat. Where steps count something, the newest stands for those before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[Line] = []

    def add(self, at: datetime, text: str) -> None:
        """The job has said this."""
        with self._lock:
            if self._lines and _NUMBER.sub("0", self._lines[-1].text) == _NUMBER.sub("0", text):
                self._lines.pop()
            self._lines.append(Line(at=at, text=text))
            del self._lines[:-MOST]

    @contextmanager
    def taken(self) -> Iterator[list[Line]]:
        """All of it, to be written; it is kept for another time where an error passes through."""
        with self._lock:
            lines, self._lines = self._lines, []
        try:
            yield lines
        except BaseException:
            with self._lock:
                self._lines = [*lines, *self._lines][-MOST:]
            raise
