"""What monitoring scrapes: who may, which numbers, and that a scrape stays cheap."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, insert, text, update
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from service import metrics as module
from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.settings import Settings
from service.store import watched
from service.store.jobs import queue_job
from service.tables import Job, Label, Lease, Region, Round
from tests.conftest import START, FakeClock
from tests.maker import Maker

Numbers = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(autouse=True)
def always_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)


def scraped(client: TestClient) -> Numbers:
    """Samples by name and by the values of their labels (of `project_info`: name, project)."""
    response = client.get("/metrics")
    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    found: Numbers = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_reviewers_and_the_token_of_monitoring_may_scrape_and_nobody_else(
    login: Callable[..., TestClient], stranger: TestClient, app: FastAPI, settings: Settings
) -> None:
    assert stranger.get("/metrics").status_code == 401
    assert stranger.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    assert login("annotator", "ada").get("/metrics").status_code == 403
    assert login("reviewer", "eva").get("/metrics").status_code == 200
    assert login("admin", "root").get("/metrics").status_code == 200
    app.state.settings = settings.model_copy(update={"metrics_token": "monitoring-only"})
    assert stranger.get("/metrics", headers={"Authorization": "Bearer monitoring-only"}).status_code == 200
    assert stranger.get("/metrics", headers={"Authorization": "Bearer monitoring"}).status_code == 401
    assert stranger.get("/projects", headers={"Authorization": "Bearer monitoring-only"}).status_code == 401


def test_requests_are_counted_by_the_template_of_their_route_and_their_status(
    admin: TestClient, stranger: TestClient, make: Maker
) -> None:
    make.project()
    for path in ("/projects/1", "/projects/1", "/projects/77", "/nowhere/at/all"):
        admin.get(path)
    stranger.get("/projects/1")
    stranger.request("BREW", "/coffee")
    found = scraped(admin)
    requests = found["regionwise_requests_total"]
    assert requests["GET", "/projects/{id}", "200"] == 2
    assert requests["GET", "/projects/{id}", "404"] == 1
    assert requests["GET", "/projects/{id}", "401"] == 1
    assert requests["GET", "other", "404"] == 1
    assert ("OTHER", "other", "404") in requests
    assert not [each for each in requests if "77" in "".join(each) or "nowhere" in "".join(each)]
    assert found["regionwise_request_seconds_count"]["GET", "/projects/{id}"] == 4


def test_what_is_to_be_labelled_and_learned_is_counted_by_project(
    admin: TestClient, client: TestClient, make: Maker, database: Database, clock: FakeClock
) -> None:
    project, other = make.project(batch_size=4), make.project("cells")
    regions = make.round_(project, make.images(project, 2), regions=4)
    client.get("/next-regions", params={"project": project.id, "count": 3})
    with database.write() as session:
        session.execute(update(Lease).where(Lease.id == 1).values(expires_at=START - timedelta(minutes=1)))
        session.execute(update(Region).where(Region.id == regions[3].id).values(state="labelled"))
        session.add_all(
            Round(
                project_id=other.id, number=n, state="told", size=1, miou_after=m, seconds={}, note="", created_at=START
            )
            for n, m in ((1, 0.25), (2, 0.5))
        )
        for version in (1, 2):
            session.add(
                Label(
                    region_id=regions[3].id,
                    annotator_id=1,
                    version=version,
                    mask=b"",
                    digest="",
                    class_counts=[],
                    created_at=START,
                )
            )
    found = scraped(admin)
    assert found["regionwise_leases"] == {("open",): 2, ("expired",): 1}
    assert found["regionwise_regions_open"] == {("1",): 3, ("2",): 0}
    assert found["regionwise_rounds"] == {("1", "open"): 1, ("2", "told"): 2}
    assert found["regionwise_miou"] == {("2",): 0.5}
    assert found["regionwise_project_info"] == {("streets", "1"): 1, ("cells", "2"): 1}
    assert found["regionwise_labels"] == {(): 2}
    assert found["regionwise_database_up"] == {(): 1}
    assert found["regionwise_workers"] == {(): 1}


def test_jobs_are_counted_while_they_wait_and_once_each_when_they_end(
    admin: TestClient, make: Maker, database: Database, clock: FakeClock
) -> None:
    project = make.project()
    with database.write() as session:
        for _ in range(2):
            queue_job(session, project_id=project.id, kind="ask", now=clock())
        queue_job(session, project_id=project.id, kind="pretrain", now=clock())
    scraped(admin)
    clock.advance(seconds=90)
    found = scraped(admin)
    assert found["regionwise_jobs"]["ask", "queued"] == 2
    assert found["regionwise_job_wait_seconds"] == {("ask",): 90, ("pretrain",): 90}
    with database.write() as session:
        ended = {"state": "done", "started_at": START, "finished_at": clock()}
        session.execute(update(Job).where(Job.id == 1).values(**ended))
        session.execute(update(Job).where(Job.id == 2).values(state="running", error="it broke", sent_at=None))
        failed = {"state": "failed", "started_at": START, "finished_at": clock() - timedelta(seconds=30)}
        session.execute(update(Job).where(Job.id == 3).values(**failed))
    for _ in range(3):
        found = scraped(admin)
        clock.advance(seconds=60)
        assert found["regionwise_job_seconds_count"] == {("ask", "done"): 1, ("pretrain", "failed"): 1}
        assert found["regionwise_job_seconds_sum"] == {("ask", "done"): 90, ("pretrain", "failed"): 60}
        assert found["regionwise_jobs"] == {("ask", "queued"): 0, ("ask", "running"): 1}
        assert found["regionwise_jobs_tried_again"] == {("ask",): 1}
        assert found["regionwise_jobs_given_up"] == {("1",): 1}
    with database.write() as session:
        queue_job(session, project_id=project.id, kind="pretrain", now=clock())
    assert "regionwise_jobs_given_up" not in scraped(admin)


def test_labels_are_all_counted_whatever_was_measured_before(
    admin: TestClient, make: Maker, database: Database, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNSETTLED", 2)
    project = make.project()
    (region,) = make.round_(project, make.images(project, 1), regions=1)

    def add(first: int, count: int) -> None:
        row = {
            "region_id": region.id,
            "annotator_id": 1,
            "mask": b"",
            "digest": "",
            "class_counts": [],
            "created_at": START,
        }
        with database.write() as session:
            session.execute(insert(Label), [{**row, "version": first + each} for each in range(count)])

    assert scraped(admin)["regionwise_labels"] == {(): 0}
    add(1, 5)
    assert scraped(admin)["regionwise_labels"] == {(): 5}
    app.state.metrics.measure()
    add(6, 4)
    assert scraped(admin)["regionwise_labels"] == {(): 9}


def test_bytes_are_those_of_the_blobs_and_the_database_once_they_were_measured(
    admin: TestClient, blobs: Blobs, app: FastAPI, database: Database
) -> None:
    blobs.put("a/one", b"x" * 1000)
    blobs.put("b/c/two", b"x" * 234)
    assert "regionwise_stored_bytes" not in scraped(admin)
    app.state.metrics.measure()
    found = scraped(admin)
    assert found["regionwise_stored_bytes"]["blobs",] == 1234
    assert found["regionwise_stored_bytes"]["database",] > 50_000
    disks = {"blobs"} | ({"database"} if database.engine.dialect.name == "sqlite" else set())
    assert {name for (name,) in found["regionwise_disk_free_bytes"]} == disks


def test_while_the_database_is_away_monitoring_is_told_so_and_of_all_else(
    app: FastAPI, stranger: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(watched, "leases", away)
    app.state.settings = settings.model_copy(update={"metrics_token": "monitoring-only"})
    stranger.headers["Authorization"] = "Bearer monitoring-only"
    stranger.get("/healthz")
    found = scraped(stranger)
    assert found["regionwise_database_up"] == {(): 0}
    assert found["regionwise_requests_total"]["GET", "/healthz", "200"] == 1
    assert "regionwise_leases" not in found


def test_many_scrapes_ask_the_database_once_in_a_while(
    admin: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 60.0)
    scraped(admin)
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    for _ in range(5):
        scraped(admin)
    assert [each for each in asked if "FROM" in each and "annotators" not in each] == []


def test_no_statement_of_a_scrape_reads_all_regions_leases_or_jobs(
    admin: TestClient, make: Maker, database: Database
) -> None:
    make.project()
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    scraped(admin)
    if database.engine.dialect.name != "sqlite":
        assert len(asked) < 16
        return
    with database.engine.connect() as connection:
        for statement, values in [each for each in asked if each[0].startswith("SELECT")]:
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
                how = str(step[3])
                assert not how.startswith(("SCAN regions", "SCAN jobs")), (how, statement)
                assert not how.startswith("SCAN leases") or "uq_leases_active_" in how, (how, statement)


def test_a_scrape_without_lifespan_needs_no_measurement(database: Database, blobs: Blobs, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"metrics_token": "t"}), database=database, blobs=blobs)
    with TestClient(app, headers={"Authorization": "Bearer t"}) as client:
        assert scraped(client)["regionwise_database_up"] == {(): 1}
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
