"""Tokens: several of a person, named, with an end, rotated and revoked; and no word of them in lists and logs."""

import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import event, select
from starlette.testclient import TestClient

from service.db import Database
from service.logs import Redacting
from service.tables import Annotator, Event, Token
from tests.conftest import FakeClock
from tests.maker import Maker

Login = Callable[..., TestClient]
ADA = "/annotators/2/tokens"


@pytest.fixture(autouse=True)
def first(admin: TestClient) -> None:
    """There is an admin before there is ada."""


def by(client: TestClient, token: str) -> int:
    """How a request with this token is answered."""
    return int(client.get("/projects", headers={"Authorization": f"Bearer {token}"}).status_code)


def test_somebody_has_several_tokens_and_sees_what_tells_them_apart(
    admin: TestClient, client: TestClient, clock: FakeClock, database: Database
) -> None:
    made = client.post(ADA, json={"name": "laptop", "expires_in_days": 30}).json()
    assert made["token"].startswith(made["prefix"])
    assert (len(made["prefix"]), made["expires_at"]) == (7, "2026-02-04T12:00:00Z")
    clock.advance(days=2)
    assert by(client, made["token"]) == 200
    first, second = admin.get(ADA).json()["items"]
    assert (first["name"], second["name"], second["works"]) == ("first", "laptop", True)
    assert (first["last_used_on"], second["last_used_on"]) == ("2026-01-05", "2026-01-07")
    assert made["token"] not in admin.get(ADA).text
    with database.read() as session:
        stored = session.get_one(Token, made["id"])
        told = session.scalars(select(Event).where(Event.kind == "token_added")).one()
    assert made["token"] not in str(vars(stored))
    assert made["token"] not in str(told.detail)
    assert stored.token_hash not in str(told.detail) + admin.get(ADA).text


def test_a_token_runs_out_and_says_so(client: TestClient, clock: FakeClock) -> None:
    made = client.post(ADA, json={"name": "guest", "expires_in_days": 1}).json()
    clock.advance(hours=23)
    assert by(client, made["token"]) == 200
    clock.advance(hours=1)
    late = client.get("/projects", headers={"Authorization": f"Bearer {made['token']}"})
    assert (late.status_code, late.json()["error"]["code"]) == (401, "token_expired")
    assert [each["works"] for each in client.get(ADA).json()["items"]] == [True, False]


def test_no_token_is_outlasted_by_one_that_was_made_with_it(client: TestClient) -> None:
    short = client.post(ADA, json={"name": "short", "expires_in_days": 2}).json()["token"]
    headers = {"Authorization": f"Bearer {short}"}
    for days in (None, 3):
        refused = client.post(ADA, json={"name": "long", "expires_in_days": days}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "outlasts_token")
    assert client.post(ADA, json={"name": "shorter", "expires_in_days": 1}, headers=headers).status_code == 201


def test_nor_by_one_that_takes_the_place_of_a_longer_one(client: TestClient, clock: FakeClock) -> None:
    endless = client.get(ADA).json()["items"][0]["id"]
    weeks = client.post(ADA, json={"name": "weeks", "expires_in_days": 14}).json()["id"]
    made = client.post(ADA, json={"name": "short", "expires_in_days": 2}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    clock.advance(days=1)
    for longer in (endless, weeks):
        refused = client.post(f"/tokens/{longer}/rotate", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "outlasts_token")
    assert [each["works"] for each in client.get(ADA).json()["items"]] == [True, True, True]
    assert client.post(f"/tokens/{made['id']}/rotate", headers=headers).status_code == 200


@pytest.mark.parametrize("asked", ["annotators/2/token", "annotators/2/reactivate", "annotators"])
def test_nor_by_the_first_token_of_somebody_who_is_added_or_begins_again(
    asked: str, admin: TestClient, client: TestClient, clock: FakeClock
) -> None:
    short = admin.post("/annotators/1/tokens", json={"name": "short", "expires_in_days": 2}).json()
    if asked.endswith("reactivate"):
        admin.delete("/annotators/2")
    body = {"name": "bob"} if asked == "annotators" else None
    made = admin.post(f"/{asked}", json=body, headers={"Authorization": f"Bearer {short['token']}"}).json()
    assert made["expires_at"] == short["expires_at"]
    assert by(client, made["token"]) == 200
    clock.advance(days=2)
    assert by(client, made["token"]) == 401
    if asked == "annotators/2/token":
        assert admin.post(f"/{asked}").json()["expires_at"] is None


def test_one_token_is_rotated_or_revoked_and_the_others_go_on(client: TestClient, clock: FakeClock) -> None:
    made = client.post(ADA, json={"name": "laptop", "expires_in_days": 10}).json()
    clock.advance(days=4)
    rotated = client.post(f"/tokens/{made['id']}/rotate").json()
    assert (rotated["name"], rotated["expires_at"]) == ("laptop", "2026-01-19T12:00:00Z")
    assert (by(client, made["token"]), by(client, rotated["token"])) == (401, 200)
    assert client.post(f"/tokens/{made['id']}/rotate").json()["error"]["code"] == "token_revoked"
    for _ in range(2):  # done already is as good
        assert client.delete(f"/tokens/{rotated['id']}").json()["works"] is False
    assert by(client, rotated["token"]) == 401
    assert client.get("/projects").status_code == 200


def test_who_is_deactivated_is_out_at_once_and_comes_back_by_a_new_token_alone(
    admin: TestClient, client: TestClient, make: Maker
) -> None:
    make.project()
    more = client.post(ADA, json={"name": "laptop"}).json()["token"]
    admin.delete("/annotators/2")
    assert (client.get("/projects").status_code, by(admin, more)) == (401, 401)
    assert admin.post(ADA, json={"name": "x"}).json()["error"]["code"] == "annotator_revoked"
    back = admin.post("/annotators/2/reactivate").json()
    assert (back["name"], back["active"]) == ("ada", True)
    assert (client.get("/projects").status_code, by(admin, more), by(admin, back["token"])) == (401, 401, 200)
    client.headers["Authorization"] = f"Bearer {back['token']}"
    assert [each["id"] for each in client.get("/projects").json()["items"]] == [1]  # a member as before
    assert admin.post("/annotators/2/reactivate").json()["error"]["code"] == "annotator_active"


def test_the_release_before_lets_nobody_in_by_a_token_that_was_revoked(client: TestClient, database: Database) -> None:
    with database.read() as session:
        before = session.get_one(Token, 2)
        assert session.get_one(Annotator, 2).token_hash == before.token_hash
    assert client.delete("/tokens/2").status_code == 200
    with database.read() as session:
        assert session.get_one(Annotator, 2).token_hash.startswith("revoked-")


def test_a_caller_is_looked_up_by_one_statement_and_noted_once_a_day(
    client: TestClient, database: Database, clock: FakeClock, make: Maker
) -> None:
    make.project(), make.project("other")
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *all: said.append(all[2]))
    for _ in range(2):
        client.get(ADA)
    assert sum("FROM tokens JOIN annotators" in each for each in said) == 2
    assert not [each for each in said if each.startswith("UPDATE")]
    clock.advance(days=1)
    for _ in range(2):
        client.get(ADA)
    assert len([each for each in said if each.startswith("UPDATE tokens")]) == 1


def test_a_region_is_held_longer_without_its_token_in_the_path(
    client: TestClient, login: Login, make: Maker, clock: FakeClock
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=2)
    (region,) = client.get("/next-regions").json()["items"]
    clock.advance(minutes=10)
    body = {"lease_token": region["lease_token"]}
    renewed = client.post(f"/regions/{region['id']}/renew", json=body)
    assert renewed.json() == {**body, "region_id": region["id"], "lease_expires_at": "2026-01-05T12:25:00Z"}
    for path in ("/regions/2/renew", f"/regions/{region['id']}/renew"):
        stolen = (client if path.startswith("/regions/2") else login()).post(path, json=body)
        assert (stolen.status_code, stolen.json()["error"]["code"]) == (422, "bad_lease_token")


def test_tokens_in_paths_are_kept_out_of_logs(app: FastAPI) -> None:
    line = '%s - "%s %s HTTP/%s" %d'
    arguments = ("127.0.0.1", "POST", "/leases/41-9f86d081884c7d65/renew?x=rw_0123456789abc", "1.1", 200)
    for name in ("uvicorn.access", "service.failures"):
        record = logging.getLogger(name).makeRecord(name, logging.INFO, "a.py", 1, line, arguments, None)
        assert logging.getLogger(name).filter(record)
        assert record.getMessage() == '127.0.0.1 - "POST /leases/***/renew?x=rw_*** HTTP/1.1" 200'
    assert sum(isinstance(each, Redacting) for each in logging.getLogger("uvicorn.access").filters) == 1
