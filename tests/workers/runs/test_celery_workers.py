"""Real workers of simulations on a real broker: the same records as in one process, though a worker is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from rich.console import Console

from service.domain.methods import Method
from service.queue import make_celery
from tests.conftest import REDIS
from tests.workers.tiny import tiny_experiment
from workers.runs import celery_crew
from workers.runs.celery_crew import PROGRESS, CeleryCrew
from workers.runs.perform import perform
from workers.runs.processes import run_works
from workers.runs.works import Run, Work, key_of, trajectory_works

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker"),
]


T = TypeVar("T")


def found(look: Callable[[], T | None], what: str, seconds: float = 240.0) -> T:
    """What `look` sees once it is there."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None:
        assert time.monotonic() < deadline, f"{seconds} seconds passed before {what}."
        time.sleep(0.01)
    return seen


class Workers:
    """Worker processes that are started, each in a group of its own, so that it dies with its pool process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "worker.log"
        self._environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "REGIONWISE_BROKER_URL": REDIS,
            "REGIONWISE_DATA_DIR": str(folder),
            "REGIONWISE_DEVICE": "cpu",
            "REGIONWISE_HEARTBEAT_SECONDS": "0.2",
            "REGIONWISE_STALE_SECONDS": "3",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "service", "worker", "--simulations"]
            self.running.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
            )

    def kill_group_of(self, process: int) -> int:
        """End a worker that has no say in it, by its pool's process; returns the worker's number."""
        group = os.getpgid(process)
        (worker,) = [each for each in self.running if each.pid == group]
        os.killpg(group, signal.SIGKILL)
        worker.wait()
        self.running.remove(worker)
        return group


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    workers = Workers(tmp_path_factory.mktemp("workers"))
    for _ in range(2):
        workers.start()
    yield workers
    for worker in list(workers.running):
        workers.kill_group_of(worker.pid)


def records(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "trajectories").glob("*.json")}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Work]]:
    """Two trajectories that this process played, and their works."""
    folder = tmp_path_factory.mktemp("here")
    experiment = tiny_experiment(folder)
    works = trajectory_works(experiment, [Method(name="random"), Method(name="entropy")], ["per-pool"], [0])
    run = Run(experiment=experiment, root=None, out=folder / "out", budgets=(8, 72))
    for work in works:
        perform(run, work, device="cpu", report=lambda done, text: None)
    return run, works


def test_trajectories_are_the_same_bytes_as_in_one_process_though_a_worker_is_killed_and_a_work_fails(
    workers: Workers, played: tuple[Run, list[Work]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_crew, "POLL_SECONDS", 0.05)
    here, works = played
    there = replace(here, out=tmp_path / "there")
    results, task = make_celery(REDIS, result_backend=REDIS).backend, key_of(there, works[-1])
    killed: list[int] = []

    def process_at_it() -> int | None:
        now = results.get_task_meta(task, cache=False)
        begun = now["status"] == PROGRESS and now["result"]["done"] > 0
        return int(now["result"]["worker"].partition(":")[2]) if begun else None

    def kill_in_the_middle() -> None:
        killed.append(workers.kill_group_of(found(process_at_it, "a trajectory was begun")))

    no_policy = Work(stage="policy", name="none")
    needs_it = Work(stage="trajectory", name="learned:none", after=(no_policy.title,))
    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    failed, unbegun = run_works([*works, no_policy, needs_it], CeleryCrew(there, REDIS), Console(quiet=True))
    killer.join()
    assert failed.error.startswith("There is no policy 'none'; there are paper, ")
    assert unbegun.error == "not begun, because policy none failed"
    assert len(killed) == 1
    assert workers.log.read_text().count(f"[{task}] received") >= 2
    assert len(records(here.out)) == 2
    assert records(there.out) == records(here.out)
