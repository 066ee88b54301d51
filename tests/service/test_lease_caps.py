"""What one annotator may do: how much to hold, for how long, how much to skip; and that a revoked one holds nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select
from starlette.testclient import TestClient

from service.db import Database
from service.store import leases
from service.tables import Annotator, Event, Label, Lease, Membership, Project, Region
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.test_labels_api import label, post
from tests.service.test_many_at_once import together

Login = Callable[..., TestClient]


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of forty regions, of which one may hold four and renew for half an hour."""
    project = make.project(max_held=4, max_lease_minutes=30.0, lookahead=False)
    make.round_(project, make.images(project, 10), regions=40)
    return project


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json().get("items", [])
    return items


def ids(items: list[dict[str, Any]]) -> list[int]:
    return [item["id"] for item in items]


def skip(client: TestClient, region: dict[str, Any]) -> Any:
    return client.post(f"/regions/{region['id']}/skip", json={"lease_token": region["lease_token"], "reason": "dark"})


def change(admin: TestClient, **settings: Any) -> None:
    assert admin.patch("/projects/1", json={"settings": settings}).status_code == 200


def test_who_asks_for_more_than_one_may_hold_gets_as_many_as_are_left(client: TestClient, project: Project) -> None:
    assert ids(take(client, 2)) == [1, 2]
    first = take(client, 100)
    assert ids(first) == [1, 2, 3, 4]
    assert take(client, 100) == first
    post(client, label(first[0]))
    assert ids(take(client, 100)) == [2, 3, 4, 5]


def test_a_cap_is_each_annotators_own_and_each_projects(client: TestClient, login: Login, make: Maker) -> None:
    for name in ("first", "second"):
        project = make.project(name, max_held=2)
        make.round_(project, make.images(project, 1), regions=4)
    for caller, expected in ((client, [1, 2]), (login(), [3, 4])):
        assert ids(caller.get("/next-regions", params={"project": 1, "count": 9}).json()["items"]) == expected
    assert ids(client.get("/next-regions", params={"project": 2, "count": 9}).json()["items"]) == [5, 6]


def test_a_lowered_cap_takes_nothing_away_and_gives_nothing_more(
    client: TestClient, admin: TestClient, project: Project
) -> None:
    held = take(client, 4)
    change(admin, max_held=2)
    assert ids(take(client, 4)) == [1, 2]
    assert [post(client, label(each)).status_code for each in held[:2]] == [201, 201]
    assert ids(take(client, 4)) == [3, 4]


def test_a_project_of_an_earlier_version_has_the_default_caps(
    client: TestClient, project: Project, database: Database
) -> None:
    with database.write() as session:
        row = session.get_one(Project, 1)
        row.settings = {key: value for key, value in row.settings.items() if not key.startswith("max_")}
    assert len(take(client, 100)) == 16


def test_regions_held_that_are_busy_count_all_the_same_and_the_reason_is_held(
    client: TestClient, project: Project, database: Database
) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("On SQLite nobody else is at a row while another writes.")
    held = take(client, 4)
    with database.write() as session:
        chosen = select(Region.id).where(Region.id.in_(ids(held))).with_for_update()
        assert len(session.scalars(chosen).all()) == 4
        response = client.get("/next-regions", params={"count": 4})
    assert response.json() == {"items": [], "reason": "held", "retry_after": 1, "job_id": None, "sentence": None}
    assert response.headers["Retry-After"] == "1"
    assert take(client, 4) == held


def test_many_requests_of_one_annotator_at_once_hold_no_more_than_one_may(
    client: TestClient, project: Project, database: Database
) -> None:
    given: list[int] = []
    together([lambda: given.extend(ids(take(client, 100)))] * 12)
    assert set(given) == {1, 2, 3, 4}
    with database.read() as session:
        assert len(session.scalars(select(Lease.id)).all()) == 4


def test_one_who_renews_and_takes_at_once_holds_no_more_than_one_may(
    client: TestClient, project: Project, database: Database, clock: FakeClock
) -> None:
    """Leases that ran out count no more, but may be renewed while nobody else has the region."""
    late = take(client, 4)
    clock.advance(minutes=16)
    with database.write() as session:  # so that others come first
        for region_id in ids(late):
            session.get_one(Region, region_id).score = -1.0
    renewals = [lambda each=each: client.post(f"/leases/{each['lease_token']}/renew") for each in late]
    together([lambda: take(client, 4), *renewals] * 2)  # type: ignore[list-item]
    with database.read() as session:
        live = session.scalars(select(Lease).where(Lease.ended_at.is_(None), Lease.expires_at > clock.now)).all()
    assert len(live) == 4


def test_a_lease_that_ran_out_is_not_renewed_beside_as_many_as_one_may_hold(
    client: TestClient, project: Project, database: Database, clock: FakeClock
) -> None:
    (late,) = take(client)
    clock.advance(minutes=16)
    with database.write() as session:
        session.get_one(Region, late["id"]).score = -1.0
    assert ids(take(client, 4)) == [2, 3, 4, 5]
    response = client.post(f"/leases/{late['lease_token']}/renew")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "held")
    assert post(client, label(late)).status_code == 201  # its work is not lost


def test_a_lease_is_renewed_until_it_has_lasted_as_long_as_the_project_allows(
    client: TestClient, login: Login, project: Project, clock: FakeClock
) -> None:
    (region,) = take(client)
    renew = f"/leases/{region['lease_token']}/renew"
    for minutes, until in ((10, "12:25"), (10, "12:30"), (9, "12:30")):
        clock.advance(minutes=minutes)
        for _ in range(2):  # sent twice is as good as once
            answer = client.post(renew)
            assert (answer.status_code, answer.json()["lease_expires_at"][11:16]) == (200, until)
    clock.advance(minutes=1)
    answer = client.post(renew)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "lease_limit")
    assert "send its label" in answer.json()["error"]["message"]
    assert take(login())[0]["id"] == region["id"]
    assert post(client, label(region)).json()["error"]["code"] == "lease_lost"


def test_a_label_after_the_last_renewal_still_counts_while_nobody_took_the_region(
    client: TestClient, project: Project, clock: FakeClock
) -> None:
    (region,) = take(client)
    clock.advance(minutes=31)
    assert client.post(f"/leases/{region['lease_token']}/renew").status_code == 409
    assert post(client, label(region)).status_code == 201


def test_a_lease_may_last_at_least_as_long_as_without_renewal(
    client: TestClient, admin: TestClient, project: Project, clock: FakeClock
) -> None:
    change(admin, lease_minutes=60.0)
    (region,) = take(client)
    clock.advance(minutes=59)
    assert client.post(f"/leases/{region['lease_token']}/renew").status_code == 200


def test_one_annotator_skips_a_share_of_a_round_and_is_then_told_whom_to_ask(
    client: TestClient, login: Login, project: Project, database: Database
) -> None:
    skipped = []
    for _ in range(4):  # a tenth of forty
        (region,) = take(client)
        skipped.append(region)
        assert skip(client, region).status_code == 200
    (region,) = take(client)
    answer = skip(client, region)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "skip_limit")
    assert "ask a reviewer or an admin" in answer.json()["error"]["message"]
    assert answer.json()["error"]["detail"] == {"skipped": 4, "allowed": 4}
    assert [skip(client, each).status_code for each in skipped] == [200] * 4  # sent twice is as good as once
    with database.read() as session:
        assert session.get_one(Region, region["id"]).state == "open"
    assert skip(login(), take(login())[0]).status_code == 422
    other = login()
    assert skip(other, take(other)[0]).status_code == 200


def test_of_a_small_round_anybody_may_skip_three_and_an_admin_may_allow_more(
    client: TestClient, admin: TestClient, make: Maker
) -> None:
    project = make.project(max_skip_share=0.0)
    make.round_(project, make.images(project, 2), regions=6)
    regions = take(client, 6)
    assert [skip(client, each).status_code for each in regions[:4]] == [200, 200, 200, 409]
    change(admin, max_skip_share=1.0)
    assert [skip(client, each).status_code for each in regions[3:]] == [200, 200, 200]


def test_skips_count_by_leases_that_were_given_back_or_ran_out_too(
    client: TestClient, make: Maker, clock: FakeClock
) -> None:
    project = make.project(lookahead=False)
    make.round_(project, make.images(project, 2), regions=8)
    regions = take(client, 8)
    for each in regions[:2]:
        client.post(f"/regions/{each['id']}/release", json={"lease_token": each["lease_token"]})
    clock.advance(minutes=20)
    assert [skip(client, each).status_code for each in regions[:4]] == [200, 200, 200, 409]
    assert skip(client, regions[0]).status_code == 200


def test_skips_of_one_annotator_at_once_are_no_more_than_one_may(
    client: TestClient, make: Maker, database: Database
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 3), regions=12)
    statuses: list[int] = []
    regions = take(client, 12)
    together([lambda each=each: statuses.append(skip(client, each).status_code) for each in regions])  # type: ignore[misc]
    assert sorted(statuses) == [200] * 3 + [409] * 9
    with database.read() as session:
        assert len(session.scalars(select(Region.id).where(Region.state == "skipped")).all()) == 3


def test_reviewers_and_admins_skip_beyond_the_share(login: Login, make: Maker) -> None:
    for number, role in enumerate(("reviewer", "admin"), 1):
        project = make.project(role)
        make.round_(project, make.images(project, 2), regions=5)
        caller = login(role)
        regions = caller.get("/next-regions", params={"project": number, "count": 5}).json()["items"]
        assert [skip(caller, each).status_code for each in regions] == [200] * 5


def test_the_regions_of_a_revoked_annotator_are_free_at_once(
    admin: TestClient, client: TestClient, login: Login, project: Project, database: Database
) -> None:
    held = take(client, 4)
    with database.read() as session:
        ada = session.scalars(select(Annotator.id).where(Annotator.name == "ada")).one()
    assert admin.delete(f"/annotators/{ada}").status_code == 200
    assert ids(take(login(), 4)) == ids(held)
    with database.read() as session:
        ends = session.execute(select(Lease.annotator_id, Lease.end).order_by(Lease.id)).all()
        told = session.scalars(select(Event).where(Event.kind == "annotator_deactivated")).one()
    assert [tuple(each) for each in ends] == [(ada, "revoked")] * 4 + [(ada + 1, None)] * 4
    assert told.detail == {"deactivated": ada, "freed": [1, 2, 3, 4]}


def test_one_who_is_revoked_while_asking_ends_up_with_nothing(
    admin: TestClient, login: Login, make: Maker, database: Database
) -> None:
    project = make.project(max_held=2)
    make.round_(project, make.images(project, 10), regions=40)
    clients = [login() for _ in range(8)]

    def remove(annotator: int) -> None:
        assert admin.delete(f"/annotators/{annotator}").status_code == 200

    works: list[Any] = []
    for annotator, each in enumerate(clients, 2):  # the admin was first
        works += [partial(take, each, 2), partial(remove, annotator)]
    together(works)
    with database.read() as session:
        left = select(Lease.id).join(Annotator).where(Lease.ended_at.is_(None), Annotator.active.is_(False))
        assert session.scalars(left).all() == []
        assert len(session.scalars(select(Annotator.id).where(Annotator.active.is_(False))).all()) == 8


@pytest.mark.parametrize("shut_out", ["revoked", "removed"])
def test_nothing_is_given_to_one_who_was_shut_out_since_the_door_let_him_in(
    client: TestClient, project: Project, database: Database, clock: FakeClock, shut_out: str
) -> None:
    with database.write() as session:
        if shut_out == "revoked":
            session.scalars(select(Annotator)).one().active = False
        else:
            session.delete(session.scalars(select(Membership)).one())
    with database.write() as session:
        assert leases.claim(session, 1, 1, count=4, now=clock.now, default_minutes=15) == []


def test_taking_and_labelling_take_as_many_statements_as_they_did(
    client: TestClient, project: Project, database: Database
) -> None:
    post(client, label(take(client)[0]))
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *each: statements.append(each[2]))
    post(client, label(take(client)[0]))
    counted = [each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE", "SET", "WITH"))]
    with database.read() as session:
        assert session.scalars(select(Label.id)).all() == [1, 2]
    # Caller, what is available, lease; caller, frames, region and lease, lease's end, label, event, region, rest.
    assert len(counted) == 3 + 8, counted  # PostgreSQL locks the round with what begins
