"""Runs the works of a run where each may begin as soon as those before it have ended, and says which failed."""

import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from typing import Protocol, Self

from rich.console import Console

from workers.policy.players import end_with_parent
from workers.runs.perform import perform
from workers.runs.progress import Board
from workers.runs.works import Run, Work
from workers.training.device import resolve_device

Message = tuple[str, float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A work that failed, or was not begun because one before it did."""

    work: Work
    error: str


class Crew(Protocol):
    """Whoever does works: processes of this machine, or workers behind a broker."""

    @property
    def at_once(self) -> int:
        """How many works go on at the same time, as far as one knows."""

    def submit(self, work: Work, board: Board) -> "Future[None]":
        """Have a work done; what it reports goes to the board."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def run_works(works: Sequence[Work], crew: Crew, console: Console) -> list[Failure]:
    """Do all works, each after those it waits for; one that fails takes down only those that need it.

    Works come in an order in which none stands before what it waits for; raises ValueError where one waits for no work there.
    """
    for place, work in enumerate(works):
        if missing := set(work.after) - {each.title for each in works[:place]}:
            raise ValueError(f"{work.title} waits for {', '.join(missing)}, which does not come before it.")
    with crew, Board(console, works, lambda: crew.at_once) as board:
        return _schedule(works, crew, board)


def _schedule(works: Sequence[Work], crew: Crew, board: Board) -> list[Failure]:
    waiting, running = list(works), dict[Future[None], Work]()
    ended: set[str] = set()
    failures: list[Failure] = []
    while waiting or running:
        ready = [each for each in waiting if ended.issuperset(each.after)]
        before = [each for each in ready if each.stage != "trajectory"]
        if (running or before) and any(each.stage == "policy" and each not in ready for each in waiting):
            # A policy is long and many trajectories wait for it: it must not queue up behind those that do not.
            ready = before
        for work in ready:
            waiting.remove(work)
            running[crew.submit(work, board)] = work
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            work = running.pop(future)
            error = future.exception()
            if error is None:
                ended.add(work.title)
                board.end(work)
                continue
            failures.append(Failure(work=work, error=sentence(error)))
            board.end(work, f"failed: {sentence(error)}")
            for each in _needing(work, waiting):
                waiting.remove(each)
                failures.append(Failure(work=each, error=f"not begun, because {work.title} failed"))
                board.end(each, failures[-1].error)
    return failures


def _needing(failed: Work, waiting: Iterable[Work]) -> list[Work]:
    """The works that cannot be begun any more."""
    titles, found = {failed.title}, list[Work]()
    for work in waiting:  # none stands before what it waits for
        if titles.intersection(work.after):
            titles.add(work.title)
            found.append(work)
    return found


def at_once(jobs: int | None, device: str) -> int:
    """How many works this machine does side by side: as many as are wanted, or one for each core, or one on a GPU."""
    return jobs or (1 if resolve_device(device) != "cpu" else os.cpu_count() or 1)


class Processes:
    """Spawned processes of this machine, each kept from work to work with the data set decoded."""

    def __init__(self, run: Run, *, jobs: int | None, device: str) -> None:
        """`jobs` at once; without a number one for each core, or one on a GPU.

        Raises ValueError for a device that is not there.
        """
        self._run, self._device = run, resolve_device(device)
        self.at_once = at_once(jobs, self._device)
        self._context = multiprocessing.get_context("spawn")
        self._messages: SimpleQueue[Message | None] = self._context.SimpleQueue()
        # A pool for each process: one that dies takes down its own work, not those of the others.
        # The process that was idle last has the data set open, and is taken first.
        self._idle: queue.LifoQueue[ProcessPoolExecutor] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(self.at_once, thread_name_prefix="work")
        self._listener: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._run.out.mkdir(parents=True, exist_ok=True)
        for _ in range(self.at_once):
            self._idle.put(self._process())
        return self

    def submit(self, work: Work, board: Board) -> "Future[None]":
        """Begin a work as soon as a process is idle."""
        if self._listener is None:
            self._listener = threading.Thread(target=self._listen, args=(board,), daemon=True)
            self._listener.start()
        return self._threads.submit(self._wait_for, work)

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if any(each is not None for each in error):
            for process in multiprocessing.active_children():
                process.terminate()
        self._threads.shutdown(wait=True)
        while not self._idle.empty():
            self._idle.get().shutdown(wait=True, cancel_futures=True)
        if self._listener is not None:
            self._messages.put(None)
            self._listener.join(timeout=5)

    def _wait_for(self, work: Work) -> None:
        process = self._idle.get()
        try:
            process.submit(_in_process, self._run, work, self._device).result()
        except BrokenProcessPool as error:
            process = self._process()
            raise RuntimeError(
                "its process died, perhaps for lack of memory; the same command goes on there"
            ) from error
        finally:
            self._idle.put(process)

    def _process(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin_process, initargs=(self._messages,))

    def _listen(self, board: Board) -> None:
        while (message := self._messages.get()) is not None:
            board.show(*message)


_messages: "SimpleQueue[Message | None]"


def _begin_process(messages: "SimpleQueue[Message | None]") -> None:
    """Tells a process, when it starts, where its reports go; it ends with the one that started it, however that ends."""
    global _messages
    _messages = messages
    end_with_parent()


def _in_process(run: Run, work: Work, device: str) -> None:
    perform(run, work, device=device, report=lambda done, text: _messages.put((work.title, done, text)))


def sentence(error: BaseException) -> str:
    """What went wrong, and where unless it is an error of the user's."""
    if isinstance(error, (ValueError, RuntimeError, OSError)) and str(error):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()
