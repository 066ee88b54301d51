"""Health: up as soon as the process is, ready only when requests can be served."""

import socket
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import text
from starlette.testclient import TestClient

from service import migrate
from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.settings import Settings


def test_the_process_is_up_and_ready_and_says_so_to_strangers(stranger: TestClient) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok", "version": version("regionwise")}
    response = stranger.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "checks": {"database": "ok", "migrations": "ok", "blobs": "ok", "broker": "embedded"},
        "stalled": {},
    }


def test_an_old_schema_is_not_ready(stranger: TestClient, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        response = stranger.get("/readyz")
        assert response.status_code == 503
        assert "0000" in response.json()["checks"]["migrations"]
        assert stranger.get("/healthz").status_code == 200
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})


def test_a_database_that_does_not_answer_is_not_ready(tmp_path: Path, blobs: Blobs) -> None:
    for url in ("postgresql+psycopg://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/no/such/folder/x.db"):
        app = create_app(Settings(data_dir=tmp_path), database=Database(url), blobs=blobs)
        client = TestClient(app, raise_server_exceptions=False)
        response = client.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (503, "not_ready")
        assert response.json()["checks"]["database"] != "ok"
        answer = client.get("/projects", headers={"Authorization": "Bearer rw_x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")


def test_the_broker_must_answer_where_it_has_an_address(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(data_dir=tmp_path, broker_url=f"redis://127.0.0.1:{port}/0")
        client = TestClient(create_app(settings, database=database, blobs=blobs))
        assert client.get("/readyz").json()["checks"]["broker"] == "ok"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"] == {
        "database": "ok",
        "migrations": "ok",
        "blobs": "ok",
        "broker": "It does not answer.",
    }


def test_the_application_starts_and_stops_whole(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, sweep_seconds=0.01), database=database, blobs=blobs)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200
