"""GET /next-regions: who gets what, in which order, for how long, and why nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Job, Project, Region, Round
from tests.conftest import START, FakeClock, Outbox
from tests.maker import Maker

Login = Callable[..., TestClient]


def take(client: TestClient, count: int = 1, **params: int) -> list[dict[str, Any]]:
    response = client.get("/next-regions", params={"count": count, **params})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def ids(items: list[dict[str, Any]]) -> list[int]:
    return [item["id"] for item in items]


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of six regions: 1 to 6, falling scores."""
    project = make.project()
    make.round_(project, make.images(project, 2), regions=6)
    return project


def test_a_region_comes_with_its_place_and_the_paths_to_look_at_it(client: TestClient, project: Project) -> None:
    response = client.get("/next-regions", params={"count": 4})
    region = response.json()["items"][3]
    assert region.pop("lease_token").startswith("4-")
    assert region == {
        "id": 4,
        "project_id": 1,
        "round": 1,
        "image_id": 1,
        "image_name": "00000.png",
        "x": 80,
        "y": 90,
        "width": 80,
        "height": 90,
        "score": 0.997,
        "image_url": "/images/1/file",
        "crop_url": "/regions/4/crop",
        "context_url": "/regions/4/context?margin=64",
        "prediction_url": None,
        "prediction_checkpoint_id": None,
        "lease_expires_at": "2026-01-05T12:15:00Z",
    }
    assert (response.json()["reason"], response.json()["retry_after"]) == (None, None)
    assert "Retry-After" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"


def test_a_prediction_to_start_from_has_a_path(client: TestClient, make: Maker) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1, prediction=True)
    assert take(client)[0]["prediction_url"] == "/regions/1/prediction"


def test_two_callers_never_share_a_region(client: TestClient, login: Login, project: Project) -> None:
    other = login()
    assert ids(take(client, 2)) == [1, 2]
    assert ids(take(other, 100)) == [3, 4, 5, 6]
    assert take(login()) == []


def test_asking_again_gives_the_callers_own_leases_first_as_they_were(
    client: TestClient, project: Project, clock: FakeClock
) -> None:
    first = take(client, 2)
    clock.advance(minutes=5)
    again = take(client, 3)
    assert again[:2] == first
    assert (again[2]["id"], again[2]["lease_expires_at"]) == (3, "2026-01-05T12:20:00Z")
    assert take(client, 1) == first[:1]


def test_regions_come_by_round_then_score_then_number(
    client: TestClient, make: Maker, project: Project, database: Database
) -> None:
    make.round_(project, make.images(project, 1), regions=3, number=2)  # regions 7, 8, 9
    with database.write() as session:
        for region_id, score in ((2, 5.0), (3, 7.0), (4, 5.0), (8, 100.0)):
            session.get_one(Region, region_id).score = score
    assert ids(take(client, 100)) == [3, 2, 4, 1, 5, 6, 8, 7, 9]


def test_a_lease_that_ran_out_goes_to_whoever_asks_first(
    client: TestClient, login: Login, project: Project, clock: FakeClock
) -> None:
    other = login()
    assert len(take(client, 6)) == 6
    clock.advance(minutes=14.99)
    assert take(other) == []
    clock.advance(minutes=0.01)
    assert ids(take(other, 2)) == [1, 2]
    (mine,) = take(client)
    assert (mine["id"], mine["lease_expires_at"]) == (3, "2026-01-05T12:30:00Z")
    assert mine["lease_token"].startswith("9-")  # a new lease


def test_a_project_may_lend_for_longer_or_shorter(client: TestClient, make: Maker) -> None:
    project = make.project(lease_minutes=0.5)
    make.round_(project, make.images(project, 1), regions=1)
    assert take(client)[0]["lease_expires_at"] == "2026-01-05T12:00:30Z"


def test_without_images_or_while_paused_nothing_has_started(
    client: TestClient, admin: TestClient, make: Maker, clock: FakeClock
) -> None:
    project = make.project()
    body = client.get("/next-regions").json()
    assert body == {"items": [], "reason": "not_started", "retry_after": 10, "job_id": None, "sentence": None}
    make.round_(project, make.images(project, 1), regions=2)
    take(client)
    admin.patch("/projects/1", json={"active": False})
    response = client.get("/next-regions")
    assert (response.json()["reason"], response.headers["Retry-After"]) == ("not_started", "10")
    admin.patch("/projects/1", json={"active": True})
    assert ids(take(client)) == [1]


def test_the_first_to_ask_starts_the_first_round(client: TestClient, make: Maker, outbox: Outbox) -> None:
    make.images(make.project(), 1)
    for _ in range(2):
        response = client.get("/next-regions")
        assert response.json() == {"items": [], "reason": "scoring", "retry_after": 1, "job_id": None, "sentence": None}
        assert response.headers["Retry-After"] == "1"
    assert [kind for _, kind in outbox] == ["ask"]


def test_when_others_hold_everything_the_reason_says_so(client: TestClient, login: Login, make: Maker) -> None:
    project = make.project(lookahead=False)
    make.round_(project, make.images(project, 1), regions=2)
    take(login(), 2)
    assert client.get("/next-regions").json()["reason"] == "all_leased"


def test_a_spent_budget_is_a_reason(client: TestClient, make: Maker, database: Database, clock: FakeClock) -> None:
    project = make.project(budget=2)
    make.round_(project, make.images(project, 1), regions=2)
    with database.write() as session:
        for region_id in (1, 2):
            session.get_one(Region, region_id).state = "labelled"
        session.get_one(Round, 1).state = "told"
    response = client.get("/next-regions")
    assert (response.json()["reason"], response.json()["retry_after"]) == ("budget_reached", 60)


def test_a_spent_budget_is_no_reason_while_rejected_regions_are_with_somebody(
    client: TestClient, login: Login, make: Maker, database: Database
) -> None:
    project = make.project(budget=2, lookahead=False)
    make.round_(project, make.images(project, 1), regions=2)
    with database.write() as session:
        session.get_one(Region, 1).state = "labelled"
        session.get_one(Region, 2).priority = 1
        session.get_one(Round, 1).state = "told"
    assert ids(take(login())) == [2]
    assert client.get("/next-regions").json()["reason"] == "all_leased"
    with database.write() as session:
        session.get_one(Region, 2).state = "review"
    assert client.get("/next-regions", params={"project": project.id, "wait": 1}).json()["reason"] == "in_review"


def test_regions_of_rounds_that_are_not_open_are_not_given(
    client: TestClient, project: Project, database: Database
) -> None:
    with database.write() as session:
        session.get_one(Round, 1).state = "scoring"
    assert take(client) == []


def test_the_project_may_be_left_out_only_where_there_is_one(client: TestClient, make: Maker) -> None:
    assert client.get("/next-regions").status_code == 404
    first = make.project("first")
    make.round_(first, make.images(first, 1), regions=1)
    assert ids(take(client)) == [1]
    second = make.project("second")
    make.round_(second, make.images(second, 1), regions=1)
    response = client.get("/next-regions")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "which_project")
    assert "1 (first), 2 (second)" in response.json()["error"]["message"]
    assert ids(take(client, project=2)) == [2]
    assert ids(take(client, project=1)) == [1]
    assert client.get("/next-regions", params={"project": 3}).status_code == 404


@pytest.mark.parametrize(
    "params", [{"count": 0}, {"count": 101}, {"count": "x"}, {"count": 2**70}, {"project": 0}, {"project": 2**63}]
)
def test_counts_and_projects_out_of_bounds_are_422(client: TestClient, params: dict[str, Any]) -> None:
    response = client.get("/next-regions", params=params)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert next(iter(params)) in response.json()["error"]["message"]


def test_jobs_are_sent_only_after_their_rows_are_there(app: Any, make: Maker, database: Database) -> None:
    seen: list[Job | None] = []

    def send(jobs: Any) -> None:
        for job_id, _ in jobs:
            with database.read() as session:
                seen.append(session.get(Job, job_id))

    database._send = send
    make.images(make.project(), 1)
    token = make.annotator()
    TestClient(app, headers={"Authorization": f"Bearer {token}"}).get("/next-regions")
    assert [job.kind for job in seen if job] == ["ask"]
    assert seen[0] is not None
    assert seen[0].created_at == START
