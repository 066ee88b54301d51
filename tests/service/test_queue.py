"""The sender: a broker that is away costs a request little, and nobody an error."""

import socket
import time

import pytest

from service import queue
from service.domain.job_kinds import QUEUES


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the sender warned of: (job id, kind, error)."""
    warned: list[tuple[object, ...]] = []
    monkeypatch.setattr(queue.log, "warning", lambda sentence, *args: warned.append(args))
    return warned


def test_a_broker_that_is_away_is_given_up_soon_and_for_every_job(warnings: list[tuple[object, ...]]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        send = queue.celery_sender(queue.make_celery(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"))
        before = time.monotonic()
        send([(1, "ask"), (2, "pretrain"), (3, "tell")])
    assert time.monotonic() - before < 10
    assert [args[:2] for args in warnings] == [(1, "ask")]


def test_a_broker_that_says_nothing_is_given_up_too(
    monkeypatch: pytest.MonkeyPatch, warnings: list[tuple[object, ...]]
) -> None:
    assert queue._PATIENCE["socket_timeout"] <= 5
    monkeypatch.setitem(queue._PATIENCE, "socket_timeout", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        send = queue.celery_sender(queue.make_celery(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        send([(1, "ask")])
    assert [args[:2] for args in warnings] == [(1, "ask")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ask", "rounds"), ("tell", "rounds"), ("pretrain", "gpu"), ("evaluate", "cpu"), ("newer", "cpu")],
)
def test_each_kind_waits_in_its_queue(kind: str, name: str) -> None:
    assert queue.queue_of(kind) == queue.NAMES[name]


def test_rounds_go_first() -> None:
    assert set(queue.NAMES) == set(QUEUES)
    assert min(queue.NAMES.values()) == queue.NAMES["rounds"]  # workers take from queues in the order of their names
