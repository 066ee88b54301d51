"""Reviews: who may decide about which label, what follows for the region and its round, and who gets what was rejected."""

import base64

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Event, Label, Region, Review, Round
from tests.conftest import FakeClock, Outbox
from tests.maker import Maker
from tests.service.people import (
    Login,
    code,
    draw,
    ids,
    kinds,
    review,
    skip,
    split_at,
    state,
    take,
    take_and_draw,
)
from tests.service.test_overlap_api import begun


def png(row: int) -> str:
    return base64.b64encode(split_at(row)).decode()


def disputed(login: Login, make: Maker) -> tuple[TestClient, TestClient]:
    """Two annotators who do not agree about region 1: labels 1 and 2."""
    begun(make)
    ada, bob = login("annotator", "ada"), login("annotator", "bob")
    take_and_draw(ada, 10)
    take_and_draw(bob, 80)
    return ada, bob


def test_what_waits_is_listed_oldest_first_page_by_page(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, regions=3, overlap=1, review="all")
    ada = login()
    for region in reversed(take(ada, 3)):
        draw(ada, region)
    first = admin.get("/projects/1/reviews", params={"limit": 2}).json()
    assert [each["id"] for each in first["items"]] == [3, 2]
    rest = admin.get("/projects/1/reviews", params={"limit": 2, "after": first["next"]}).json()
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([1], None)
    (label,) = first["items"][0]["labels"]
    assert (label["id"], label["annotator_id"], label["kind"]) == (1, 2, "annotated")
    assert admin.get(label["mask_url"]).status_code == 200
    assert ada.get("/projects/1/reviews").status_code == 403


def test_an_accepted_label_counts_keeps_its_author_and_ends_the_round(
    login: Login, admin: TestClient, make: Maker, database: Database, outbox: Outbox
) -> None:
    disputed(login, make)
    assert code(review(admin, 1, "accepted")) == (422, "which_label")
    assert code(review(admin, 1, "accepted", label_id=9)) == (422, "label_not_here")
    answer = review(admin, 1, "accepted", label_id=1)
    assert (answer.status_code, answer.json()["state"]) == (201, "labelled")
    (made,) = answer.json()["reviews"]
    assert (made["label_id"], made["result_label_id"], made["reviewer_id"], made["reason"]) == (1, 3, 1, "")
    assert admin.get("/regions/1/reviews").json() == {"items": [made], "next": None}
    again = review(admin, 1, "accepted", label_id=1)
    assert (again.status_code, again.json()["reviews"]) == (200, [made])
    with database.read() as session:
        counts = session.scalars(select(Label).where(Label.version == 3)).one()
        assert (counts.kind, counts.annotator_id, counts.corrects_id) == ("accepted", 2, 1)
        assert session.get_one(Round, 1).state == "labelled"
        assert (
            session.scalars(select(Event.detail).where(Event.kind == "label_reviewed")).one()["decision"] == "accepted"
        )
    assert [kind for _, kind in outbox] == ["tell"]


@pytest.mark.parametrize("form", ["png", "rle", "form"])
def test_a_correction_is_a_version_by_its_reviewer_in_any_form_of_a_label(login: Login, make: Maker, form: str) -> None:
    disputed(login, make)
    rev = login("reviewer", "rev")
    if form == "form":
        fields = {"decision": "corrected", "label_id": "2", "seconds": "7"}
        answer = rev.post("/regions/1/reviews", data=fields, files={"mask": ("m.png", split_at(40))})
    else:
        mask = {"mask_png": png(40)} if form == "png" else {"rle": {"3": {"size": [90, 80], "counts": [0, 7200]}}}
        answer = review(rev, 1, "corrected", label_id=2, seconds=7, **mask)
    assert (answer.status_code, answer.json()["state"]) == (201, "labelled")
    newest = rev.get("/regions/1/labels").json()["items"][-1]
    assert (newest["kind"], newest["corrects_id"], newest["seconds"]) == ("corrected", 2, 7)
    assert newest["annotator_id"] == rev.get("/regions/1/reviews").json()["items"][0]["reviewer_id"]


def test_what_a_review_lacks_is_said(login: Login, admin: TestClient, make: Maker) -> None:
    disputed(login, make)
    for given in ({"decision": "rejected"}, {"decision": "corrected"}, {"decision": "accepted", "mask_png": png(1)}):
        assert admin.post("/regions/1/reviews", json=given).status_code == 422
    assert code(review(admin, 1, "corrected", label_id=2, mask_png=png(80))) == (422, "nothing_corrected")
    assert admin.post("/regions/1/reviews", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert review(admin, 9, "accepted").status_code == 404
    assert kinds(admin, 1) == ["annotated", "annotated"]


def test_nobody_reviews_their_own_label_admins_neither(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    begun(make)
    rev = login("reviewer", "rev")
    take_and_draw(admin, 10)
    take_and_draw(rev, 80)
    for decision, more in (("accepted", {}), ("rejected", {"reason": "x"}), ("corrected", {"mask_png": png(5)})):
        assert code(review(admin, 1, decision, label_id=1, **more)) == (409, "own_label")
        assert code(review(rev, 1, decision, label_id=2, **more)) == (409, "own_label")
    assert review(rev, 1, "accepted", label_id=1).status_code == 201
    with database.read() as session:
        assert len(session.scalars(select(Review)).all()) == 1


def test_what_still_wants_labels_or_was_skipped_is_not_reviewed(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, regions=2)
    ada = login()
    take_and_draw(ada)
    assert code(review(admin, 1, "accepted")) == (409, "region_open")
    admin.post("/regions/2/skip", json={"reason": "dark"})
    assert code(review(admin, 2, "accepted")) == (409, "region_skipped")


def test_what_is_rejected_comes_first_and_to_others_and_its_author_sees_why(
    login: Login, admin: TestClient, make: Maker
) -> None:
    begun(make, regions=3, overlap=1)
    ada, bob = login(), login()
    region = take_and_draw(ada)
    assert ids(ada, 1) == [2]
    answer = review(admin, 1, "rejected", reason="The kerb is missing.")
    assert (answer.status_code, answer.json()["state"]) == (201, "open")
    assert review(admin, 1, "rejected", reason="The kerb is missing.").status_code == 200
    assert ada.get("/regions/1").json()["rejected"] == "The kerb is missing."
    assert ids(ada) == [2, 3]
    assert code(draw(ada, region, 20)) == (409, "label_rejected")
    assert ids(bob) == [1]
    take_and_draw(bob)
    assert (state(admin, 1), kinds(admin, 1)) == ("labelled", ["annotated", "annotated"])
    assert code(draw(ada, region, 20)) == (409, "label_rejected")
    assert bob.get("/regions/1").json()["rejected"] is None


def test_whose_label_was_rejected_gets_the_region_where_nobody_else_could(
    login: Login, admin: TestClient, make: Maker
) -> None:
    begun(make, overlap=1)
    ada = login()
    old = take_and_draw(ada)
    assert review(admin, 1, "rejected", reason="x").json()["state"] == "open"
    assert code(draw(ada, old, 20)) == (409, "label_rejected")
    assert ids(ada) == [1]
    assert draw(ada, take(ada)[0], 45).status_code == 201  # the same pixels are an answer all the same
    assert state(admin, 1) == "labelled"
    assert review(admin, 1, "rejected", reason="x").json()["state"] == "open"
    assert skip(ada, take(ada)[0]).json()["state"] == "review"  # it has labels: a reviewer may correct one
    assert code(review(admin, 1, "accepted")) == (409, "nothing_to_review")
    assert review(admin, 1, "corrected", mask_png=png(3)).json()["state"] == "labelled"


def test_one_of_several_labels_is_rejected_and_another_annotator_is_asked(
    login: Login, admin: TestClient, make: Maker
) -> None:
    ada, bob = disputed(login, make)
    cid = login()
    assert review(admin, 1, "rejected", label_id=2, reason="far off").json()["state"] == "open"
    assert (ids(ada), ids(bob), ids(cid)) == ([], [], [1])
    take_and_draw(cid, 11)
    assert state(admin, 1) == "labelled"


def test_what_is_labelled_may_be_reviewed_though_its_round_is_over(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    begun(make, overlap=1)
    ada, bob = login(), login()
    region = take_and_draw(ada)
    with database.write() as session:
        session.get_one(Round, 1).state = "told"
    assert review(admin, 1, "corrected", mask_png=png(3)).json()["state"] == "labelled"
    assert code(draw(ada, region, 20)) == (409, "region_reviewed")
    rev = login("reviewer", "rev")
    assert review(rev, 1, "rejected", reason="x").json()["state"] == "open"
    assert ids(bob) == [1]
    take_and_draw(bob)
    assert state(admin, 1) == "labelled"


def test_a_project_with_reviews_and_comparisons_is_deleted_whole(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    disputed(login, make)
    review(admin, 1, "accepted", label_id=1)
    for job in admin.get("/projects/1/jobs").json()["items"]:
        admin.post(f"/jobs/{job['id']}/cancel")
    gone = admin.delete("/projects/1", params={"confirm": "streets", "force": True})
    assert gone.status_code == 200
    with database.read() as session:
        assert [session.scalars(select(table.id)).all() for table in (Review, Label, Region)] == [[], [], []]


def test_a_review_while_the_author_reopens_ends_their_lease(
    login: Login, admin: TestClient, make: Maker, clock: FakeClock
) -> None:
    begun(make, overlap=1, review="all")
    ada = login()
    take_and_draw(ada)
    reopened = ada.post("/regions/1/reopen").json()
    clock.advance(minutes=1)
    assert review(admin, 1, "accepted").json()["state"] == "labelled"
    assert code(draw(ada, reopened, 20)) == (409, "region_reviewed")
    assert code(ada.post("/regions/1/reopen")) == (409, "region_reviewed")


def test_a_review_of_a_label_that_its_author_has_replaced_since_is_a_conflict(
    login: Login, admin: TestClient, make: Maker
) -> None:
    """The reviewer's list is of a moment ago: that is nobody's mistake, unlike a label of another region."""
    ada, _ = disputed(login, make)
    assert draw(ada, ada.post("/regions/1/reopen").json(), 20).status_code == 201
    for decision in ("accepted", "rejected"):
        answer = review(admin, 1, decision, label_id=1, reason="The edge is off.")
        assert code(answer) == (409, "label_replaced")
        assert answer.json()["error"]["detail"]["labels"] == [2, 3]
    assert review(admin, 1, "accepted", label_id=3).json()["state"] == "labelled"
