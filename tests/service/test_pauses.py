"""Members who are paused, by their gold regions or by hand, and let go on."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.store import pauses
from service.tables import Event, Membership, Project
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.golden import give_gold, make_gold, send, take, truth

Login = Callable[..., TestClient]


@pytest.fixture
def project(make: Maker) -> Project:
    """Whoever has less than 0.6 in three gold regions is paused; a round of eight regions and ten gold ones."""
    project = make.project(gold_share=0.5, gold_threshold=0.6, gold_window=3)
    make.round_(project, make.images(project, 2), regions=8)
    make_gold(make, project, 10)
    return project


def label_gold(client: TestClient, clock: FakeClock, *wrong: float) -> None:
    for share in wrong:
        clock.advance(seconds=1)
        (region,) = take(client)
        assert region["id"] > 8
        assert send(client, region, truth(wrong=share)).status_code == 201


def test_who_lies_below_the_threshold_over_a_window_is_paused_and_may_finish_what_they_hold(
    client: TestClient, project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    give_gold(monkeypatch)
    label_gold(client, clock, 0.9, 0.9)
    two = take(client, 2)
    send(client, two[0], truth(wrong=0.9))
    (left,) = take(client, 3)
    assert left["id"] == two[1]["id"]
    assert client.get(f"/regions/{left['id']}").status_code == 200
    assert send(client, left, truth()).status_code == 201
    answer = client.get("/next-regions", params={"wait": 5})
    assert answer.json()["reason"] == "paused"
    assert answer.json()["sentence"].startswith(pauses.BELOW)
    assert "gold" not in answer.json()["sentence"]
    assert answer.headers["Retry-After"] == "60"
    with database.read() as session:
        (event,) = session.scalars(select(Event).where(Event.kind == "member_paused"))
    assert (event.annotator_id, event.detail["member"]) == (None, 1)


@pytest.mark.parametrize("wrong", [(0.9, 0.9), (0.0, 0.0, 0.9), (0.3, 0.3, 0.3)])
def test_fewer_regions_or_better_ones_pause_nobody(
    client: TestClient,
    project: Project,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    wrong: tuple[float, ...],
) -> None:
    give_gold(monkeypatch)
    label_gold(client, clock, *wrong)
    assert len(take(client)) == 1


def test_the_last_regions_count_and_those_before_do_not(
    client: TestClient, project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch)
    label_gold(client, clock, 0.0, 0.0, 0.7, 0.7)
    assert len(take(client)) == 1
    label_gold(client, clock, 0.7)
    assert take(client) == []


def test_without_a_threshold_nobody_is_paused(
    client: TestClient, admin: TestClient, project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin.patch("/projects/1", json={"settings": {"gold_threshold": None}}).status_code == 200
    give_gold(monkeypatch)
    label_gold(client, clock, 1.0, 1.0, 1.0, 1.0)


def test_after_a_resume_the_window_begins_anew(
    client: TestClient, admin: TestClient, project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch)
    label_gold(client, clock, 0.9, 0.9, 0.9)
    assert take(client) == []
    clock.advance(minutes=1)
    resumed = admin.post("/projects/1/members/1/resume").json()
    assert (resumed["paused_at"], resumed["pause_reason"]) == (None, None)
    label_gold(client, clock, 0.9, 0.9)
    assert len(take(client)) == 1
    label_gold(client, clock, 0.9)
    assert take(client) == []
    (member,) = [each for each in admin.get("/projects/1/members").json()["items"] if each["name"] == "ada"]
    assert (member["paused_at"] is not None, member["pause_reason"]) == (True, pauses.BELOW)


def test_an_admin_pauses_by_hand_with_a_reason_that_is_told(
    client: TestClient, admin: TestClient, login: Login, project: Project
) -> None:
    other = login("annotator", "bob")
    (held,) = take(client)
    paused = admin.post("/projects/1/members/1/pause", json={"reason": "Read the guide first."}).json()
    assert paused["pause_reason"] == "Read the guide first."
    again = admin.post("/projects/1/members/1/pause", json={"reason": "Read it twice."}).json()
    assert (again["paused_at"], again["pause_reason"]) == (paused["paused_at"], "Read it twice.")
    assert [each["id"] for each in take(client, 5)] == [held["id"]]
    assert send(client, held, truth()).status_code == 201
    answer = client.get("/next-regions").json()
    assert (answer["reason"], answer["sentence"].startswith("Read it twice. ")) == ("paused", True)
    assert len(take(other)) == 1
    assert (
        admin.post("/projects/1/members/99/pause", json={"reason": "no"}).json()["error"]["code"] == "member_not_found"
    )
    assert admin.post("/projects/1/members/1/pause", json={"reason": " "}).status_code == 422
    for _ in range(2):
        assert admin.post("/projects/1/members/1/resume").status_code == 200
    assert len(take(client)) == 1


def test_who_is_paused_in_one_project_is_not_in_another(
    client: TestClient, admin: TestClient, project: Project, make: Maker, database: Database
) -> None:
    other = make.project("other")
    make.round_(other, make.images(other, 1), regions=1)
    admin.post("/projects/1/members/1/pause", json={"reason": "No."})
    reasons = [client.get("/next-regions", params={"project": each}).json()["reason"] for each in (1, 2)]
    assert reasons == ["paused", None]
    with database.read() as session:
        chosen = select(Membership.project_id).where(Membership.paused_at.is_not(None))
        assert session.scalars(chosen).all() == [1]
