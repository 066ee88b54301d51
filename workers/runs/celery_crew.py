"""Works of a run as tasks of Celery workers: the task that does one, and the crew that sends them and watches their results."""

import logging
import os
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from celery import shared_task, states
from celery.exceptions import Ignore, Reject
from kombu.exceptions import OperationalError
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.lock import Lock

from service.queue import SIMULATION_QUEUE, make_celery, shared_redis
from service.settings import Settings, get_settings
from workers.runs.perform import perform
from workers.runs.processes import sentence
from workers.runs.progress import Board
from workers.runs.works import Run, Work, key_of
from workers.training.device import resolve_device

log = logging.getLogger(__name__)

SIMULATE_WORK = "regionwise.simulate_work"
POLL_SECONDS = 0.5
# States of a result besides Celery's own: waiting in the queue, and under way.
SENT, PROGRESS = "SENT", "PROGRESS"


class WorkFailed(RuntimeError):
    """A worker could not do a work; the message is its error."""


class _Taken(Exception):
    """Another worker is at the work."""


# Shared: Celery gives it to every application of a process that imports this module, and to no other.
@shared_task(name=SIMULATE_WORK, bind=True, ignore_result=False, acks_late=True, reject_on_worker_lost=True)  # type: ignore[untyped-decorator]
def simulate_work(task: Any, run: dict[str, Any], work: dict[str, Any]) -> None:
    """Do one work of a run. Raises WorkFailed, whose sentence Celery keeps as the result: it would fail again."""
    settings = get_settings()
    try:
        with _Hold(task, settings) as hold:
            _perform(run, work, settings, hold)
    except RedisError as error:  # before the work began, or after it ended: it is delivered again
        raise Reject(str(error), requeue=True) from error
    except _Taken:
        # The message is not dropped, since it may be the very one that is to outlive the other worker: it goes to the
        # queue's end, behind works that nobody is at.
        raise Reject("another worker is at it", requeue=True) from None


def _perform(run: dict[str, Any], work: dict[str, Any], settings: Settings, hold: "_Hold") -> None:
    try:
        hold.check_attempts(settings.max_attempts)
        perform(Run.from_json(run), Work(**work), device=resolve_device(settings.device), report=hold.report)
    except _Taken:
        raise
    except Exception as error:
        raise WorkFailed(sentence(error)) from error


class _Hold:
    """What Celery has not got: it cannot say over Redis that a worker is still at a work, of which some take hours.

    A worker therefore takes a lock, so that a work that was sent or delivered twice is not done by two at once. From a thread,
    however long a step takes, it renews the lock, the visibility of its message (so that visibility_timeout may be short, and
    the message of a lost worker is delivered again soon), and the progress in the result.
    """

    def __init__(self, task: Any, settings: Settings) -> None:
        self._results, self._id, self._seconds = task.backend, task.request.id, settings.heartbeat_seconds
        self._stale = settings.stale_seconds
        self._lock: Lock = self._results.client.lock(
            lock_name(self._id), timeout=self._stale, sleep=self._seconds, thread_local=False
        )
        self._index = task.app.conf.broker_transport_options["unacked_index_key"]
        self._tag = task.request.properties["delivery_tag"]
        self._progress: dict[str, Any] = {
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "furthest": 0.0,
            "done": 0.0,
            "text": "begun",
        }
        self._lost = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="hold", daemon=True)

    def __enter__(self) -> Self:
        """Raises _Taken where another worker has the lock, and Ignore for a work that was sent twice and is done."""
        if not self._lock.acquire(blocking_timeout=self._stale / 10):
            raise _Taken
        try:
            self._begin()
        except BaseException:
            with suppress(LockError, RedisError):
                self._lock.release()
            raise
        self._thread.start()
        return self

    def _begin(self) -> None:
        self._last = self._results.get_task_meta(self._id, cache=False)
        if self._last["status"] == states.SUCCESS:
            raise Ignore
        # One that is under way though nobody had the lock has lost its worker. Workers are counted anew where it came further
        # than with any before: a work of days may lose more than a few.
        under_way = self._last["status"] == PROGRESS
        last = self._last["result"] if under_way else {}
        furthest, reached = last.get("furthest", 0.0), last.get("done", 0.0)
        self._attempt = 1 + (last["attempt"] if under_way and reached <= furthest else 0)
        self._progress["furthest"] = max(furthest, reached)
        self._renew()

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join()
        with suppress(LockError, RedisError):
            self._lock.release()

    def check_attempts(self, most: int) -> None:
        """Raises WorkFailed for a work that kills its workers: Celery would deliver it for ever."""
        if self._attempt > most:
            worker = self._last["result"]["worker"]
            raise WorkFailed(f"its worker was lost {most} times, the last time {worker}; look at that worker's log")

    def report(self, done: float, text: str) -> None:
        """How far the work is; the next beat tells. Raises _Taken once another worker is at it."""
        if self._lost:
            raise _Taken
        self._progress = {**self._progress, "done": done, "text": text}

    def _beat(self) -> None:
        while not self._lost and not self._ending.wait(self._seconds):
            try:
                self._renew()
            except RedisError as error:  # a work does without Redis for a while
                log.warning("Redis does not answer: %s", error)

    def _renew(self) -> None:
        try:
            self._lock.reacquire()
        except LockNotOwnedError:  # this process stood still for too long, or Redis forgot
            self._lost = not self._lock.acquire(blocking=False)
            if self._lost:
                return
        self._results.client.zadd(self._index, {self._tag: time.time()}, xx=True)
        self._results.store_result(self._id, {**self._progress, "attempt": self._attempt}, PROGRESS)


def lock_name(task_id: str) -> str:
    """Under which the worker that is at a work holds its lock."""
    return f"lock-{task_id}"


class CeleryCrew:
    """Celery workers behind Redis. They share the run's folder: what it holds is the truth, and no work is sent as data."""

    def __init__(self, run: Run, redis_url: str) -> None:
        self._run = run
        # Sends by an application without results: one with results subscribes to each of them.
        self._sender = make_celery(redis_url)
        self._results = make_celery(redis_url, result_backend=redis_url).backend
        self._outstanding: list[_Outstanding] = []
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="crew", daemon=True)

    @property
    def at_once(self) -> int:
        """As many works as are under way; one before the first is."""
        with self._changing:
            return max(1, sum(each.running for each in self._outstanding))

    def __enter__(self) -> Self:
        """Raises ValueError where no Redis answers; one that goes away later is waited for."""
        try:
            self._results.client.ping()
        except RedisError as error:
            raise ValueError(f"No Redis answers at REGIONWISE_BROKER_URL: {error}") from error
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def submit(self, work: Work, board: Board) -> "Future[None]":
        """Have a work sent, unless a worker is at it since an earlier start of the same command."""
        each = _Outstanding(work, board, key_of(self._run, work))
        with self._changing:
            self._outstanding.append(each)
        return each.future

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            with self._changing:
                outstanding = list(self._outstanding)
            try:
                for each in outstanding:
                    self._look(each)
            except (*self._results.connection_errors, OperationalError) as error:
                log.warning("Redis does not answer, and is asked again: %s", error)
            except Exception as error:
                each.future.set_exception(error)
            with self._changing:
                self._outstanding = [each for each in self._outstanding if not each.future.done()]

    def _look(self, each: "_Outstanding") -> None:
        if not each.sent:
            self._send(each)
        now = self._results.get_task_meta(each.id, cache=False)
        each.running = now["status"] == PROGRESS
        match now["status"]:
            case states.SUCCESS:
                each.future.set_result(None)
            case states.FAILURE | states.REVOKED:
                each.future.set_exception(WorkFailed(str(now["result"])))
            case "PROGRESS":
                each.board.show(each.work.title, now["result"]["done"], now["result"]["text"])
            case states.PENDING:  # Redis has forgotten the result, and so the message too
                self._send(each)

    def _send(self, each: "_Outstanding") -> None:
        """Send a work that nobody is at. One that is done or waits is sent too: doing it again reads what lies there."""
        if not self._results.client.exists(lock_name(each.id)):
            self._results.forget(each.id)
            self._results.store_result(each.id, None, SENT)
            arguments = [self._run.to_json(), each.work.to_json()]
            self._sender.send_task(SIMULATE_WORK, args=arguments, queue=SIMULATION_QUEUE, task_id=each.id)
        each.sent = True


class _Outstanding:
    """A work that is to be done, and what its result said last."""

    def __init__(self, work: Work, board: Board, task_id: str) -> None:
        self.work, self.board, self.id = work, board, task_id
        self.sent = self.running = False
        self.future: Future[None] = Future()


def crew(run: Run) -> CeleryCrew:
    """The crew behind the broker that the service's settings name. Raises ValueError for one that is no Redis."""
    return CeleryCrew(run, shared_redis(get_settings(), "--celery"))
