"""Annotators who ask while there is nothing: it costs next to nothing, and whoever waits has a region as soon as there is one."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from starlette.testclient import TestClient

from service import giving
from service.blobs import Blobs
from service.db import Database
from service.tables import Region
from tests.conftest import FakeClock
from tests.maker import Maker

SOON = 2.0  # of the 20 seconds that are asked for: the machine may be busy


@pytest.fixture
def project(make: Maker) -> int:
    """A project whose only region somebody else holds."""
    made = make.project(lookahead=False)
    make.round_(made, make.images(made, 1), regions=1)
    return made.id


def asked(app: FastAPI, tokens: list[str], meanwhile: Callable[[], Any], **params: Any) -> tuple[list[Any], float]:
    """What callers who ask at once are answered, and how long after `meanwhile` the last answer came."""
    ended = 0.0

    async def one(client: httpx.AsyncClient, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return (await client.get("/next-regions", params=params, headers=headers)).json()

    async def all_of_them() -> list[Any]:
        nonlocal ended
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=60) as client:
            waiting = [asyncio.create_task(one(client, token)) for token in tokens]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(meanwhile)
            ended = time.monotonic()
            return await asyncio.gather(*waiting)

    answers = asyncio.run(all_of_them())
    return answers, time.monotonic() - ended


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    said: list[str] = []

    def note(*given: Any) -> None:
        said.append(given[2])

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_who_waits_has_a_region_as_soon_as_it_is_given_back(
    app: FastAPI, client: TestClient, make: Maker, project: int
) -> None:
    (held,) = client.get("/next-regions").json()["items"]
    back = {"lease_token": held["lease_token"]}
    (answer,), seconds = asked(
        app, [make.annotator()], lambda: client.post("/regions/1/release", json=back).raise_for_status(), wait=20
    )
    assert [each["id"] for each in answer["items"]] == [1]
    assert seconds < SOON


def test_who_waits_has_a_region_that_another_process_asked_for(
    app: FastAPI, make: Maker, database: Database, blobs: Blobs, clock: FakeClock
) -> None:
    project = make.project(lookahead=False)
    round_ = make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        session.get_one(Region, round_[0].id).state = "skipped"
    elsewhere = Database(database.engine.url.render_as_string(hide_password=False))

    def opened() -> None:
        with elsewhere.write() as session:
            session.get_one(Region, round_[0].id).state = "open"

    tokens = [make.annotator(), make.annotator()]
    answers, seconds = asked(app, tokens, opened, wait=3)
    elsewhere.engine.dispose()
    assert sorted(len(each["items"]) for each in answers) == [0, 1]
    assert next(each["reason"] for each in answers if not each["items"]) == "all_leased"
    assert seconds > 1  # who did not get it went on waiting


def test_who_waits_has_a_region_whose_lease_ran_out(
    app: FastAPI, client: TestClient, make: Maker, project: int, clock: FakeClock
) -> None:
    assert client.get("/next-regions").json()["items"]
    (answer,), seconds = asked(app, [make.annotator()], lambda: clock.advance(hours=1), wait=20)
    assert [each["id"] for each in answer["items"]] == [1]
    assert seconds < SOON


def test_nobody_waits_for_what_does_not_pass(client: TestClient, make: Maker) -> None:
    make.project(budget=1)
    began = time.monotonic()
    given = client.get("/next-regions", params={"wait": 0.2}).json()
    assert given["items"] == []
    assert time.monotonic() - began < SOON
    for wait in ("-1", "61", "nan"):
        assert client.get("/next-regions", params={"wait": wait}).status_code == 422


def test_who_waits_is_let_go_when_the_server_ends(app: FastAPI, client: TestClient, make: Maker, project: int) -> None:
    assert client.get("/next-regions").json()["items"]
    (answer,), seconds = asked(app, [make.annotator()], app.state.giving.close, wait=20)
    assert (answer["items"], answer["reason"]) == ([], "all_leased")
    assert seconds < SOON


def test_nothing_is_given_to_somebody_who_has_gone_meanwhile(
    app: FastAPI, client: TestClient, make: Maker, project: int, database: Database
) -> None:
    (held,) = client.get("/next-regions").json()["items"]
    gone = threading.Event()

    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "gone": gone.is_set}, receive, send)

    def given_back() -> None:
        gone.set()
        client.post("/regions/1/release", json={"lease_token": held["lease_token"]}).raise_for_status()

    (answer,), _ = asked(leaving, [make.annotator()], given_back, wait=20)  # type: ignore[arg-type]
    assert answer["items"] == []
    assert [each["id"] for each in client.get("/next-regions").json()["items"]] == [1]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("DELETE", "/projects/1/members/{}", "not_found"),
        ("DELETE", "/annotators/{}", "unauthorized"),
        ("POST", "/annotators/{}/token", "unauthorized"),
    ],
)
def test_nothing_is_given_to_somebody_who_was_shut_out_meanwhile(
    app: FastAPI, admin: TestClient, client: TestClient, make: Maker, project: int, method: str, path: str, code: str
) -> None:
    (held,) = client.get("/next-regions").json()["items"]
    token = make.annotator(name="eve")
    eve = max(each["id"] for each in admin.get("/annotators").json()["items"])

    def shut_out() -> None:
        admin.request(method, path.format(eve)).raise_for_status()
        client.post("/regions/1/release", json={"lease_token": held["lease_token"]}).raise_for_status()

    (answer,), seconds = asked(app, [token], shut_out, wait=20, project=project)
    assert answer["error"]["code"] == code
    assert seconds < SOON
    assert [each["id"] for each in client.get("/next-regions").json()["items"]] == [1]


def test_of_one_annotator_s_requests_few_wait_at_a_time(
    app: FastAPI, client: TestClient, make: Maker, project: int
) -> None:
    (held,) = client.get("/next-regions").json()["items"]
    back = {"lease_token": held["lease_token"]}
    token = make.annotator()
    began, at_once = time.monotonic(), list[bool]()

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        at_once.append(time.monotonic() - began < 1.5)

    def given_back() -> None:
        time.sleep(max(0.0, began + 2 - time.monotonic()))
        client.post("/regions/1/release", json=back).raise_for_status()

    answers, _ = asked(timed, [token] * 12, given_back, wait=4)  # type: ignore[arg-type]
    assert sorted(at_once) == [False] * giving.MOST_WAITS + [True] * (12 - giving.MOST_WAITS)
    assert [each["items"][0]["id"] for each in answers if each["items"]] == [1]


def test_two_hundred_who_ask_for_nothing_write_next_to_nothing(
    app: FastAPI, database: Database, client: TestClient, make: Maker, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving, "BELIEVED_SECONDS", 0.5)
    assert client.get("/next-regions").json()["items"]
    tokens = [make.annotator() for _ in range(20)]
    asked(app, tokens, lambda: None)  # notes that the tokens are used today
    with statements(database) as said:
        for _ in range(10):
            answers, _ = asked(app, tokens, lambda: None)
            assert {each["reason"] for each in answers} == {"all_leased"}
    # On SQLite a transaction that writes takes the lock first; on PostgreSQL one that may give out says how it is committed.
    writing = [each for each in said if each.startswith(("BEGIN IMMEDIATE", "SELECT set_config", "INSERT", "UPDATE"))]
    assert len(writing) < 100, len(writing)
