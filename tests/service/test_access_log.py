"""A line for each request: what it was, whose, how it went and how long it took, and never a token."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import logs
from service.store import projects
from tests.maker import Maker


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that were logged so far, read back from JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLine())
    handler.addFilter(logs.Belonging())
    logger = logging.getLogger("service")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


Written = Callable[[], list[dict[str, Any]]]


def access(written: Written) -> dict[str, Any]:
    return [line for line in written() if line["logger"] == "service.access_log"][-1]


def test_a_line_says_who_asked_for_what_and_how_it_went(admin: TestClient, make: Maker, written: Written) -> None:
    make.project()
    response = admin.get("/projects/1", headers={"X-Request-ID": "abc-123"})
    line = access(written)
    assert response.headers["X-Request-ID"] == "abc-123"
    assert line.pop("duration_ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line.pop("message").startswith("root GET /projects/1 200 ")
    assert line == {
        "level": "info",
        "logger": "service.access_log",
        "request_id": "abc-123",
        "user": "root",
        "method": "GET",
        "route": "/projects/{id}",
        "path": "/projects/1",
        "status": 200,
        "project": "1",
    }


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "<script>", "ü"])
def test_an_id_that_is_no_plain_word_is_replaced(stranger: TestClient, given: str) -> None:
    answers = [stranger.get("/healthz", headers={"X-Request-ID": given.encode("latin-1")}) for _ in range(2)]
    first, second = (each.headers["X-Request-ID"] for each in answers)
    assert len(first) == len(second) == 32
    assert first != second


def test_an_error_s_line_has_its_code_and_the_id_that_the_caller_got(client: TestClient, written: Written) -> None:
    response = client.get("/projects/7")
    line = access(written)
    assert (line["status"], line["error"]) == (404, "not_found")
    assert "404 not_found" in line["message"]
    assert line["request_id"] == response.headers["X-Request-ID"]


def test_what_nobody_foresaw_is_answered_and_logged_once_under_the_id_of_the_request(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(projects, "list_projects", fail)
    response = admin.get("/projects", headers={"X-Request-ID": "seen-again"})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert response.headers["X-Request-ID"] == "seen-again"
    failures = [line for line in written() if "traceback" in line]
    assert [(line["request_id"], line["user"], line["level"]) for line in failures] == [("seen-again", "root", "error")]
    assert "the inside" in failures[0]["traceback"]
    assert (access(written)["status"], access(written)["error"]) == (500, "internal")


def test_no_token_is_ever_in_the_log(client: TestClient, admin: TestClient, make: Maker, written: Written) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    (item,) = client.get("/next-regions").json()["items"]
    token = item["lease_token"]
    assert client.post(f"/leases/{token}/renew").status_code == 200
    assert client.post(f"/leases/{token}x/renew").status_code == 422
    assert client.get(f"/leases/{token}/nowhere").status_code == 404
    assert admin.post("/annotators", json={"name": "eva", "role": "annotator"}).status_code == 201
    logging.getLogger("service.routes").warning("somebody logs %s by mistake", client.headers["Authorization"])
    text = json.dumps(written())
    assert token not in text
    assert token.partition("-")[2] not in text
    assert client.headers["Authorization"].removeprefix("Bearer ") not in text
    assert "/leases/***/renew" in text


def test_a_path_cannot_write_a_line_of_its_own(stranger: TestClient, written: Written) -> None:
    stranger.get("/nowhere%0A2026 INFO service.access_log%20all is well")
    assert access(written)["path"] == "/nowhere%0A2026%20INFO%20service.access_log%20all%20is%20well"


def test_regions_that_are_asked_for_name_their_project(client: TestClient, make: Maker, written: Written) -> None:
    make.project()
    client.get("/next-regions", params={"project": 1})
    assert access(written)["project"] == "1"


def test_text_lines_have_the_request_and_the_job_at_their_end() -> None:
    record = logging.LogRecord("service.x", logging.WARNING, "", 1, "it took %s s", (3,), None)
    with logs.belonging(request_id="abc", job_id=7, user="ada"):
        logs.Belonging().filter(record)
    assert logs.TextLine().format(record).endswith("WARNING service.x it took 3 s [request_id=abc job_id=7]")


def test_nothing_belongs_to_what_comes_after_a_request(client: TestClient) -> None:
    client.get("/projects")
    assert logs.noted() == {}
    logs.note(user="nobody")
    assert logs.noted() == {}
