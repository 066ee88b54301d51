"""One delivery of a job: claimed, kept alive, cut into slices, and ended one way or another."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service import logs
from service.blobs import Blobs
from service.db import Database
from service.domain.waits import Waits, at_once
from service.settings import Settings
from service.store import job_lines
from service.store import jobs as job_store
from service.tables import Job
from workers.datasets.base import Pixels
from workers.datasets.decoded import DecodedCache
from workers.jobs.job_state import JobState
from workers.jobs.kept import let_go
from workers.jobs.passing import passes
from workers.jobs.patience import patiently
from workers.jobs.presence import Presence
from workers.jobs.said import Said

log = logging.getLogger(__name__)


class JobStopped(Exception):
    """The job was cancelled; what it saved stays."""


class SliceOver(Exception):
    """The job has run long enough for now and has saved where it is."""


class JobFailed(Exception):
    """The job cannot be done, and trying again would not help; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What every task of a worker process shares."""

    database: Database
    blobs: Blobs
    settings: Settings
    clock: Callable[[], datetime]
    device: str
    decoded: DecodedCache[Pixels] = field(default_factory=DecodedCache)
    stopping: threading.Event = field(default_factory=threading.Event)
    # None: the process says nothing of itself, and its jobs are given to others after `stale_seconds`.
    presence: Presence | None = None
    waits: Waits = at_once
    # What a job's next slice may go on with, where it comes to this process again; the truth is what the slice saved.
    between_slices: dict[str, Any] = field(default_factory=dict)

    def forget_slices(self) -> None:
        """Drop what is kept between slices, and end what runs for it."""
        let_go(self.between_slices)


@dataclass(kw_only=True)
class JobRun:
    """A claimed job. `step` says how far it is and raises when it must stop."""

    worker: Worker
    job_id: int
    project_id: int
    kind: str
    payload: dict[str, Any]
    lock: str
    # When a worker took the job first, since a person last tried it again: one and the same in all slices of a try.
    tried_since: datetime
    started: float  # when the slice began
    began: float = field(default_factory=time.monotonic)
    progress: float = 0.0
    message: str = ""
    request_id: str | None = None  # of whoever queued it
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    # Set when a worker was turned away that had come for an `ask` of the project.
    wanted: threading.Event = field(default_factory=threading.Event)
    # Set when something was saved, until the row says so.
    moved: threading.Event = field(default_factory=threading.Event)
    said: Said = field(default_factory=Said)

    def report(self, progress: float, message: str) -> None:
        """Say how far the job is, in [0, 1]."""
        self.progress, self.message = progress, message
        self.said.add(self.worker.clock(), message)

    def step(self, progress: float, message: str) -> None:
        """Report, then stop if need be. Raises JobStopped when somebody cancelled it, JobLost when it was taken away."""
        self.report(progress, message)
        self.check()

    def check(self) -> None:
        """Raises JobStopped when somebody cancelled the job, JobLost when it was taken away."""
        if self.lost.is_set():
            raise job_store.JobLost(f"Job {self.job_id} was given to another worker.")
        if self.cancelled.is_set():
            raise JobStopped

    def begin_slice(self) -> None:
        """Count the slice from now: what was made ready is there for the next one too."""
        self.check()
        self.started = time.monotonic()

    @property
    def slice_over(self) -> bool:
        """Whether the job should save its state and let others have the worker."""
        hurried = self.worker.stopping.is_set() or self.wanted.is_set()
        return hurried or time.monotonic() - self.started > self.worker.settings.slice_seconds

    @property
    def called_off(self) -> bool:
        """Whether the job must not wait for a good moment to stop: cancelled, taken away, or its worker is asked to end."""
        return self.worker.stopping.is_set() or self.cancelled.is_set() or self.lost.is_set()

    @property
    def interrupted(self) -> bool:
        """Whether the job must save its state now: called off, or long enough at it."""
        return self.slice_over or self.called_off

    def pause(self) -> NoReturn:
        """End this slice; the state is saved. Raises JobStopped, JobLost or SliceOver, whichever is why."""
        self.check()
        raise SliceOver

    def state(self, phase: str) -> JobState:
        """Where this job keeps what it has done of a phase."""
        return JobState(self.worker.blobs, f"jobs/{self.job_id}/{phase}.safetensors", self.check_owned, self.moved.set)

    def check_owned(self) -> None:
        """Raises JobLost where the job was taken away, perhaps since the last heartbeat."""
        try:
            with self.worker.database.read() as session:
                owned = job_store.owns_job(session, self.job_id, self.lock)
        except SQLAlchemyError as error:  # as in a heartbeat, the database may be away for a moment
            log.warning("Whether job %s is still this worker's cannot be told: %s", self.job_id, error)
            owned = True
        if not owned:
            self.lost.set()
        if self.lost.is_set():
            raise job_store.JobLost(f"Job {self.job_id} was given to another worker.")


Handler = Callable[[JobRun], dict[str, Any]]


def run_claimed(worker: Worker, job_id: int, handlers: dict[str, Handler]) -> str:
    """Claim a job and run it; returns what became of it. May be called twice for one job without harm."""
    if worker.stopping.is_set():
        worker.forget_slices()  # nobody goes on from them here
        return "not claimed"  # the sweeper sends it to another worker
    with nullcontext() if worker.presence is None else worker.presence.at(job_id):
        run = patiently(lambda: _claimed(worker, job_id), worker.stopping)
        if run is None:
            return "not claimed"
        belongs = {"job_id": run.job_id, "job_kind": run.kind, "project": run.project_id, "request_id": run.request_id}
        with logs.belonging(**{name: value for name, value in belongs.items() if value is not None}), _heartbeat(run):
            outcome = _run(run, handlers[run.kind])
            _say(run, outcome)
        return outcome


def _say(run: JobRun, outcome: str) -> None:
    seconds = time.monotonic() - run.began
    fields = {"status": outcome, "duration_ms": round(1000 * seconds, 1)}
    said = "Job %s (%s) of project %s: %s, %.1f s"
    log.info(said, run.job_id, run.kind, run.project_id, outcome, seconds, extra={"fields": fields})


def _claimed(worker: Worker, job_id: int) -> JobRun | None:
    stale = timedelta(seconds=worker.settings.stale_seconds)
    name = None if worker.presence is None else worker.presence.name
    with worker.database.write() as session:
        job = job_store.claim_job(session, job_id, now=worker.clock(), stale_after=stale, worker=name)
        if job is None or job.lock is None or job.started_at is None:
            return None
        return JobRun(
            worker=worker,
            job_id=job.id,
            project_id=job.project_id,
            kind=job.kind,
            payload=dict(job.payload),
            lock=job.lock,
            tried_since=job.started_at,
            started=time.monotonic(),
            progress=job.progress,
            request_id=job.request_id,
        )


def _run(run: JobRun, handler: Handler) -> str:
    now = run.worker.clock
    try:
        result = handler(run)
    except SliceOver:
        return _end(run, "yielded", lambda session, job: job_store.yield_job(session, job, now=now()))
    except JobStopped:
        return _end(run, "cancelled", lambda session, job: job_store.cancel_job(session, job, now=now()))
    except job_store.JobLost as error:
        log.warning("%s", error)
        return "lost"
    except Exception as error:  # whatever went wrong belongs in the job's row, where people look
        log.exception("Job %s (%s) failed", run.job_id, run.kind)
        return _failed(run, error)
    return _end(run, "done", lambda session, job: job_store.finish_job(session, job, now=now(), result=result))


def _failed(run: JobRun, error: Exception) -> str:
    """Give the job up, count the try, or wait for what is away, whichever the error asks for."""
    worker, now, final = run.worker, run.worker.clock(), isinstance(error, JobFailed)
    text = str(error) if final else f"{type(error).__name__}: {error}"

    def postpone(session: Session, job: Job) -> None:
        job_store.postpone_job(session, job, now=now, error=text, wait=worker.waits(job.postponed + 1))

    def fail(session: Session, job: Job) -> None:
        wait, attempts = worker.waits(job.attempt), worker.settings.max_attempts
        job_store.fail_job(session, job, now=now, error=text, max_attempts=attempts, final=final, wait=wait)

    if not final and passes(error):
        return _end(run, "postponed", postpone)
    return _end(run, "failed", fail)


def _end(run: JobRun, outcome: str, write: Callable[[Session, Job], None]) -> str:
    def end() -> None:
        with run.said.taken() as lines, run.worker.database.write() as session:
            job = job_store.owned_job(session, run.job_id, run.lock)
            job.progress, job.message = run.progress, run.message
            job_lines.say(session, run.job_id, lines)
            write(session, job)

    try:
        patiently(end, run.worker.stopping)
    except job_store.JobLost as error:
        log.warning("%s", error)
        return "lost"
    return outcome


@contextmanager
def _heartbeat(run: JobRun) -> Iterator[None]:
    """Beside the job, a thread that writes its progress and reads whether it was cancelled."""
    stopped = threading.Event()
    seconds = run.worker.settings.heartbeat_seconds

    def beat() -> None:
        excused = False
        while not stopped.wait(seconds):
            excuse, moved = run.worker.stopping.is_set() and not excused, run.moved.is_set()
            try:
                _beat(run, moved=moved, excuse=excuse)
            except job_store.JobLost:
                if not stopped.is_set():
                    run.lost.set()
                return
            except SQLAlchemyError as error:  # the database may be away for a moment; the next beat tries again
                log.warning("A heartbeat failed: %s", error)
                continue
            excused = excused or excuse
            if moved:
                run.moved.clear()

    thread = threading.Thread(target=copy_context().run, args=(beat,), name=f"heartbeat-{run.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=10)


def _beat(run: JobRun, *, moved: bool, excuse: bool) -> None:
    """Raises JobLost where the job was taken away."""
    job_id, lock, now = run.job_id, run.lock, run.worker.clock()
    with run.said.taken() as lines, run.worker.database.write() as session:
        if job_store.beat(session, job_id, lock, now=now, progress=run.progress, message=run.message):
            run.cancelled.set()
        job_lines.say(session, job_id, lines)
        if job_store.ask_held_back(session, run.project_id):
            run.wanted.set()
        if moved:
            job_store.note_progress(session, job_id, lock)
        if excuse:
            job_store.excuse_try(session, job_id, lock)
