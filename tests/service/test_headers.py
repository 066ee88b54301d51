"""Headers that guard browsers, on every kind of answer; pages of other origins; and the API's page without the internet."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.headers import GUARDS
from service.pages import add_pages
from service.settings import Settings


def test_every_answer_is_guarded(app: FastAPI, admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [admin.get(path) for path in ("/projects", "/nothing", "/healthz", "/openapi.json", "/images/9")]
    answers.append(admin.post("/projects", content=b"{", headers={"Content-Type": "application/json"}))
    answers.append(admin.post("/projects", content=b"{}", headers={"Content-Length": "9" * 30}))

    def fail(*everything: object, **more: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("service.store.projects.list_projects", fail)
    answers.append(admin.get("/projects"))
    assert [each.status_code for each in answers] == [200, 404, 200, 200, 404, 422, 413, 500]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in GUARDS} == GUARDS
        assert answer.headers["Cache-Control"] == "no-store"


def asked_from(client: TestClient, origin: str) -> str | None:
    """Whether a browser would let a page of this origin call the API with a token."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    allowed: str | None = client.options("/projects", headers=headers).headers.get("Access-Control-Allow-Origin")
    return allowed


def test_other_origins_are_shut_out_but_for_those_that_are_set(
    stranger: TestClient, settings: Settings, database: Database, blobs: Blobs
) -> None:
    assert asked_from(stranger, "https://lab.example") is None
    opened = settings.model_copy(update={"cors_origins": ("https://lab.example",)})
    client = TestClient(create_app(opened, database=database, blobs=blobs))
    assert asked_from(client, "https://lab.example") == "https://lab.example"
    assert asked_from(client, "https://evil.example") is None
    answer = client.get("/projects", headers={"Origin": "https://lab.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://lab.example"
    assert "Access-Control-Allow-Credentials" not in answer.headers  # cookies stay at home


def test_the_api_s_page_needs_nothing_from_elsewhere_and_has_no_script_in_it(stranger: TestClient) -> None:
    page = stranger.get("/docs")
    assert page.status_code == 200
    policy = dict(each.strip().split(" ", 1) for each in page.headers["Content-Security-Policy"].split(";"))
    assert (policy["script-src"], policy["connect-src"], policy["frame-ancestors"]) == ("'self'", "'self'", "'none'")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named
    for each in named:
        assert not each.startswith(("http", "/"))
        assert stranger.get(f"/{each}").status_code == 200
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page.text) == ["", ""]
    kinds = [stranger.get(f"/{each}").headers["Content-Type"].partition(";")[0] for each in named]
    assert kinds == ["text/css", "image/png", "text/javascript", "text/javascript"]
    assert stranger.get("/", follow_redirects=False).headers["location"] == "/app/"


def test_the_pages_run_and_show_nothing_but_their_own_files(stranger: TestClient, tmp_path: Path) -> None:
    policy = stranger.get("/app/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!DOCTYPE html>")
    (tmp_path / "assets" / "a-1.js").write_text("1")
    app = FastAPI()
    add_pages(app, tmp_path)
    client = TestClient(app)
    page, file = client.get("/app/"), client.get("/app/assets/a-1.js")
    assert (page.headers["Cache-Control"], page.headers["Content-Security-Policy"]) == ("no-cache", policy)
    assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/app/../pyproject.toml").status_code == 404
