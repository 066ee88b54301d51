"""A Celery worker inside the API process, for one machine without a broker."""

import logging
import threading

from celery.apps.worker import Worker as CeleryWorker
from sqlalchemy.exc import SQLAlchemyError

from service.db import Database
from service.queue import NAMES, celery_sender, make_celery
from service.settings import Settings
from service.store.recovery import give_back, restart_jobs
from workers.jobs.tasks import make_worker, register

log = logging.getLogger(__name__)

# A job that saves where it is needs less; a round that is learned from begins again if it needs more.
STOP_SECONDS = 15.0


class EmbeddedWorker:
    """One thread that takes one job at a time from a broker in memory."""

    def __init__(self, settings: Settings) -> None:
        logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # it warns that memory has no host name
        self.app = make_celery("memory://", broker_transport_options={"polling_interval": 0.05})
        self.database = Database(
            settings.resolved_database_url, celery_sender(self.app), connections=settings.database_connections
        )
        worker = make_worker(settings, self.app, self.database)
        register(self.app, lambda: worker)
        self._worker = worker
        # Both before the worker starts: tasks are looked up from its thread.
        self.app.finalize()
        self.app.set_default()
        self._controller: CeleryWorker | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-worker", daemon=True)

    def start(self) -> None:
        """Give back what the last process left unfinished, then begin to work."""
        with self.database.write() as session:
            restart_jobs(session, self._worker.clock(), max_attempts=self._worker.settings.max_attempts)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have the job under way save where it is, as soon as it can. May be called by a signal's handler."""
        self._worker.stopping.set()

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """Let the job under way save where it is, and end. False where it did not end in time: it is queued again, as it was."""
        self.ask_to_stop()
        if self._controller is not None:
            self._controller.stop(in_sighandler=False, exitcode=0)
        self._thread.join(timeout=timeout)
        ended = not self._thread.is_alive()
        if ended:
            self._worker.forget_slices()
        presence = self._worker.presence
        if presence is not None:
            if not ended:
                self._give_back(presence.name)
            presence.close()
        self.database.engine.dispose()
        return ended

    def _give_back(self, name: str) -> None:
        try:
            with self.database.write() as session:
                give_back(session, name, self._worker.clock())
        except SQLAlchemyError as error:  # then the next start does
            log.warning("The job under way could not be given back: %s", error)

    def _run(self) -> None:
        controller = self.app.WorkController(
            pool="solo", concurrency=1, queues=list(NAMES.values()), without_gossip=True, without_mingle=True
        )
        self._controller = controller
        controller.start()
