"""A thread beside the API: takes jobs from workers' processes that have died, within seconds."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from service.db import Database
from service.domain.waits import waits_of
from service.settings import Settings
from service.store.recovery import HeldJob, held_jobs, release_jobs
from service.store.workers import prune

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
# Silence of so many times `heartbeat_seconds`, in which a process speaks twice, is no accident; each further try of a job is
# given four times as much.
MISSED_BEATS, MORE_PATIENCE = 2.5, 4
# Where the database let this process wait for so long, it may have let the workers wait too.
_WAITED_SECONDS = 1.0
_PRUNE_SECONDS = 600.0


class Watch:
    """Tells which processes are silent. It goes by this process's own clock alone: those of other machines may be wrong."""

    def __init__(self, *, patience: float, longest: float) -> None:
        """Seconds of silence after which a job's first worker is taken for dead; those of later tries, `longest` at most."""
        self._patience, self._longest = patience, longest
        self._since: dict[str, tuple[object, float]] = {}

    def silent(self, held: Sequence[HeldJob], at: float) -> list[HeldJob]:
        """The jobs whose workers have said nothing new, or were not at them, for too long; `at` is in seconds of any clock."""
        known = self._since
        # What a process says while it is not at the job is no sign of life of that job.
        said = {each.lock: (each.at_work, each.seen_at if each.at_work else None) for each in held}
        self._since = {
            lock: known[lock] if lock in known and known[lock][0] == word else (word, at) for lock, word in said.items()
        }
        return [each for each in held if at - self._since[each.lock][1] >= self._allowed(each.attempt)]

    def begin_anew(self) -> None:
        """Forget how long they have been silent."""
        self._since.clear()

    def _allowed(self, attempt: int) -> float:
        return min(self._longest, self._patience * float(MORE_PATIENCE) ** max(0, attempt - 1))


class Watcher:
    """Every second: jobs of processes that are no more are sent to others. Several may run, one for each API process."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._waits = waits_of(settings.retry_seconds)
        self._watch = Watch(patience=MISSED_BEATS * settings.heartbeat_seconds, longest=settings.stale_seconds)
        self._pruned = float("-inf")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the look that is under way."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def look(self, at: float) -> list[int]:
        """One look, at this time of a clock that only goes forward; returns the numbers of the jobs that were sent again."""
        with self._database.read() as session:
            held = held_jobs(session)
        lost = self._watch.silent(held, at)
        return self._release(lost) if lost else []

    def _release(self, lost: Sequence[HeldJob]) -> list[int]:
        begun = time.monotonic()
        with self._database.write() as session:
            held_jobs(session)  # the first statement waits for whoever writes
            if time.monotonic() - begun > _WAITED_SECONDS:
                self._watch.begin_anew()
                return []
            sent = release_jobs(
                session, lost, now=self._clock(), max_attempts=self._settings.max_attempts, waits=self._waits
            )
        log.warning("Jobs whose workers are no more: %s", ", ".join(str(each.job_id) for each in lost))
        return sent

    def _prune(self, at: float) -> None:
        if at - self._pruned >= _PRUNE_SECONDS:
            self._pruned = at
            with self._database.write(durable=False) as session:
                prune(session, self._clock())

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            at = time.monotonic()
            try:
                self.look(at)
                self._prune(at)
            except SQLAlchemyError as error:  # the database may be away for a while; nobody is heard of meanwhile
                self._watch.begin_anew()
                log.warning("Workers could not be watched: %s", error)
