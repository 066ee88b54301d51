"""What reviewers and admins do about what others hold, skipped or left: freed, opened again, finished early."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Event, Job, Label, Lease, Project, Region, Round
from tests.conftest import Outbox
from tests.maker import Maker
from tests.service.test_labels_api import label, post
from tests.service.test_many_at_once import together

Login = Callable[..., TestClient]


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of four regions, of two images of four."""
    project = make.project(lookahead=False, budget=4)
    make.round_(project, make.images(project, 2), regions=4)
    return project


@pytest.fixture
def reviewer(login: Login) -> TestClient:
    return login("reviewer", "grace")


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json().get("items", [])
    return items


def skip(client: TestClient, region: dict[str, Any]) -> Any:
    return client.post(f"/regions/{region['id']}/skip", json={"lease_token": region["lease_token"], "reason": "dark"})


def told(database: Database, kind: str) -> list[dict[str, Any]]:
    with database.read() as session:
        return [dict(each.detail) for each in session.scalars(select(Event).where(Event.kind == kind))]


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_reviewer_frees_what_another_holds_and_it_goes_to_the_next(
    client: TestClient, reviewer: TestClient, login: Login, project: Project, database: Database
) -> None:
    held = take(client, 2)
    for _ in range(2):  # done already is as good
        assert reviewer.post("/regions/1/release", json={}).json()["state"] == "open"
    assert [each["id"] for each in take(login())] == [1]
    assert [each["id"] for each in take(client)] == [2]
    assert code(post(client, label(held[0]))) == (409, "lease_lost")
    with database.read() as session:
        holder = session.scalars(select(Lease.annotator_id).order_by(Lease.id)).first()
    assert told(database, "region_released") == [{"region": 1, "held_by": holder}]


def test_the_label_of_a_freed_region_counts_while_nobody_else_took_it(
    client: TestClient, reviewer: TestClient, project: Project
) -> None:
    (region,) = take(client)
    reviewer.post("/regions/1/release", json={})
    assert post(client, label(region)).status_code == 201
    assert code(reviewer.post("/regions/1/release", json={})) == (409, "region_labelled")
    assert code(reviewer.post("/regions/99/release", json={})) == (404, "region_not_found")


def test_an_annotator_neither_frees_nor_skips_nor_opens_without_a_lease(
    client: TestClient, login: Login, project: Project
) -> None:
    take(client)
    other = login()
    for path, body in (("release", {}), ("skip", {"reason": "x"}), ("unskip", None)):
        assert code(other.post(f"/regions/1/{path}", json=body)) == (403, "forbidden")
    assert code(other.post("/rounds/1/finish")) == (403, "forbidden")
    assert code(login("reviewer").post("/rounds/1/finish")) == (403, "forbidden")


def test_a_reviewer_sets_aside_what_nobody_holds(client: TestClient, reviewer: TestClient, project: Project) -> None:
    take(client)
    assert code(reviewer.post("/regions/1/skip", json={"reason": "blurred"})) == (409, "lease_lost")
    answer = reviewer.post("/regions/2/skip", json={"reason": "blurred"})
    assert answer.json() == {"id": 2, "state": "skipped", "skip_reason": "blurred"}


def test_a_skipped_region_of_an_open_round_is_given_out_again(
    client: TestClient, reviewer: TestClient, login: Login, project: Project, database: Database
) -> None:
    (region,) = take(client)
    skip(client, region)
    for _ in range(2):  # done already is as good
        assert reviewer.post("/regions/1/unskip").json() == {"id": 1, "state": "open"}
    shown = reviewer.get("/regions/1").json()
    assert (shown["state"], shown["skip_reason"]) == ("open", None)
    assert told(database, "region_unskipped") == [{"region": 1, "reason": "dark", "withdrawn": False}]
    # The skip that was sent twice does not undo what the reviewer did in between.
    assert code(skip(client, region)) == (409, "lease_lost")
    (again,) = take(login())
    assert again["id"] == 1
    assert code(post(client, label(region))) == (409, "lease_lost")


def test_who_skipped_a_region_may_label_it_once_it_is_open_again(
    client: TestClient, reviewer: TestClient, project: Project
) -> None:
    (region,) = take(client)
    skip(client, region)
    assert code(post(client, label(region))) == (409, "region_skipped")
    reviewer.post("/regions/1/unskip")
    assert post(client, label(region)).status_code == 201
    assert code(reviewer.post("/regions/1/unskip")) == (409, "region_labelled")


def test_a_skipped_region_of_a_round_that_is_over_goes_back_to_the_pool(
    client: TestClient, reviewer: TestClient, admin: TestClient, project: Project, database: Database
) -> None:
    regions = take(client, 4)
    skip(client, regions[0])
    post(client, *map(label, regions[1:]))
    with database.write() as session:
        session.get_one(Round, 1).state = "told"
    assert reviewer.post("/regions/1/unskip").json() == {"id": 1, "state": "withdrawn"}
    assert code(reviewer.post("/regions/1/unskip")) == (404, "region_not_found")
    assert admin.get("/projects/1").json()["regions"] == {"open": 0, "review": 0, "labelled": 3, "skipped": 0}
    assert told(database, "region_unskipped") == [{"region": 1, "reason": "dark", "withdrawn": True}]
    # One of four is left of the budget, and it may be this one.
    assert client.get("/next-regions").json()["reason"] == "scoring"
    with database.read() as session:
        assert session.scalars(select(Round.size).order_by(Round.id)).all() == [4, 1]


def test_a_round_that_is_finished_is_told_with_the_labels_that_it_has(
    client: TestClient, login: Login, admin: TestClient, project: Project, database: Database, outbox: Outbox
) -> None:
    regions, others = take(client, 2), take(login(), 1)
    post(client, label(regions[0]))
    for _ in range(2):  # done already is as good
        round_ = admin.post("/rounds/1/finish").json()
        assert (round_["state"], round_["size"]) == ("labelled", 4)
    assert round_["note"] == "Finished early: 3 of 4 regions went back to the pool without a label."
    assert [kind for _, kind in outbox] == ["tell"]
    assert told(database, "round_finished") == [{"round": 1, "withdrawn": [2, 3, 4], "held": 2}]
    with database.read() as session:
        assert session.execute(select(Region.id, Region.state)).all() == [(1, "labelled")]
        assert session.scalars(select(Lease.region_id)).all() == [1]
        assert session.scalars(select(Label.region_id)).all() == [1]
    for late, caller in ((regions[1], client), (others[0], login())):
        assert caller.get(f"/regions/{late['id']}").status_code == 404
    assert code(post(client, label(regions[1]))) == (404, "region_not_found")
    assert admin.get("/projects/1").json()["budget_left"] == 3


def test_a_round_that_is_being_chosen_or_is_not_there_is_not_finished(
    admin: TestClient, project: Project, database: Database
) -> None:
    with database.write() as session:
        session.get_one(Round, 1).state = "scoring"
    assert code(admin.post("/rounds/1/finish")) == (409, "round_scoring")
    assert code(admin.post("/rounds/9/finish")) == (404, "not_found")


def test_people_label_take_and_skip_while_a_round_is_finished_and_everybody_has_an_answer(
    login: Login, admin: TestClient, make: Maker, database: Database, outbox: Outbox
) -> None:
    project = make.project(lookahead=False, max_held=2)
    make.round_(project, make.images(project, 10), regions=40)
    statuses: Counter[tuple[str, int]] = Counter()

    def annotate(client: TestClient, number: int) -> None:
        while regions := take(client, 2):
            if number == 0 and regions[0]["id"] > 10:
                statuses["finish", admin.post("/rounds/1/finish").status_code] += 1
            statuses["skip", skip(client, regions[0]).status_code] += 1
            for each in regions:
                statuses["label", post(client, label(each)).status_code] += 1

    together([partial(annotate, login(), number) for number in range(6)])
    assert statuses["finish", 200] >= 1
    assert {status for _, status in statuses} <= {200, 201, 404, 409}, statuses
    with database.read() as session:
        labelled = set(session.scalars(select(Label.region_id)))
        assert labelled == set(session.scalars(select(Region.id).where(Region.state == "labelled")))
        assert set(session.scalars(select(Region.state))) <= {"labelled", "skipped"}
        assert session.scalars(select(Lease.id).where(Lease.ended_at.is_(None))).all() == []
        assert session.scalars(select(Job.dedup_key)).all() == ["tell:1"]
    assert len(labelled) == statuses["label", 201]
