"""Who gets in: tokens and roles come before bodies, wrong tokens are counted by address, and every route has its role."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.settings import Settings
from service.throttle import Throttle, machine_of
from tests.maker import Maker

Login = Callable[..., TestClient]
OPEN = {"/session", "/healthz", "/readyz"}


class Unread:
    """A body of which nobody may ask for a byte."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("the body was read")


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route that needs a token."""
    found = []
    for path, methods in app.openapi()["paths"].items():
        if path not in OPEN:
            found += [(method.upper(), path.replace("{id}", "1").replace("{token}", "1-a")) for method in methods]
    return found


def test_no_route_reads_a_body_of_somebody_without_a_token(app: FastAPI, stranger: TestClient) -> None:
    for method, path in operations(app):
        for headers in ({}, {"Authorization": "Basic cm9vdDpyb290"}):
            response = stranger.request(method, path, content=Unread(), headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized"), (method, path)


def test_no_other_spelling_of_a_path_leads_past_the_door(
    app: FastAPI, stranger: TestClient, client: TestClient
) -> None:
    for method, path in operations(app):
        response = stranger.request(method, f"{path}%0A", content=Unread())
        assert response.status_code in (401, 404), (method, path)
    assert client.get("/session%0A").status_code == 200
    assert client.get("/annotators%0A").status_code == 403


def test_no_route_of_a_project_reads_a_body_of_an_annotator_or_a_stranger(
    app: FastAPI, client: TestClient, make: Maker
) -> None:
    make.project()
    paths = app.openapi()["paths"]
    with_bodies = [
        (method.upper(), path)
        for path, methods in paths.items()
        for method, each in methods.items()
        if "requestBody" in each
    ]
    for method, path in with_bodies:
        if path.startswith("/projects"):
            response = client.request(
                method, path.replace("{id}", "1").replace("{annotator_id}", "1"), content=Unread()
            )
            assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden"), (method, path)
            response = client.request(
                method, path.replace("{id}", "7").replace("{annotator_id}", "1"), content=Unread()
            )
            assert response.status_code == (403 if path == "/projects" else 404), (method, path)
    assert len(with_bodies) > 8


def test_somebody_who_was_shut_out_is_out_with_the_next_request(admin: TestClient, client: TestClient) -> None:
    (ada,) = [each for each in admin.get("/annotators").json()["items"] if each["name"] == "ada"]
    assert client.post("/labels", json={}).status_code == 422
    admin.delete(f"/annotators/{ada['id']}")
    assert client.post("/labels", content=Unread()).status_code == 401


def test_wrong_tokens_of_an_address_are_refused_for_a_while_and_right_ones_are_not(
    settings: Settings, database: Database, blobs: Blobs, make: Maker
) -> None:
    app = create_app(settings.model_copy(update={"wrong_tokens_per_minute": 3}), database=database, blobs=blobs)
    right = make.annotator()

    def get(token: str, host: str = "192.0.2.1") -> int:
        client = TestClient(app, client=(host, 5000), raise_server_exceptions=False)
        response = client.get("/projects", headers={"Authorization": f"Bearer {token}"} if token else {})
        if response.status_code == 429:
            assert response.json()["error"]["code"] == "too_many_wrong_tokens"
            assert 0 < int(response.headers["Retry-After"]) <= 60
        return int(response.status_code)

    assert [get("") for _ in range(5)] == [401] * 5  # no token is no guess
    assert [get(f"rw_{number}") for number in range(5)] == [401, 401, 401, 429, 429]
    assert [get(right), get("rw_5"), get(right)] == [200, 429, 200]
    assert get("rw_6", "192.0.2.2") == 401


def test_a_throttle_forgets_after_a_minute_and_remembers_just_so_many_addresses() -> None:
    now = [0.0]
    throttle = Throttle(2, clock=lambda: now[0])
    throttle.count("a")
    assert throttle.wait("a") == 0
    throttle.count("a")
    assert throttle.wait("a") == 60
    now[0] = 59.5
    assert (throttle.wait("a"), throttle.wait("b")) == (1, 0)
    now[0] = 60.0
    assert throttle.wait("a") == 0
    throttle.count("a")
    assert throttle.wait("a") == 0  # counted anew
    for number in range(10_001):
        throttle.count(str(number))
    throttle.count("a")
    assert throttle.wait("a") == 0


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_stands_for_a_machine(host: str, address: str) -> None:
    assert machine_of(host) == address


def test_a_client_that_goes_before_its_body_is_there_is_no_failure(
    app: FastAPI, make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    token = make.annotator("admin")
    for path, kind in (("/labels", b"application/json"), ("/projects/1/images", b"multipart/form-data; boundary=x")):
        came: list[dict[str, object]] = [
            {"type": "http.request", "body": b"-", "more_body": True},
            {"type": "http.disconnect"},
        ]
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", kind)]

        async def receive(came: list[dict[str, object]] = came) -> dict[str, object]:
            return came.pop(0)

        async def send(message: object) -> None:
            pass

        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        asyncio.run(app(scope, receive, send))
    assert caplog.records == []


def test_a_client_that_goes_at_the_door_is_answered_all_the_same(
    app: FastAPI, make: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [(b"authorization", f"Bearer {make.annotator('admin')}".encode())]
    answered: list[object] = []

    async def send(message: Any) -> None:
        answered.append(message.get("status"))

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/projects", "headers": headers, "query_string": b""}
    asyncio.run(app({**scope, "gone": lambda: True}, receive, send))
    assert answered[0] == 408  # else the server makes a 500 of it, and says in the log that the service has failed
    assert caplog.records == []
