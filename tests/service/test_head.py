"""HEAD: wherever there is GET, with its status and headers, without a body, and without the work of one."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.export import Exporter
from tests.maker import Maker

VARYING = ("x-request-id",)


@pytest.fixture
def world(app: FastAPI, make: Maker) -> None:
    app.state.live.close()  # or a stream would not end
    project = make.project()
    make.checkpoint(project)
    make.round_(project, make.images(project, 1), regions=2, prediction=True)


def headers(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in VARYING}


def test_head_is_answered_as_get_is_without_a_body(admin: TestClient, world: None, app: FastAPI) -> None:
    paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods and path != "/metrics"]
    assert len(paths) > 15
    for template in [*paths, "/", "/docs", "/openapi.json"]:
        path = re.sub(r"\{\w+\}", "1", template)
        by_get, by_head = admin.get(path, follow_redirects=False), admin.head(path, follow_redirects=False)
        assert by_head.status_code == by_get.status_code, template
        assert headers(by_head) == headers(by_get), template
        assert by_head.content == b"", template
    assert admin.head("/metrics").status_code == 200


def test_head_of_what_only_takes_other_methods_is_405(admin: TestClient) -> None:
    assert admin.head("/regions/1/skip").status_code == 405
    assert admin.head("/nowhere").status_code == 404


def test_head_asks_who_is_calling(stranger: TestClient) -> None:
    assert stranger.head("/projects").status_code == 401
    assert stranger.head("/healthz").status_code == 200


def test_head_of_an_export_does_not_make_the_zip(
    admin: TestClient, world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def pieces(self: Any) -> Iterator[bytes]:
        for number in range(50):
            made.append(number)
            yield b"x" * 1000

    monkeypatch.setattr(Exporter, "pieces", pieces)
    response = admin.head("/projects/1/export")
    assert (response.status_code, response.headers["Content-Type"], response.content) == (200, "application/zip", b"")
    assert len(made) < 3
