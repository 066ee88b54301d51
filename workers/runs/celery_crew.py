"""Works of a run sent to Celery workers: the message is JSON, and progress comes back in files of the run's shared folder."""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from celery import Celery

from service.queue import TRAINING_QUEUE, make_celery
from service.settings import get_settings
from workers.files import write_atomically
from workers.runs.perform import perform
from workers.runs.progress import Board
from workers.runs.works import Run, Work, key_of

log = logging.getLogger(__name__)

SIMULATE_WORK = "regionwise.simulate_work"
# A worker says this often that it is alive; a work whose worker is silent for STALE_SECONDS is sent again.
BEAT_SECONDS = 2.0
STALE_SECONDS = 60.0
POLL_SECONDS = 0.5
# A work whose workers fall silent again and again kills them, by its memory perhaps.
ATTEMPTS = 3

Progress = dict[str, Any]


class WorkFailed(RuntimeError):
    """A worker could not do a work; the message is its error."""


def register_simulation(app: Celery, device: Callable[[], str]) -> None:
    """Give the application of a worker the task that does works of simulations."""

    @app.task(name=SIMULATE_WORK, shared=False)  # type: ignore[untyped-decorator]
    def simulate_work(run: dict[str, Any], work: dict[str, Any]) -> None:
        """Do one work of a run, unless another worker is at it."""
        log.info("%s: %s", work, do_work(Run.from_json(run), Work(**work), device()))


def do_work(run: Run, work: Work, device: str) -> str:
    """Do a work as a worker does: with a heartbeat, and its end or its error in the progress file. Returns its state."""
    path = progress_path(run, work)
    now = read_progress(path)
    # Delivered twice: the first is at it. Machines of one run are taken to agree about the time within a few seconds.
    if now.get("state") == "running" and time.time() - now["at"] < STALE_SECONDS / 2:
        return "taken"
    if now.get("state") == "done":  # whoever sends a work says so in its file first
        return "done before"
    heart = _Heart(path)
    with heart:
        try:
            perform(run, work, device=device, report=heart.report)
        except Exception as error:
            log.exception("%s failed", work.title)
            heart.end("failed", error=str(error) or type(error).__name__)
        else:
            heart.end("done")
    return heart.state


def progress_path(run: Run, work: Work) -> Path:
    """Where a work's worker writes how far it is: named by all that the work depends on."""
    return run.out / "progress" / f"{key_of(run, work)}.json"


def read_progress(path: Path) -> Progress:
    """What the file says; nothing where there is none."""
    try:
        progress: Progress = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return progress


class _Heart:
    """Writes a work's progress file every few seconds from a thread of its own, however long a step takes."""

    def __init__(self, path: Path) -> None:
        self._path, self.state = path, "running"
        self._progress: Progress = {"worker": f"{socket.gethostname()}:{os.getpid()}", "done": 0.0, "text": "begun"}
        self._beats = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "_Heart":
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def report(self, done: float, text: str) -> None:
        """How far the work is; the next beat tells."""
        self._progress = {**self._progress, "done": done, "text": text}

    def end(self, state: str, **more: Any) -> None:
        """The work has ended, and the heart with it."""
        self._stopping.set()
        self._thread.join()
        self.state = state
        self._progress = {**self._progress, **more}
        self._write()

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._beats += 1
            progress = {**self._progress, "state": self.state, "beat": self._beats, "at": time.time()}
            write_atomically(self._path, json.dumps(progress).encode())


class Fanout:
    """A crew of Celery workers behind a broker. They share the run's folder; no result backend is needed."""

    def __init__(self, run: Run, app: Celery, clock: Callable[[], float] = time.monotonic) -> None:
        """`app` is a Celery application with the workers' broker."""
        self._run, self._app, self._clock = run, app, clock
        self._outstanding: dict[str, _Sent] = {}
        self._alive = clock()  # when any worker was heard of last
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fanout", daemon=True)

    @property
    def at_once(self) -> int:
        """As many works as are under way, as far as their files tell; one before the first is."""
        with self._lock:
            return max(1, sum(each.running for each in self._outstanding.values()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def submit(self, work: Work, board: Board) -> "Future[None]":
        """Send a work, unless a worker is at it since an earlier run of the same command."""
        sent = _Sent(work, board, progress_path(self._run, work), self._clock())
        now = read_progress(sent.path)
        if now.get("state") == "running":
            sent.last = now
        else:
            self._send(sent)
        with self._lock:
            self._outstanding[work.title] = sent
        return sent.future

    def _send(self, sent: "_Sent") -> None:
        sent.heard, sent.last = self._clock(), {"state": "sent", "at": time.time()}
        write_atomically(sent.path, json.dumps(sent.last).encode())
        arguments = [self._run.to_json(), sent.work.to_json()]
        self._app.send_task(SIMULATE_WORK, args=arguments, queue=TRAINING_QUEUE)

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            with self._lock:
                outstanding = list(self._outstanding.values())
            for sent in outstanding:
                try:
                    self.look(sent)
                except Exception as error:  # a folder or a broker that is away ends the work, not the watching
                    sent.future.set_exception(error)
                if sent.future.done():
                    with self._lock:
                        self._outstanding.pop(sent.work.title)

    def look(self, sent: "_Sent") -> None:
        """Read how far a work is; send it again where its worker fell silent."""
        now = read_progress(sent.path)
        if now != sent.last:
            sent.last, sent.heard = now, self._clock()
            self._alive = self._clock()
        match now.get("state"):
            case "done":
                sent.future.set_result(None)
            case "failed":
                sent.future.set_exception(WorkFailed(now["error"]))
            case "running":
                sent.board.show(sent.work.title, now["done"], now["text"])
                if self._clock() - sent.heard > STALE_SECONDS:
                    self._send_again(sent, f"its worker {now['worker']} fell silent")
            case _:
                # Waiting in the broker, or forgotten by it: while any worker lives, the first.
                if self._clock() - max(sent.heard, self._alive) > sent.patience:
                    sent.patience *= 2
                    self._send(sent)

    def _send_again(self, sent: "_Sent", why: str) -> None:
        sent.attempts += 1
        if sent.attempts >= ATTEMPTS:
            sent.future.set_exception(WorkFailed(f"{why}, for the {ATTEMPTS}. time; look at its log"))
            return
        log.warning("%s: %s; it is sent again.", sent.work.title, why)
        self._send(sent)


class _Sent:
    """A work that is with the workers: what its file said last, and when that was new."""

    def __init__(self, work: Work, board: Board, path: Path, now: float) -> None:
        self.work, self.board, self.path, self.heard = work, board, path, now
        self.attempts, self.patience = 0, STALE_SECONDS
        self.last: Progress = {}
        self.future: Future[None] = Future()

    @property
    def running(self) -> bool:
        """Whether a worker is at it."""
        return self.last.get("state") == "running"


def crew(run: Run) -> Fanout:
    """The crew behind the broker that the service's settings name. Raises ValueError for one that lives inside a process."""
    settings = get_settings()
    if settings.embedded:
        raise ValueError(
            "--celery needs a broker that workers share: set REGIONWISE_BROKER_URL, redis://HOST:6379/0 say."
        )
    return Fanout(run, make_celery(settings.broker_url))
