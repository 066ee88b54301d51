"""Tokens and roles: who gets in, and what is stored."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service import auth
from service.db import Database
from service.tables import Annotator, Event
from tests.maker import Maker

Login = Callable[..., TestClient]


def test_without_a_token_or_with_nobodys_a_request_is_401_and_says_how_to_send_one(stranger: TestClient) -> None:
    for headers in ({}, {"Authorization": "Bearer rw_nobody"}, {"Authorization": "Basic cm9vdDpyb290"}):
        response = stranger.get("/projects", headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/projects"), ("POST", "/annotators"), ("GET", "/annotators")],
)
def test_an_annotator_does_not_reach_what_is_for_admins(client: TestClient, method: str, path: str) -> None:
    body = {"json": {"name": "x", "classes": "camvid"}} if path == "/projects" else {}
    response = client.request(method, path, **body)
    assert response.status_code in (403, 422)  # a body that does not fit may be told first
    if path == "/projects" or method == "GET":
        assert response.status_code == 403
        assert "insufficient_scope" in response.headers["WWW-Authenticate"]
        assert "admin" in response.json()["error"]["message"]


def test_an_admin_reaches_what_is_for_annotators_and_reviewers(login: Login) -> None:
    for role in ("admin", "reviewer", "annotator"):
        assert login(role).get("/projects").status_code == 200


def test_a_new_annotator_gets_a_token_that_works_and_is_stored_nowhere(admin: TestClient, database: Database) -> None:
    response = admin.post("/annotators", json={"name": "ada", "role": "reviewer"})
    assert response.status_code == 201
    token = response.json()["token"]
    assert admin.get("/projects", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with database.read() as session:
        stored = session.scalars(select(Annotator).where(Annotator.name == "ada")).one()
        events = session.scalars(select(Event)).all()
    assert stored.token_hash == auth.hash_token(token)
    assert all(token not in str(value) for value in vars(stored).values())
    assert all(token not in str(event.detail) for event in events)
    assert "token" not in admin.get("/annotators").json()["items"][1]


def test_a_taken_name_is_409_and_a_nameless_or_unknown_role_422(admin: TestClient) -> None:
    assert admin.post("/annotators", json={"name": "root"}).status_code == 409
    for body in ({"name": " "}, {"name": "x", "role": "king"}, {"name": "x\u0000"}, {"name": "x" * 101}, {}):
        assert admin.post("/annotators", json=body).status_code == 422


def test_a_deactivated_annotator_is_shut_out(admin: TestClient, client: TestClient) -> None:
    (ada,) = [each for each in admin.get("/annotators").json()["items"] if each["name"] == "ada"]
    assert client.get("/projects").status_code == 200
    for _ in range(2):  # done already is as good
        assert admin.delete(f"/annotators/{ada['id']}").json()["active"] is False
    assert client.get("/projects").status_code == 401


def test_a_rotated_token_works_in_place_of_the_old_one(
    admin: TestClient, client: TestClient, database: Database
) -> None:
    (ada,) = [each for each in admin.get("/annotators").json()["items"] if each["name"] == "ada"]
    response = admin.post(f"/annotators/{ada['id']}/token")
    assert response.status_code == 200
    token = response.json()["token"]
    assert client.get("/projects").status_code == 401
    assert client.get("/projects", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with database.read() as session:
        stored = session.get_one(Annotator, ada["id"])
        event = session.scalars(select(Event).where(Event.kind == "token_rotated")).one()
    assert stored.token_hash == auth.hash_token(token)
    assert (event.annotator_id, event.detail) == (1, {"rotated": ada["id"]})


def test_a_revoked_token_is_not_rotated_back_and_none_is_given_to_nobody(admin: TestClient, client: TestClient) -> None:
    (ada,) = [each for each in admin.get("/annotators").json()["items"] if each["name"] == "ada"]
    assert client.post(f"/annotators/{ada['id']}/token").status_code == 403
    admin.delete(f"/annotators/{ada['id']}")
    response = admin.post(f"/annotators/{ada['id']}/token")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "annotator_revoked")
    assert admin.post("/annotators/99/token").status_code == 404


def test_a_region_that_was_lent_before_a_token_is_rotated_stays_lent(
    admin: TestClient, client: TestClient, make: Maker
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    (before,) = client.get("/next-regions", params={"project": project.id}).json()["items"]
    (ada,) = [each for each in admin.get("/annotators").json()["items"] if each["name"] == "ada"]
    token = admin.post(f"/annotators/{ada['id']}/token").json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    (after,) = client.get("/next-regions", params={"project": project.id}).json()["items"]
    assert after == before


def test_the_last_admin_stays(admin: TestClient, login: Login) -> None:
    assert admin.delete("/annotators/1").json()["error"]["code"] == "last_admin"
    other = login("admin", "other")
    assert other.delete("/annotators/1").status_code == 200
    assert other.delete("/annotators/2").status_code == 409


def test_tokens_are_random_and_marked() -> None:
    tokens = {auth.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("rw_") and len(token) == 46 for token in tokens)
