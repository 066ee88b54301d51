"""Browsers: logged in by a token, kept in a cookie, guarded against pages of other sites."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event, select
from starlette.testclient import TestClient

from service.auth import COOKIE
from service.db import Database
from service.tables import BrowserSession
from service.throttle import Throttle
from tests.conftest import FakeClock
from tests.maker import Maker

MEANT = {"X-Requested-With": "regionwise"}


@pytest.fixture
def browser(app: FastAPI, make: Maker) -> TestClient:
    """A browser in which an admin has logged in, on https."""
    made = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
    token = make.annotator("admin", "root")
    logged_in = made.post("/session", json={"token": token})
    assert logged_in.status_code == 201
    return made


def kept(client: TestClient) -> str:
    return str(client.cookies[COOKIE])


def test_a_token_is_given_once_and_the_cookie_works_in_its_place(
    browser: TestClient, database: Database, make: Maker
) -> None:
    make.project()
    who = browser.get("/session").json()
    assert who == {"annotator_id": 1, "name": "root", "role": "admin", "projects": {"1": "admin"}}
    with database.read() as session:
        (row,) = session.scalars(select(BrowserSession)).all()
    assert kept(browser) not in str(vars(row))  # its hash alone is


@pytest.mark.parametrize(("address", "secure"), [("http://testserver", False), ("https://testserver", True)])
def test_no_script_and_no_other_site_gets_the_cookie(app: FastAPI, make: Maker, address: str, secure: bool) -> None:
    client = TestClient(app, base_url=address)
    answer = client.post("/session", json={"token": make.annotator()})
    said = answer.headers["set-cookie"]
    assert f"{COOKIE}=rw_" in said
    assert all(each in said for each in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
    assert ("Secure" in said) == secure
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_right_token_logs_in_from_where_too_many_wrong_ones_came(
    app: FastAPI, stranger: TestClient, make: Maker
) -> None:
    app.state.throttle = Throttle(2)
    statuses = [stranger.post("/session", json={"token": f"rw_{place}"}).status_code for place in range(3)]
    assert statuses == [401, 401, 429]
    assert stranger.post("/session", json={"token": make.annotator()}).status_code == 201


def test_nobody_s_token_begins_no_session(stranger: TestClient) -> None:
    refused = stranger.post("/session", json={"token": "rw_nobody"})
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "csrf_header_missing"),
        ({**MEANT, "Sec-Fetch-Site": "cross-site"}, "cross_site"),
        ({**MEANT, "Sec-Fetch-Site": "same-site"}, "cross_site"),
        ({**MEANT, "Origin": "https://evil.example"}, "cross_site"),
        ({**MEANT, "Origin": "null"}, "cross_site"),
        ({**MEANT, "Origin": "http://[testserver"}, "cross_site"),
        ({"Origin": "https://testserver"}, "csrf_header_missing"),
    ],
)
def test_a_page_of_another_site_changes_nothing_with_the_cookie(
    browser: TestClient, headers: dict[str, str], code: str
) -> None:
    for method, path in (("POST", "/annotators"), ("DELETE", "/annotators/1"), ("DELETE", "/session")):
        refused = browser.request(method, path, json={"name": "eve"}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, code)
    assert len(browser.get("/annotators").json()["items"]) == 1


@pytest.mark.parametrize("more", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://testserver"}])
def test_our_own_page_changes_what_it_means_to(browser: TestClient, more: dict[str, str]) -> None:
    assert browser.post("/annotators", json={"name": "eve"}, headers={**MEANT, **more}).status_code == 201


def test_another_site_logs_nobody_in_and_a_bearer_needs_no_guard(
    browser: TestClient, stranger: TestClient, make: Maker
) -> None:
    token, foreign = make.annotator("admin"), {"Origin": "https://evil.example"}
    refused = stranger.post("/session", json={"token": token}, headers=foreign)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross_site")
    bearer: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}", **foreign}}
    assert stranger.post("/annotators", json={"name": "eve"}, **bearer).status_code == 201


def test_a_session_ends_by_logging_out_by_time_and_with_its_token(
    browser: TestClient, app: FastAPI, clock: FakeClock, database: Database, make: Maker
) -> None:
    secret = kept(browser)
    assert browser.delete("/session", headers=MEANT).status_code == 200
    assert COOKIE not in browser.cookies
    copied = TestClient(app, cookies={COOKIE: secret})
    assert copied.get("/session").json()["error"]["code"] == "session_ended"

    token = make.annotator("annotator", "ada")
    late = TestClient(app, base_url="https://testserver")
    late.post("/session", json={"token": token})
    clock.advance(hours=12)
    assert TestClient(app, cookies={COOKIE: kept(late)}).get("/session").status_code == 401

    late.post("/session", json={"token": token})
    with database.read() as session:
        assert len(session.scalars(select(BrowserSession)).all()) == 1  # what ran out is forgotten
    revoked = TestClient(app, headers={"Authorization": f"Bearer {token}"}).delete("/tokens/2")
    assert revoked.status_code == 200
    assert late.get("/session").status_code == 401


def test_who_is_deactivated_is_out_of_their_browser_at_once(browser: TestClient, app: FastAPI, make: Maker) -> None:
    ada = TestClient(app, base_url="https://testserver")
    ada.post("/session", json={"token": make.annotator("annotator", "ada")})
    assert ada.get("/session").status_code == 200
    assert browser.delete("/annotators/2", headers=MEANT).status_code == 200
    assert ada.get("/session").status_code == 401


def test_a_region_is_labelled_in_a_browser_and_its_caller_is_found_by_one_statement(
    app: FastAPI, make: Maker, database: Database
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    ada = TestClient(app, base_url="https://testserver", headers=MEANT)
    ada.post("/session", json={"token": make.annotator("annotator", "ada")})
    (region,) = ada.get("/next-regions").json()["items"]
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *all: said.append(all[2]))
    proof = {"region_id": region["id"], "lease_token": region["lease_token"]}
    assert ada.post("/labels", data=proof, files={"mask": ("m.png", make.mask_png())}).status_code == 201
    assert sum("browser_sessions" in each for each in said) == 1
