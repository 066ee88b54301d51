"""Failures over HTTP: one shape everywhere, and nothing a caller sends makes the service fail."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.testclient import TestClient

from service.store import projects
from tests.maker import Maker


def is_error(response: Any, code: str) -> bool:
    error = response.json()["error"]
    return set(error) == {"code", "message", "detail"} and error["code"] == code and error["message"].endswith(".")


def test_unknown_paths_and_methods_are_errors_of_the_same_shape(client: TestClient) -> None:
    assert is_error(client.get("/nowhere"), "not_found")
    response = client.put("/projects")
    assert (response.status_code, is_error(response, "method_not_allowed")) == (405, True)
    assert set(response.headers["Allow"].replace(" ", "").split(",")) <= {"GET", "POST"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"null",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": ' + b"9" * 10_000 + b"}",
        b'{"name": "\\ud800", "classes": "camvid"}',
        b'{"name": "\\u0000", "classes": "camvid"}',
        b'{"\\ud800": 1}',
        b'{"name": "x", "classes": "camvid", "settings": {"learning_rate": NaN}}',
        b'{"name": "x", "classes": "camvid", "settings": {"learning_rate": 1e999}}',
        b'{"name": "x", "classes": "camvid", "settings": {"seed": 1' + b"0" * 400 + b"}}",
    ],
)
def test_json_that_is_broken_or_odd_is_the_callers_fault(admin: TestClient, body: bytes) -> None:
    response = admin.post("/projects", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert set(response.json()["error"]) == {"code", "message", "detail"}


def test_an_invalid_request_names_the_fields(admin: TestClient) -> None:
    response = admin.post("/projects", json={"name": 5, "classes": "camvid", "settings": {"budget": 0}})
    assert is_error(response, "invalid_request")
    places = [each["at"] for each in response.json()["error"]["detail"]["errors"]]
    assert places == ["body.name", "body.settings.budget"]
    assert "body.settings.budget" in response.json()["error"]["message"]


def test_a_body_beyond_the_limit_is_413_whether_it_says_so_or_streams(admin: TestClient, make: Maker) -> None:
    make.project()

    def stream(chunks: int) -> Iterator[bytes]:
        for _ in range(chunks):
            yield b" " * 100_000

    json_type, form_type = {"Content-Type": "application/json"}, {"Content-Type": "multipart/form-data; boundary=x"}
    for path, kind, limit in (
        ("/projects", json_type, 256 << 10),
        ("/labels", json_type, 1_000_000),
        ("/labels", form_type, 1_000_000),
        ("/projects/1/images", form_type, 4_000_000),
    ):
        declared = admin.post(path, content=b" " * (limit + 1), headers=kind)
        streamed = admin.post(path, content=stream(limit // 100_000 + 1), headers=kind)
        for response in (declared, streamed):
            assert (response.status_code, is_error(response, "too_large")) == (413, True)
            assert f"{limit:,}" in response.json()["error"]["message"]
        assert admin.post(path, content=stream(limit // 100_000), headers=kind).status_code == 422
    huge = admin.post("/projects", content=b"{}", headers={**json_type, "Content-Length": "9" * 30})
    assert huge.status_code == 413


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RuntimeError("secret"), 500, "internal"),
        (OperationalError("secret", {}, Exception("secret")), 503, "database_unavailable"),
        (IntegrityError("secret", {}, Exception("secret")), 409, "conflict"),
    ],
)
def test_what_nobody_foresaw_is_told_without_its_insides(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, code: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(projects, "list_projects", fail)
    response = client.get("/projects")
    assert (response.status_code, is_error(response, code)) == (status, True)
    assert "secret" not in response.text


def test_a_commit_that_fails_is_an_error_response(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(session: Any, **_: Any) -> Any:
        project = original(session, **_)
        session.expunge(project)
        session.add(type(project)(name="streets", classes={}, settings={}, active=True, created_at=project.created_at))
        return project

    original = projects.add_project
    monkeypatch.setattr(projects, "add_project", doubled)
    response = admin.post("/projects", json={"name": "streets", "classes": "camvid"})
    assert (response.status_code, is_error(response, "conflict")) == (409, True)
    assert admin.get("/projects").json()["items"] == []


def test_every_route_declares_its_errors_and_describes_its_fields(app: FastAPI) -> None:
    document = app.openapi()
    json.dumps(document)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            if path in ("/healthz", "/readyz") or (method, path) == ("post", "/session"):  # where a token is given
                continue
            declared = set(operation["responses"])
            assert {"401", "422"} <= declared, where
            for status, response in operation["responses"].items():
                if status.startswith("4"):
                    assert response["content"]["application/json"]["schema"]["$ref"].endswith("ErrorResponse"), where
            assert all(parameter.get("description") for parameter in operation.get("parameters", [])), where
    # What refers to another schema, or can be but one word, speaks for itself.
    for name, schema in document["components"]["schemas"].items():
        for field, value in schema.get("properties", {}).items():
            assert value.get("description") or "$ref" in value or "const" in value, f"{name}.{field}"


def test_every_route_but_health_and_logging_in_asks_who_is_calling(app: FastAPI, stranger: TestClient) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            if path in ("/healthz", "/readyz") or (method, path) == ("post", "/session"):
                continue
            url = path
            for name in ("id", "token"):
                url = url.replace(f"{{{name}}}", "1")
            response = stranger.request(method, url)
            assert response.status_code == 401, (method, path, response.text)
