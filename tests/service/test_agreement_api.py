"""Agreement, accuracy and time of annotators: figures worked out by hand, who sees them, pages and CSV."""

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from service.auth import hash_token
from service.db import Database
from service.domain.masks import encode_label_png
from service.store import comparisons
from service.tables import Annotator, Comparison, Label, Project, Region
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.golden import give_gold, make_gold, send, take, truth

Login = Callable[..., TestClient]


class Labelling:
    """Labels written as rows: of several people at one region."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock

    def label(self, region: Region, annotator: int, wrong: float, **values: Any) -> Label:
        label_map = truth(wrong=wrong)
        with self.database.write() as session:
            newest = session.scalars(select(Label.version).where(Label.region_id == region.id)).all()
            row = Label(
                region_id=region.id,
                annotator_id=annotator,
                version=values.pop("version", len(newest) + 1),
                mask=encode_label_png(label_map),
                digest=hash_token(label_map.tobytes().hex()),
                class_counts=[],
                created_at=self.clock(),
                **values,
            )
            session.add(row)
            session.flush()
            comparisons.compare_labels(session, [region.id], annotator, self.clock())
        return row


@pytest.fixture
def project(make: Maker) -> Project:
    return make.project(gold_window=2)


@pytest.fixture
def people(login: Login, project: Project) -> dict[str, TestClient]:
    """ada, bob and cyd, numbers 1 to 3, a reviewer, and an admin of the server."""
    roles = {"ada": "annotator", "bob": "annotator", "cyd": "annotator", "eve": "reviewer", "root": "admin"}
    return {name: login(role, name) for name, role in roles.items()}


@pytest.fixture
def labelling(
    people: dict[str, TestClient], project: Project, make: Maker, database: Database, clock: FakeClock
) -> Labelling:
    """Region 1 by ada and bob, who differ in a half of class 2; region 2 by all, bob in all of it; region 3 by ada alone."""
    regions = make.round_(project, make.images(project, 1), regions=4)
    labelling = Labelling(database, clock)
    for region, by in zip(regions, ({1: 0.0, 2: 0.5}, {1: 0.0, 2: 1.0, 3: 0.0}, {1: 0.0}), strict=False):
        for annotator, wrong in by.items():
            labelling.label(region, annotator, wrong, seconds=10.0 * annotator, idle_seconds=1.0)
    return labelling


HALF = (2 / 3 + 1 / 2) / 2
NONE = (1 / 2 + 0) / 2
"""mIoU of class 1 in 3600 of 7200 pixels and 0 of class 2."""


def items(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(f"/projects/1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_by_region(people: dict[str, TestClient], labelling: Labelling) -> None:
    one, two = items(people["eve"], "agreement/regions")
    assert (one["region_id"], one["pairs"], one["round"], one["image_name"]) == (1, 1, 1, "00000.png")
    assert (one["miou"], one["pixel_accuracy"]) == pytest.approx((HALF, 0.75))
    assert (two["region_id"], two["pairs"]) == (2, 3)
    assert two["miou"] == pytest.approx((NONE + 1 + NONE) / 3)
    assert two["least_miou"] == pytest.approx(NONE)
    worst = items(people["eve"], "agreement/regions", sort="disagreement")
    assert [each["region_id"] for each in worst] == [2, 1]


@pytest.mark.parametrize("sort", ["region", "disagreement"])
def test_regions_come_in_pages(people: dict[str, TestClient], labelling: Labelling, sort: str) -> None:
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        params: dict[str, Any] = {"sort": sort, "limit": 1, "after": after}
        page = people["root"].get("/projects/1/agreement/regions", params=params).json()
        found += page["items"]
        after = page["next"]
        assert len(page["items"]) == 1
    assert found == items(people["root"], "agreement/regions", sort=sort)


def test_by_class_all_pixels_together(people: dict[str, TestClient], labelling: Labelling) -> None:
    found = {each["name"]: each for each in items(people["eve"], "agreement/classes")}
    assert len(found) == 11
    one, two = found["Building"], found["Pole"]
    # Region 1: 3600 of 5400. Region 2: 3600 of 7200, 3600 of 3600, 3600 of 7200.
    assert (one["comparisons"], one["intersection"], one["union"]) == (4, 14400, 23400)
    assert (two["intersection"], two["union"]) == (1800 + 3600, 3600 + 3600 + 3600 + 3600)
    assert one["iou"] == pytest.approx(14400 / 23400)
    assert found["Sky"]["iou"] is None
    cut = people["eve"].get("/projects/1/agreement/classes", params={"limit": 2, "after": 1}).json()
    assert ([each["class_id"] for each in cut["items"]], cut["next"]) == ([1, 2], 3)


def test_by_pair(people: dict[str, TestClient], labelling: Labelling) -> None:
    found = items(people["eve"], "agreement/pairs")
    assert [(each["name"], each["other_name"], each["regions"]) for each in found] == [
        ("ada", "bob", 2),
        ("ada", "cyd", 1),
        ("bob", "cyd", 1),
    ]
    # Class 1: 7200 of 12600 pixels; class 2: 1800 of 7200.
    assert found[0]["miou"] == pytest.approx((7200 / 12600 + 1800 / 7200) / 2)
    assert found[0]["mean_miou"] == pytest.approx((HALF + NONE) / 2)
    assert found[0]["pixel_accuracy"] == pytest.approx((0.75 + 0.5) / 2)


def test_a_new_version_takes_the_place_of_the_one_before(
    people: dict[str, TestClient], labelling: Labelling, database: Database
) -> None:
    with database.read() as session:
        region = session.get_one(Region, 2)
    labelling.label(region, 2, 0.0, kind="corrected")
    assert items(people["eve"], "agreement/regions")[1]["miou"] == 1.0
    with database.read() as session:
        assert len(session.scalars(select(Comparison)).all()) == 4


def test_labels_that_nobody_drew_are_compared_with_none(
    people: dict[str, TestClient], labelling: Labelling, database: Database
) -> None:
    with database.read() as session:
        region = session.get_one(Region, 3)
    for kind in ("imported", "agreed", "accepted", "migrated"):
        labelling.label(region, 2, 1.0, kind=kind)
    assert [each["region_id"] for each in items(people["eve"], "agreement/regions")] == [1, 2]


def test_labels_of_several_people_at_a_region_are_compared_as_they_come(
    people: dict[str, TestClient], project: Project, make: Maker, database: Database, clock: FakeClock
) -> None:
    (region,) = make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        session.execute(update(Region).values(overlap=2))
    Labelling(database, clock).label(region, 2, 0.5, version=2)
    (given,) = take(people["ada"])
    assert send(people["ada"], given, truth()).status_code == 201
    (found,) = items(people["eve"], "agreement/pairs")
    assert (found["annotator_id"], found["other_id"], found["miou"]) == (1, 2, pytest.approx(HALF))


def test_annotators_with_their_times(people: dict[str, TestClient], labelling: Labelling) -> None:
    ada, bob, cyd, eve, root = items(people["eve"], "annotators")
    assert [each["name"] for each in (ada, bob, cyd, eve, root)] == ["ada", "bob", "cyd", "eve", "root"]
    assert (ada["regions"], ada["labels"], ada["compared"], ada["role"]) == (3, 3, 3, "annotator")
    assert (ada["median_seconds"], ada["regions_per_hour"], ada["idle_seconds"]) == (10.0, 360.0, 3.0)
    assert ada["agreement_mean_miou"] == pytest.approx((HALF + NONE + 1) / 3)
    assert (eve["labels"], eve["median_seconds"], eve["agreement_miou"], eve["skips"]) == (0, None, None, 0)
    assert [each["annotator_id"] for each in items(people["eve"], "annotators", limit=2, after=1)] == [2, 3]


def test_an_annotator_sees_themselves_and_nothing_of_gold(people: dict[str, TestClient], labelling: Labelling) -> None:
    cyd = people["cyd"]
    (own,) = items(cyd, "annotators")
    assert (own["name"], own["gold"], own["gold_regions"], own["gold_miou"]) == ("cyd", None, None, None)
    assert own["agreement_mean_miou"] == pytest.approx((NONE + 1) / 2)
    assert [each["region_id"] for each in items(cyd, "agreement/regions")] == [2]
    (pair,) = items(cyd, "agreement/pairs")
    assert (pair["name"], pair["other_id"], pair["other_name"], pair["regions"]) == ("cyd", None, None, 1)
    assert pair["mean_miou"] == pytest.approx((NONE + 1) / 2)
    (building,) = [each for each in items(cyd, "agreement/classes") if each["name"] == "Building"]
    assert (building["intersection"], building["union"]) == (7200, 10800)


def test_gold_accuracy_for_reviewers(
    people: dict[str, TestClient], project: Project, make: Maker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people["root"].patch("/projects/1", json={"settings": {"gold_share": 0.5}}).status_code == 200
    make.round_(project, make.images(project, 1), regions=4)
    make_gold(make, project, 5)
    give_gold(monkeypatch)
    mious = []
    for wrong in (0.0, 1.0, 0.5, 0.5, 0.0):
        clock.advance(seconds=1)
        (region,) = take(people["ada"])
        assert send(people["ada"], region, truth(wrong=wrong)).status_code == 201
        mious.append({0.0: 1.0, 1.0: NONE, 0.5: HALF}[wrong])
    ada = items(people["eve"], "annotators")[0]
    gold = ada["gold"]
    assert (gold["regions"], ada["gold_regions"]) == (5, 5)
    # Class 1: 18000 pixels of 3600 + 7200 + 5400 + 5400 + 3600; class 2: 10800 of 18000.
    by_class = {"Building": 18000 / 25200, "Pole": 10800 / 18000}
    assert gold["iou_per_class"] == pytest.approx(by_class)
    assert gold["miou"] == ada["gold_miou"] == pytest.approx(sum(by_class.values()) / 2)
    mean, error = np.mean(mious), np.std(mious, ddof=1) / np.sqrt(5)
    assert gold["mean_miou"] == pytest.approx(mean)
    assert gold["interval"] == pytest.approx([mean - 2.776445 * error, min(1.0, mean + 2.776445 * error)])
    # The newest two, and the two before.
    assert gold["trend"] == pytest.approx([_pooled(1.0, 0.5), _pooled(0.5, 0.0)])
    assert items(people["eve"], "agreement/regions") == []


def _pooled(*wrong: float) -> float:
    """Of gold regions of which these shares of class 2 are called class 1."""
    one = 3600 * len(wrong) / sum(3600 + 3600 * each for each in wrong)
    return (one + sum(1 - each for each in wrong) / len(wrong)) / 2


@pytest.mark.parametrize("path", ["agreement/regions", "agreement/classes", "agreement/pairs", "annotators"])
def test_all_rows_as_csv(people: dict[str, TestClient], labelling: Labelling, path: str) -> None:
    asked = people["eve"].get(f"/projects/1/{path}", params={"format": "csv", "limit": 1})
    accepted = people["eve"].get(f"/projects/1/{path}", headers={"Accept": "text/csv"})
    assert asked.headers["content-type"] == accepted.headers["content-type"] == "text/csv; charset=utf-8"
    assert asked.text == accepted.text
    rows = list(csv.DictReader(io.StringIO(asked.text)))
    expected = [{name: value for name, value in each.items() if name != "gold"} for each in items(people["eve"], path)]
    assert [list(each) for each in rows] == [list(each) for each in expected]
    assert [list(each.values()) for each in rows] == [
        ["" if value is None else str(value) for value in each.values()] for each in expected
    ]


def test_a_name_that_a_spreadsheet_would_compute_is_quoted(
    people: dict[str, TestClient], labelling: Labelling, database: Database
) -> None:
    with database.write() as session:
        session.get_one(Annotator, 1).name = "=1+1"
    text = people["eve"].get("/projects/1/annotators", params={"format": "csv"}).text
    assert next(csv.DictReader(io.StringIO(text)))["name"] == "'=1+1"


def test_json_wins_where_it_is_asked_for(people: dict[str, TestClient], labelling: Labelling) -> None:
    answer = people["eve"].get(
        "/projects/1/annotators", params={"format": "json"}, headers={"Accept": "text/csv;q=0.9, */*"}
    )
    assert len(answer.json()["items"]) == 5
    assert people["eve"].get("/projects/1/annotators", params={"format": "xml"}).status_code == 422


def test_idle_seconds_are_kept_beside_the_seconds(
    people: dict[str, TestClient], project: Project, make: Maker, database: Database
) -> None:
    make.round_(project, make.images(project, 1), regions=2)
    one, two = take(people["ada"], 2)
    assert send(people["ada"], one, truth(), seconds=20, idle_seconds=7.5).status_code == 201
    rle = {"1": {"size": [90, 80], "counts": [0, 7200]}}
    sent = {"region_id": two["id"], "lease_token": two["lease_token"], "rle": rle, "seconds": 4.0, "idle_seconds": 1e6}
    for wrong in (-1.0, 1e7):
        refused = people["ada"].post("/labels", json={"labels": [{**sent, "idle_seconds": wrong}]})
        assert refused.status_code == 422
    assert people["ada"].post("/labels", json={"labels": [sent]}).status_code == 201
    with database.read() as session:
        kept = session.execute(select(Label.seconds, Label.idle_seconds).order_by(Label.id)).all()
    assert [tuple(each) for each in kept] == [(20.0, 7.5), (4.0, 1e6)]


def test_gauges_of_agreement_and_accuracy_by_project(
    people: dict[str, TestClient], labelling: Labelling, app: Any
) -> None:
    app.state.metrics.measure()
    text = people["root"].get("/metrics").text
    (line,) = [each for each in text.splitlines() if each.startswith("regionwise_agreement_miou{")]
    assert line.startswith('regionwise_agreement_miou{project="1"} ')
    assert float(line.rpartition(" ")[2]) == pytest.approx((HALF + NONE + 1 + NONE) / 4)
    assert "regionwise_gold_miou{" not in text
