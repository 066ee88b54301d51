"""Several annotators for each region: who is given what, when labels agree, and what becomes of those that do not."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.masks import decode_label_png
from service.domain.regions import Box
from service.store.round_values import NewRegion, RoundProposal
from service.store.rounds import open_round
from service.tables import Job, Project, Region, Round
from tests.conftest import START, FakeClock, Outbox
from tests.maker import Maker
from tests.service.people import (
    ROAD,
    SKY,
    VOID,
    Login,
    code,
    draw,
    ids,
    kinds,
    skip,
    state,
    take,
    take_and_draw,
)


def begun(make: Maker, *, regions: int = 1, overlap: int = 2, **settings: Any) -> Project:
    project = make.project(lookahead=False, overlap=overlap, **settings)
    make.round_(project, make.images(project, 1), regions=regions)
    with make.database.write() as session:
        for region in session.scalars(select(Region)):
            region.overlap = overlap
    return project


def counting(client: TestClient, region: int) -> np.ndarray:
    return decode_label_png(client.get(f"/regions/{region}/label").content, height=90, width=80)


def test_a_region_is_held_by_as_many_as_it_wants_labels_of_and_by_nobody_twice(
    login: Login, make: Maker, clock: FakeClock
) -> None:
    begun(make, regions=2)
    ada, bob, cid = login(), login(), login()
    assert (ids(ada), ids(bob), ids(cid)) == ([1, 2], [1, 2], [])
    clock.advance(minutes=16)
    assert ids(cid) == [1, 2]  # seats that ran out are free
    assert draw(cid, take(cid)[0]).status_code == 201
    assert ids(cid) == [2]
    assert ids(ada) == [1, 2]
    assert ids(bob) == []  # of one a label is there and another is being made, of the other two are


def test_labels_that_agree_make_a_version_that_counts_and_end_the_round(
    login: Login, admin: TestClient, make: Maker, database: Database, outbox: Outbox
) -> None:
    begun(make)
    ada, bob = login(), login()
    take_and_draw(ada, 45)
    assert state(admin, 1) == "open"
    assert outbox == []
    take_and_draw(bob, 48)
    assert (state(admin, 1), kinds(admin, 1)) == ("labelled", ["annotated", "annotated", "agreed"])
    # Where one of two says otherwise, the newest label stays.
    assert (counting(admin, 1)[:48] == SKY).all()
    assert (counting(admin, 1)[48:] == ROAD).all()
    assert [kind for _, kind in outbox] == ["tell"]
    # Each sees their own label, not what the others made of it.
    assert (counting(ada, 1)[45:] == ROAD).all()
    assert [each["version"] for each in ada.get("/regions/1/labels").json()["items"]] == [1]
    assert ada.get("/regions/1/labels/2").status_code == 404
    with database.read() as session:
        counts = session.get_one(Round, 1)
        assert (counts.state, session.get_one(Region, 1).answers) == ("labelled", 2)


def test_pixels_without_a_majority_are_ignored_where_that_is_what_is_learned_from(
    login: Login, admin: TestClient, make: Maker
) -> None:
    begun(make, learn_from="majority")
    take_and_draw(login(), 45)
    take_and_draw(login(), 48)
    assert (counting(admin, 1)[45:48] == VOID).all()
    assert admin.get("/regions/1").json()["label"]["version"] == 3


def test_labels_that_do_not_agree_wait_for_a_review_and_keep_the_round_open(
    login: Login, admin: TestClient, make: Maker, outbox: Outbox
) -> None:
    project = begun(make, budget=10)
    ada, bob, cid = login(), login(), login()
    take_and_draw(ada, 10)
    take_and_draw(bob, 80)
    assert (state(admin, 1), kinds(admin, 1)) == ("review", ["annotated", "annotated"])
    assert outbox == []
    answer = cid.get("/next-regions").json()
    assert (answer["items"], answer["reason"], answer["retry_after"]) == ([], "in_review", 30)
    standing = admin.get(f"/projects/{project.id}").json()
    assert (standing["regions"]["review"], standing["budget_left"]) == (1, 9)


def test_a_label_that_is_changed_may_settle_it(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make)
    ada, bob = login(), login()
    first = take_and_draw(ada, 10)
    second = take_and_draw(bob, 80)
    assert draw(bob, second, 10).status_code == 201
    assert (state(admin, 1), kinds(admin, 1)[-2:]) == ("labelled", ["annotated", "agreed"])
    assert draw(bob, second, 10).status_code == 200
    assert draw(ada, first, 70).status_code == 201
    assert state(admin, 1) == "review"


def test_a_majority_of_the_pixels_is_another_rule(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, overlap=3, agreement="majority", agreement_threshold=0.95)
    for row in (10, 80, 12):
        take_and_draw(login(), row)
    assert state(admin, 1) == "labelled"
    assert (counting(admin, 1)[:12] == SKY).all()
    assert (counting(admin, 1)[12:] == ROAD).all()


def test_where_all_is_reviewed_agreement_and_single_labels_wait_too(
    login: Login, admin: TestClient, make: Maker, outbox: Outbox
) -> None:
    begun(make, overlap=1, review="all")
    ada = login()
    region = take_and_draw(ada)
    assert (state(admin, 1), outbox) == ("review", [])
    assert draw(ada, region, 20).status_code == 201  # until somebody has looked at it
    assert (state(admin, 1), kinds(admin, 1)) == ("review", ["annotated", "annotated"])


def test_a_skip_is_ones_own_and_as_many_as_are_asked_skip_the_region(
    login: Login, admin: TestClient, make: Maker, outbox: Outbox
) -> None:
    begun(make)
    ada, bob, cid = login(), login(), login()
    assert skip(ada, take(ada)[0]).json()["state"] == "open"
    assert (ids(ada), ids(cid)) == ([], [1])
    assert skip(bob, take(bob)[0]).json()["state"] == "open"  # somebody is at it
    assert skip(cid, take(cid)[0]).json() == {"id": 1, "state": "skipped", "skip_reason": "dark"}
    assert [kind for _, kind in outbox] == ["tell"]


def test_what_somebody_labelled_and_nobody_else_can_be_asked_for_goes_to_review(
    login: Login, admin: TestClient, make: Maker
) -> None:
    begun(make)
    ada, bob = login(), login()
    take_and_draw(ada)
    assert skip(bob, take(bob)[0]).json()["state"] == "review"


def test_a_region_for_whose_labels_members_left_goes_to_review_when_somebody_asks(
    login: Login, admin: TestClient, make: Maker
) -> None:
    begun(make)
    ada, bob = login("annotator", "ada"), login("annotator", "bob")
    take_and_draw(ada)
    members = {each["name"]: each["annotator_id"] for each in admin.get("/projects/1/members").json()["items"]}
    for name in ("bob", "root"):
        assert admin.delete(f"/projects/1/members/{members[name]}").status_code == 200
    assert bob.get("/next-regions", params={"project": 1}).status_code == 404
    assert state(admin, 1) == "open"
    assert ada.get("/next-regions").json()["reason"] == "in_review"
    assert state(admin, 1) == "review"


def test_another_opinion_is_asked_for_before_what_is_new(login: Login, make: Maker) -> None:
    begun(make, regions=3)
    ada, bob = login(), login()
    held = take(ada, 3)
    draw(ada, held[2])
    assert ids(bob) == [3, 1, 2]


def test_a_late_label_counts_while_there_is_room_and_else_is_refused(
    login: Login, admin: TestClient, make: Maker, clock: FakeClock
) -> None:
    begun(make, regions=2)
    ada, bob, cid = login(), login(), login()
    late, other = take(ada, 2)
    clock.advance(minutes=16)
    assert draw(ada, late).status_code == 201
    assert (ids(bob), ids(cid)) == ([1, 2], [2])
    assert code(draw(ada, other)) == (409, "lease_lost")
    take_and_draw(bob)
    assert state(admin, 1) == "labelled"


def test_a_project_proposes_regions_with_its_overlap_and_they_keep_it(
    admin: TestClient, make: Maker, database: Database
) -> None:
    project = make.project(overlap=3)
    (image,) = make.images(project, 1)
    with database.write() as session:
        session.add(Round(project_id=1, number=1, state="scoring", size=1, seconds={}, note="", created_at=START))
    new = NewRegion(image_id=image.id, cell=0, number=0, box=Box(row=0, col=0, height=90, width=80), score=0.5)
    with database.write() as session:
        assert open_round(session, 1, RoundProposal(regions=[new], strategy="random", seconds={}), now=START)
    assert admin.patch("/projects/1", json={"settings": {"overlap": 1}}).status_code == 200
    detail = admin.get("/regions/1").json()
    assert (detail["overlap"], detail["answers"]) == (3, 0)
    assert admin.patch("/projects/1", json={"settings": {"overlap": 10}}).status_code == 422


def test_finishing_a_round_keeps_what_somebody_has_labelled(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    begun(make, regions=2)
    take_and_draw(login())
    assert admin.post("/rounds/1/finish").json()["state"] == "labelled"
    with database.read() as session:
        assert session.execute(select(Region.id, Region.state)).all() == [(1, "review")]
        assert session.scalars(select(Job.kind)).all() == ["tell"]


@pytest.mark.parametrize(("share", "expected"), [(0.25, [1, 2]), (1.0, [1, 2, 3, 4])])
def test_a_share_of_a_round_is_all_that_one_annotator_is_given_unless_too_few_take_part(
    login: Login, make: Maker, share: float, expected: list[int]
) -> None:
    begun(make, regions=4, overlap=1, max_round_share=share)
    ada, bob = login(), login()
    assert ids(ada) == expected
    assert ids(bob) == [each for each in (1, 2, 3, 4) if each not in expected]


def test_who_has_had_their_share_is_given_the_next_rounds(login: Login, make: Maker) -> None:
    project = begun(make, regions=4, overlap=1, max_round_share=0.25)
    make.round_(project, make.images(project, 2), regions=4, number=2)
    ada, _ = login(), [login() for _ in range(3)]
    assert ids(ada, 1) == [1]
    draw(ada, take(ada)[0])
    assert ids(ada) == [5]
