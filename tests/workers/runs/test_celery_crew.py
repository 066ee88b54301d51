"""Works over Celery and a real Redis: sent once, done once, held while they are done, and given up where they kill workers."""

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest
import redis
from rich.console import Console

from service.queue import make_celery
from service.settings import Settings
from tests.conftest import REDIS
from tests.workers.tiny import tiny_experiment
from workers import app as worker_app
from workers.app import add_simulations, make_app
from workers.runs import celery_crew
from workers.runs.celery_crew import PROGRESS, SENT, CeleryCrew, WorkFailed, crew, lock_name
from workers.runs.progress import Board
from workers.runs.works import Run, Work, key_of

WITHIN = 60.0


def until(true: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline, f"{WITHIN} seconds passed before {what}."
        time.sleep(0.01)


def quiet() -> Console:
    return Console(quiet=True)


class Server:
    """A worker in a thread of this process, as `regionwise worker --simulations` is one in its own."""

    def __init__(self, settings: Settings, queue: str) -> None:
        app = make_celery(settings.broker_url)
        add_simulations(app, settings)
        app.finalize()
        app.set_default()
        self.controller = app.WorkController(
            pool="solo", concurrency=1, queues=[queue], without_gossip=True, without_mingle=True
        )
        self._thread = threading.Thread(target=self.controller.start, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.controller.stop(in_sighandler=False, exitcode=0)
        self._thread.join(timeout=30)


class Bench:
    """One work, the crew that has it done, a queue of this test alone, and what stands for the doing."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(broker_url=REDIS, device="cpu", heartbeat_seconds=0.05, stale_seconds=0.4)
        self.queue = f"simulations-{uuid.uuid4().hex}"
        self.redis = redis.Redis.from_url(REDIS)
        self.work = Work(stage="clicks")
        self.run = Run(experiment=tiny_experiment(folder), root=None, out=folder / "out")
        self.id = key_of(self.run, self.work)
        self.crew = CeleryCrew(self.run, REDIS)
        self.results = self.crew._results
        self.board = Board(quiet(), [self.work], lambda: 1)
        self.done: list[str] = []
        self.doing: Callable[[Callable[[float, str], None]], None] = lambda report: None

    def perform(self, run: Run, work: Work, *, device: str, report: Callable[[float, str], None]) -> None:
        self.done.append(work.title)
        self.doing(report)

    def submit(self) -> "Future[None]":
        return self.crew.submit(self.work, self.board)

    def server(self) -> Server:
        return Server(self.settings, self.queue)

    def state(self) -> str:
        return str(self.results.get_task_meta(self.id, cache=False)["status"])

    def waiting(self) -> int:
        """How many messages are in the queue."""
        return int(self.redis.llen(self.queue))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if not REDIS:
        pytest.skip("REGIONWISE_TEST_REDIS names no broker")
    bench = Bench(tmp_path)
    monkeypatch.setattr(celery_crew, "SIMULATION_QUEUE", bench.queue)
    monkeypatch.setattr(celery_crew, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(celery_crew, "get_settings", lambda: bench.settings)
    monkeypatch.setattr(celery_crew, "perform", bench.perform)
    with bench.crew:
        yield bench
    bench.redis.delete(bench.queue, lock_name(bench.id))
    bench.redis.close()


@pytest.mark.redis
def test_a_work_that_takes_longer_than_the_visibility_of_its_message_is_delivered_once(bench: Bench) -> None:
    seen: list[tuple[int, bool]] = []
    another = make_celery(REDIS)
    add_simulations(another, bench.settings)

    def long(report: Callable[[float, str], None]) -> None:
        for _ in range(10):
            time.sleep(0.15)  # 1.5 seconds, several times as long as a message may be out of sight
            restore()
            seen.append((bench.waiting(), bool(bench.redis.exists(lock_name(bench.id)))))

    bench.doing = long
    with another.connection_for_read() as connection, bench.server():
        # What every worker does all the time, but this one, which is busy in its only thread.
        restore = partial(connection.default_channel.qos.restore_visible, interval=1)
        bench.submit().result(WITHIN)
    assert set(seen) == {(0, True)}
    assert len(bench.done) == 1
    assert not bench.redis.exists(lock_name(bench.id))


@pytest.mark.redis
def test_a_work_that_another_worker_is_at_waits_for_its_end(bench: Bench) -> None:
    future = bench.submit()
    until(lambda: bench.waiting(), "the work was sent")
    bench.redis.set(lock_name(bench.id), "another")
    with bench.server():
        time.sleep(1)
        assert (bench.done, future.done()) == ([], False)
        bench.redis.delete(lock_name(bench.id))
        future.result(WITHIN)
    assert len(bench.done) == 1


@pytest.mark.redis
def test_a_worker_that_lost_its_hold_stops_and_tells_nothing(bench: Bench) -> None:
    def stood_still(report: Callable[[float, str], None]) -> None:
        if len(bench.done) > 1:
            return
        bench.redis.set(lock_name(bench.id), "another", px=1000)
        time.sleep(0.3)
        report(0.5, "half")
        bench.done.append("went on")

    bench.doing = stood_still
    with bench.server():
        bench.submit().result(WITHIN)
    assert bench.done == ["clicks", "clicks"]


@pytest.mark.redis
def test_a_work_that_kills_its_workers_is_given_up(bench: Bench) -> None:
    future = bench.submit()
    until(lambda: bench.waiting(), "the work was sent")
    lost = {"worker": "w:1", "done": 0.5, "furthest": 0.5, "text": "x", "attempt": 3}
    bench.results.store_result(bench.id, lost, PROGRESS)
    with bench.server(), pytest.raises(WorkFailed, match=r"lost 3 times, the last time w:1"):
        future.result(WITHIN)
    assert bench.done == []


@pytest.mark.redis
def test_a_work_that_came_further_with_each_of_its_lost_workers_is_not_given_up(bench: Bench) -> None:
    future = bench.submit()
    until(lambda: bench.waiting(), "the work was sent")
    lost = {"worker": "w:1", "done": 0.7, "furthest": 0.5, "text": "x", "attempt": 3}
    bench.results.store_result(bench.id, lost, PROGRESS)
    with bench.server():
        future.result(WITHIN)
    assert bench.done == ["clicks"]


@pytest.mark.redis
def test_a_work_that_a_worker_is_at_is_not_sent_by_the_next_start(bench: Bench) -> None:
    bench.redis.set(lock_name(bench.id), "since the last start")
    bench.results.store_result(bench.id, {"worker": "w:1", "done": 0.5, "text": "x", "attempt": 1}, PROGRESS)
    future = bench.submit()
    until(lambda: bench.board._done, "its progress was shown")
    assert bench.board._done == {"clicks": 0.5}
    bench.results.store_result(bench.id, None, "SUCCESS")
    future.result(WITHIN)
    assert bench.waiting() == 0


@pytest.mark.redis
def test_what_is_done_is_looked_at_again_since_its_folder_may_be_gone(bench: Bench) -> None:
    with bench.server():
        bench.submit().result(WITHIN)
        bench.submit().result(WITHIN)
    assert len(bench.done) == 2


@pytest.mark.redis
def test_a_message_that_was_sent_twice_is_done_once(bench: Bench) -> None:
    future = bench.submit()
    until(lambda: bench.waiting(), "the work was sent")
    bench.redis.lpush(bench.queue, *bench.redis.lrange(bench.queue, 0, 0))
    with bench.server():
        future.result(WITHIN)
        until(lambda: not bench.waiting(), "both messages were taken")
    assert len(bench.done) == 1


@pytest.mark.redis
def test_what_redis_forgot_is_sent_again(bench: Bench) -> None:
    future = bench.submit()
    until(lambda: bench.state() == SENT and bench.waiting(), "the work was sent")
    bench.redis.delete(bench.queue)
    bench.results.forget(bench.id)
    until(lambda: bench.waiting(), "it was sent again")
    with bench.server():
        future.result(WITHIN)


def test_a_broker_that_lives_inside_one_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_crew, "get_settings", lambda: Settings(broker_url="memory://"))
    with pytest.raises(ValueError, match=r"--celery needs Redis, .*REGIONWISE_BROKER_URL"):
        crew(Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path))


def test_a_redis_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        away = CeleryCrew(
            Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path),
            f"redis://127.0.0.1:{nobody.getsockname()[1]}/0",
        )
        with pytest.raises(ValueError, match="No Redis answers at REGIONWISE_BROKER_URL"), away:
            pass


def test_only_a_worker_for_simulations_takes_from_their_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(broker_url="redis://127.0.0.1:1/0")
    taken: list[str] = []
    for simulations in (False, True):
        app = make_app(settings)
        monkeypatch.setattr(app, "worker_main", taken.extend)
        monkeypatch.setattr(worker_app, "app", app)
        monkeypatch.setattr(worker_app, "get_settings", lambda: settings)
        worker_app.run_worker(concurrency=1, log_level="INFO", simulations=simulations)
    assert [each for each in taken if each.startswith("--queues")] == [
        "--queues=rounds,training-cpu,training-gpu",
        "--queues=rounds,training-cpu,training-gpu,simulations",
    ]


def test_a_worker_whose_lines_are_json_greets_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for log_format in ("text", "json"):
        settings = Settings(broker_url="redis://127.0.0.1:1/0", log_format=log_format)
        app, taken = make_app(settings), list[str]()
        monkeypatch.setattr(app, "worker_main", taken.extend)
        monkeypatch.setattr(worker_app, "app", app)
        monkeypatch.setattr(worker_app, "get_settings", lambda settings=settings: settings)
        worker_app.run_worker(concurrency=1, log_level="INFO")
        assert ("--quiet" in taken[: taken.index("worker")]) == (log_format == "json")
