"""Runs an experiment's stages and trajectories in processes, and shows how far each is."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from workers.device import resolve_device
from workers.experiment import Experiment
from workers.stages import Bench, open_experiment_data, theta_0, trained_policy
from workers.trajectory import Trajectory

Message = tuple[str, float, str]
LEARNED = "learned"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to play: every strategy with every seed through all budgets."""

    experiment: Experiment
    root: Path | None
    strategies: Sequence[str]
    seeds: Sequence[int]
    budgets: Sequence[int]
    out: Path
    device: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """One process's piece: a stage ("theta_0", "policy") or a trajectory."""

    name: str
    stage: str
    strategy: str = ""
    seed: int = 0


def run_plan(plan: Plan, *, jobs: int | None, console: Console) -> list[dict[str, Any]]:
    """Play the plan; returns the record of every trajectory, in the order of strategies and seeds."""
    device = resolve_device(plan.device)
    at_once = jobs or (1 if device != "cpu" else os.cpu_count() or 1)
    plan.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    messages: SimpleQueue[Message | None] = context.SimpleQueue()
    # Trajectories on a CPU run on one thread each, so that their figures do not depend on how many run at once.
    with (
        _progress(console) as progress,
        ProcessPoolExecutor(at_once, mp_context=context, initializer=_listen_at, initargs=(messages,)) as pool,
    ):
        listener = _Listener(progress, messages)
        listener.start()

        def submit(work: Work) -> "Future[dict[str, Any]]":
            return pool.submit(_work, plan, work, device)

        try:
            return _schedule(plan, submit)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            listener.stop()


def _schedule(plan: Plan, submit: "Callable[[Work], Future[dict[str, Any]]]") -> list[dict[str, Any]]:
    """theta_0 first; then the policy beside the trajectories that do without it; then those that need it."""
    submit(Work(name="theta_0", stage="theta_0")).result()
    works = {
        (strategy, seed): Work(name=f"{strategy} {seed}", stage="trajectory", strategy=strategy, seed=seed)
        for seed in plan.seeds
        for strategy in plan.strategies
    }
    waiting = [place for place in works if place[0] == LEARNED]
    running: dict[Future[dict[str, Any]], tuple[str, int] | None] = {}
    if waiting:
        running[submit(Work(name="policy", stage="policy"))] = None
    running |= {submit(works[place]): place for place in works if place not in waiting}
    records: dict[tuple[str, int], dict[str, Any]] = {}
    while running:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            place = running.pop(future)
            if place is None:
                future.result()
                running |= {submit(works[each]): each for each in waiting}
            else:
                records[place] = future.result()
    return [records[strategy, seed] for strategy in plan.strategies for seed in plan.seeds]


_messages: "SimpleQueue[Message | None]"


def _listen_at(messages: "SimpleQueue[Message | None]") -> None:
    """Tells a process of the pool, when it starts, where its reports go."""
    global _messages
    _messages = messages


def _work(plan: Plan, work: Work, device: str) -> dict[str, Any]:
    """Runs in a process of its own."""
    alone = work.stage == "theta_0"
    torch.set_num_threads((os.cpu_count() or 1) if alone else 1)
    bench = Bench(
        experiment=plan.experiment,
        dataset=open_experiment_data(plan.experiment, plan.root),
        cache=plan.out / "cache",
        device=device,
        report=lambda progress, message: _messages.put((work.name, progress, message)),
    )
    if work.stage == "trajectory":
        record = Trajectory(bench, strategy=work.strategy, seed=work.seed, budgets=plan.budgets, out=plan.out).run()
    else:
        (theta_0 if alone else trained_policy)(bench, 0)
        record = {}
    _messages.put((work.name, 1.0, f"{work.name}: done"))
    return record


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class _Listener(threading.Thread):
    """Shows what the processes report; where there is no terminal, a line for every tenth of a piece of work."""

    def __init__(self, progress: Progress, messages: Any) -> None:
        super().__init__(name="progress", daemon=True)
        self._progress, self._messages = progress, messages
        self._tasks: dict[str, Any] = {}
        self._tenths: dict[str, int] = {}

    def run(self) -> None:
        while (message := self._messages.get()) is not None:
            self._show(message)

    def stop(self) -> None:
        """Show what is left and end."""
        self._messages.put(None)
        self.join(timeout=5)

    def _show(self, message: Message) -> None:
        name, done, text = message
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=1.0)
        self._progress.update(self._tasks[name], completed=done, description=text)
        tenth = int(done * 10)
        if not self._progress.console.is_terminal and self._tenths.get(name) != tenth:
            self._tenths[name] = tenth
            self._progress.console.print(f"{done:4.0%}  {text}")
