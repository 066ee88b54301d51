"""A thread beside the API that now and then measures what takes too long for each scrape: bytes, and all labels."""

import logging
import threading
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)


class Measuring(Protocol):
    """What has something to measure."""

    def measure(self) -> None:
        """Measure it, and keep what was found."""


class Measurer:
    """Measures at the start, and every `seconds` from then on."""

    def __init__(self, metrics: Measuring, seconds: float) -> None:
        self._metrics, self._seconds = metrics, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measurer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a measurement that takes long is not waited for."""
        self._stopped.set()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while True:
            try:
                self._metrics.measure()
            except (SQLAlchemyError, OSError) as error:  # something may be away for a while; the next time it is there
                log.warning("Measuring failed: %s", error)
            if self._stopped.wait(self._seconds):
                return
