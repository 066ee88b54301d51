"""Simulations behind a broker: the same records as from processes of this machine, and works whose worker is lost."""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from rich.console import Console

from service.domain.methods import Method
from service.queue import TRAINING_QUEUE, make_celery
from service.settings import Settings
from tests.workers.tiny import tiny_experiment
from workers.app import make_app
from workers.runs import celery_crew as fanout
from workers.runs.celery_crew import (
    SIMULATE_WORK,
    Fanout,
    WorkFailed,
    do_work,
    progress_path,
    read_progress,
    register_simulation,
)
from workers.runs.processes import Processes, run_works
from workers.runs.progress import Board
from workers.runs.works import Run, Work, trajectory_works

REDIS = os.environ.get("REGIONWISE_TEST_REDIS", "")


class Server:
    """A worker in a thread of this process, as `regionwise worker` is one in its own."""

    def __init__(self, broker: str, queue: str) -> None:
        logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # it warns that memory has no host name
        self.app = make_celery(broker, broker_transport_options={"polling_interval": 0.05})
        self._queue = queue
        register_simulation(self.app, lambda: "cpu")
        self.app.finalize()
        self.app.set_default()
        self.controller = self.app.WorkController(
            pool="solo", concurrency=1, queues=[queue], without_gossip=True, without_mingle=True
        )
        self._thread = threading.Thread(target=self.controller.start, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.controller.stop(in_sighandler=False, exitcode=0)
        self._thread.join(timeout=30)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a broker; the queue of simulations is one of this test alone."""
    queue = f"{TRAINING_QUEUE}-{uuid.uuid4().hex}"
    monkeypatch.setattr(fanout, "TRAINING_QUEUE", queue)
    if request.param == "memory":
        yield "memory://"
        return
    if not REDIS:
        pytest.skip("REGIONWISE_TEST_REDIS names no broker")
    yield REDIS
    redis.Redis.from_url(REDIS).delete(queue)


def quiet() -> Console:
    return Console(quiet=True)


def records(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "trajectories").glob("*.json")}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Work]]:
    """Two trajectories that two processes of this machine played, and their works."""
    folder = tmp_path_factory.mktemp("here")
    experiment = tiny_experiment(folder)
    works = trajectory_works(experiment, [Method(name="random"), Method(name="entropy")], ["per-pool"], [0])
    run = Run(experiment=experiment, root=None, out=folder / "out", budgets=(8, 12))
    assert run_works(works, Processes(run, jobs=2, device="cpu"), quiet()) == []
    return run, works


def test_trajectories_are_the_same_bytes_as_from_processes(
    broker: str, played: tuple[Run, list[Work]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "POLL_SECONDS", 0.05)
    here, works = played
    there = replace(here, out=tmp_path / "there")
    with Server(broker, fanout.TRAINING_QUEUE) as server:
        assert run_works(works, Fanout(there, server.app), quiet()) == []
    assert len(records(here.out)) == 2
    assert records(there.out) == records(here.out)


def test_an_error_comes_back_from_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = f"{TRAINING_QUEUE}-{uuid.uuid4().hex}"
    monkeypatch.setattr(fanout, "TRAINING_QUEUE", queue)
    monkeypatch.setattr(fanout, "POLL_SECONDS", 0.05)
    run = Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path / "out")
    with Server("memory://", queue) as server:
        (failure,) = run_works([Work(stage="policy", name="none")], Fanout(run, server.app), quiet())
    assert failure.error.startswith("There is no policy 'none'; there are paper, ")


class Outbox:
    """Stands for the application of the sender, and keeps what it was to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[dict], str]] = []

    def send_task(self, name: str, *, args: list[dict], queue: str) -> None:
        self.sent.append((name, json.loads(json.dumps(args)), queue))


class Watched:
    """A work that was sent, a clock that is moved, and the file that its worker would write."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.outbox = Outbox()
        self.work = Work(stage="clicks")
        self.run = Run(experiment=tiny_experiment(folder), root=None, out=folder / "out")
        self.path = progress_path(self.run, self.work)
        self.board = Board(quiet(), [self.work], lambda: 1)
        self.crew = Fanout(self.run, self.outbox, clock=lambda: self.now)  # type: ignore[arg-type]

    def submit(self) -> None:
        self.future = self.crew.submit(self.work, self.board)
        self.sent = self.crew._outstanding[self.work.title]

    def write(self, state: str, beat: int, **more: object) -> None:
        progress = {"state": state, "beat": beat, "at": time.time(), "done": 0.5, "text": "x", "worker": "w:1", **more}
        self.path.write_text(json.dumps(progress))

    def after(self, seconds: float) -> int:
        """Look again so much later; how many messages were sent by then."""
        self.now += seconds
        self.crew.look(self.sent)
        return len(self.outbox.sent)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path)
    watched.submit()
    return watched


def test_the_message_is_json_on_the_queue_that_workers_serve(watched: Watched) -> None:
    ((name, (run, work), queue),) = watched.outbox.sent
    assert (name, queue) == (SIMULATE_WORK, TRAINING_QUEUE)
    assert Work(**work) == watched.work
    assert Run.from_json(run).experiment == watched.run.experiment


def test_a_work_is_sent_again_when_its_heartbeat_stops_for_a_minute(watched: Watched) -> None:
    watched.write("running", 1)
    assert watched.after(1) == 1
    watched.write("running", 2)
    assert watched.after(50) == 1
    assert watched.after(59) == 1
    assert watched.after(2) == 2
    watched.write("running", 1)
    assert watched.after(1) == 2
    watched.write("done", 2)
    watched.after(1)
    assert watched.future.result() is None


def test_one_whose_workers_always_fall_silent_fails(watched: Watched) -> None:
    for beat in range(3):
        watched.write("running", beat)
        watched.after(1)
        watched.after(61)
    with pytest.raises(WorkFailed, match=r"w:1 fell silent, for the 3\. time"):
        watched.future.result(timeout=0)


def test_what_a_broker_forgot_is_sent_again_in_longer_and_longer_intervals(watched: Watched) -> None:
    assert [watched.after(seconds) for seconds in (59, 2, 100, 21, 200)] == [1, 2, 2, 3, 3]


def test_a_work_that_a_worker_is_at_is_not_sent_by_the_next_run(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.path.parent.mkdir(parents=True)
    watched.write("running", 1)
    watched.submit()
    assert watched.outbox.sent == []
    assert watched.after(61) == 1


def test_a_message_that_comes_twice_is_done_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.write("running", 1)
    assert do_work(watched.run, watched.work, "cpu") == "taken"
    watched.write("running", 1, at=time.time() - 60)
    assert do_work(watched.run, watched.work, "cpu") == "done"
    monkeypatch.setattr(fanout, "perform", None)
    assert do_work(watched.run, watched.work, "cpu") == "done before"


def test_the_heart_beats_while_a_step_takes_long(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "BEAT_SECONDS", 0.01)
    seen: list[int] = []

    def slow(run: Run, work: Work, *, device: str, report: object) -> None:
        deadline = time.monotonic() + 30
        while len(set(seen)) < 3 and time.monotonic() < deadline:
            seen.append(read_progress(watched.path)["beat"])
            time.sleep(0.01)

    monkeypatch.setattr(fanout, "perform", slow)
    do_work(watched.run, watched.work, "cpu")
    assert len(set(seen)) >= 3


def test_a_worker_of_the_service_knows_the_task() -> None:
    assert SIMULATE_WORK in make_app(Settings(broker_url="memory://")).tasks


def test_a_broker_that_lives_inside_one_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "get_settings", lambda: Settings(broker_url="memory://"))
    with pytest.raises(ValueError, match="REGIONWISE_BROKER_URL"):
        fanout.crew(Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path))
