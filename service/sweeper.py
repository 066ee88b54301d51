"""A thread beside the API: sends again jobs that the broker or a dead worker forgot, and removes what is due to go."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from service.blobs import Blobs
from service.db import Database
from service.domain.waits import longest_of, waits_of
from service.keeping import Keeper
from service.removal import remove_due
from service.settings import Settings
from service.store.recovery import sweep

log = logging.getLogger(__name__)


class Sweeper:
    """Every few seconds: due jobs are sent again, due bytes removed. Several may run, one for each API process."""

    def __init__(self, database: Database, blobs: Blobs, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database, self._blobs = database, blobs
        self._settings, self._waits = settings, waits_of(settings.retry_seconds)
        self._clock = clock
        self._keeper = Keeper(database=database, blobs=blobs, settings=settings, clock=clock)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the sweep that is under way."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def sweep_once(self) -> int:
        """One sweep; returns how many jobs were sent again."""
        settings = self._settings
        with self._database.write() as session:
            return sweep(
                session,
                now=self._clock(),
                resend_after=timedelta(seconds=max(30.0, 3 * settings.sweep_seconds)),
                stale_after=timedelta(seconds=settings.stale_seconds),
                max_attempts=settings.max_attempts,
                waits=self._waits,
                longest_wait=longest_of(settings.retry_seconds),
            )

    def _run(self) -> None:
        while not self._stopped.wait(self._settings.sweep_seconds):
            try:
                self.sweep_once()
                remove_due(self._database, self._blobs, self._clock(), self._settings.resolved_feature_dir)
                self._keeper.step()
            except (
                SQLAlchemyError,
                OSError,
            ) as error:  # database or disk may be away for a while; the next sweep tries again
                log.warning("Sweeping failed: %s", error)
