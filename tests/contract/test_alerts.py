"""Alerts and the dashboard speak of metrics that are there, by labels that they have, and each alert has a runbook."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from starlette.testclient import TestClient

from service.db import Database
from service.store.jobs import queue_job
from service.tables import Base, Comparison, Job, Label, Project, Round
from tests.conftest import FakeClock
from tests.maker import Maker

DOCS = Path(__file__).parents[2] / "docs"
RULES = [rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
PANELS = json.loads((DOCS / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [each["expr"] for panel in PANELS for each in panel["targets"]]
# What Prometheus itself adds.
ADDED = {"instance", "job"}


@pytest.fixture
def samples(admin: TestClient, make: Maker, database: Database, clock: FakeClock, app: FastAPI) -> dict[str, set[str]]:
    """Names of samples with their labels, of a service in which there is something of everything."""
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    admin.get("/next-regions")
    with database.write() as session:
        session.execute(update(Round).values(state="told", miou_after=0.5))
        session.add_all(compared(project, clock))
        for kind in ("ask", "tell"):
            queue_job(session, project_id=project.id, kind="pretrain" if kind == "ask" else "tell", now=clock())
    app.state.metrics.text()
    clock.advance(seconds=10)
    with database.write() as session:
        ended = {"state": "failed", "finished_at": clock() - timedelta(seconds=1)}
        session.execute(update(Job).where(Job.kind == "pretrain").values(**ended))
    app.state.metrics.measure()
    app.state.metrics.forget()
    families = text_string_to_metric_families(app.state.metrics.text().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def compared(project: Project, clock: FakeClock) -> Iterator[Base]:
    """A label of the one region, held against the truth and against another."""
    pixels = {"region_id": 1, "annotator_id": 1, "mask": b"", "class_counts": [], "created_at": clock()}
    yield from (Label(id=number, version=number, digest=str(number), **pixels) for number in (1, 2))
    said: dict[str, Any] = {
        "project_id": project.id,
        "region_id": 1,
        "annotator_id": 1,
        "miou": 0.5,
        "pixel_accuracy": 0.5,
    }
    said |= {"by_class": {"0": [1, 2]}, "created_at": clock()}
    yield Comparison(label_id=1, **said)
    yield Comparison(label_id=1, other_label_id=2, other_annotator_id=1, **said)


def named(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression, with the labels that it is chosen by."""
    for name, chosen in re.findall(r"(regionwise_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen))


def test_every_metric_of_alerts_and_dashboard_is_there_with_the_labels_it_is_asked_by(
    samples: dict[str, set[str]],
) -> None:
    for expression in EXPRESSIONS:
        found = dict(named(expression))
        for name, labels in found.items():
            assert name in samples, f"{name} of {expression}"
            assert labels <= samples[name] | ADDED, expression
        grouped = {each.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for each in by.split(",")}
        known = set().union(*(samples[name] for name in found)) if found else set()
        assert grouped <= known | ADDED, expression


def test_every_metric_is_explained_and_every_one_explained_is_there(samples: dict[str, set[str]]) -> None:
    section = (DOCS / "operations.md").read_text().partition("### Metrics")[2].partition("\n## ")[0]
    rows: dict[str, set[str]] = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(regionwise_\w+)` \|([^|]*)\|", section, re.MULTILINE)
    }
    there = {re.sub(r"_(bucket|count|sum)$", "", name): labels for name, labels in samples.items()}
    own = {name: labels - {"le"} for name, labels in there.items() if name.startswith("regionwise_")}
    assert rows == own


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_one_that_prometheus_understands(expression: str) -> None:
    promql_parser.parse(expression)  # raises where it is not


def test_panels_of_the_dashboard_have_each_their_number_their_place_and_the_source_that_it_offers() -> None:
    dashboard = json.loads((DOCS / "dashboard.json").read_text())
    (source,) = dashboard["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"]) > 0
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24  # columns of Grafana's grid
        rows, cols = (range(place[at], place[at] + place[size]) for at, size in (("y", "h"), ("x", "w")))
        own = {(row, col) for row in rows for col in cols}
        assert not own & taken, panel["title"]
        taken |= own
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_bad_it_is_and_where_it_is_explained(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["for"]
    page, _, place = rule["annotations"]["runbook"].partition("#")
    assert (page, place) == ("docs/runbooks.md", rule["alert"].lower())
    sections = re.split(r"^## ", (DOCS / "runbooks.md").read_text(), flags=re.MULTILINE)
    (section,) = [each for each in sections if each.splitlines()[0] == rule["alert"]]
    assert "`" in section or "](#" in section, "a runbook says what to type"
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = {each.strip() for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for each in by.split(",")}
    assert used <= kept | ({"instance", "disk"} if not kept else set())


def test_every_runbook_is_of_an_alert() -> None:
    sections = re.findall(r"^## (Regionwise\w+)$", (DOCS / "runbooks.md").read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]
