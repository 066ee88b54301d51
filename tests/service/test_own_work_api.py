"""The way back: what one labelled and skipped last, and doing so anew though the lease's token is gone."""

from starlette.testclient import TestClient

from service.db import Database
from service.tables import Lease, Round
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.people import Login, code, draw, ids, kinds, review, skip, state, take, take_and_draw
from tests.service.test_overlap_api import begun


def test_ones_own_work_is_listed_newest_first_page_by_page(login: Login, make: Maker, clock: FakeClock) -> None:
    begun(make, regions=4, overlap=1)
    ada, bob = login(), login()
    held = take(ada, 4)
    for region, act in zip(reversed(held), (draw, skip, draw, draw), strict=True):
        clock.advance(minutes=1)
        act(ada, region)
    first = ada.get("/labels", params={"mine": True, "limit": 3}).json()
    assert [(each["region_id"], each["done"]) for each in first["items"]] == [
        (1, "labelled"),
        (2, "labelled"),
        (3, "skipped"),
    ]
    assert (first["items"][2]["skip_reason"], first["items"][2]["state"]) == ("dark", "skipped")
    rest = ada.get("/labels", params={"limit": 3, "after": first["next"]}).json()
    assert ([each["region_id"] for each in rest["items"]], rest["next"]) == ([4], None)
    assert bob.get("/labels").json() == {"items": [], "next": None}
    assert ada.get("/labels", params={"project": 2}).json()["items"] == []
    assert code(ada.get("/labels", params={"mine": False})) == (422, "not_mine")


def test_a_label_is_reopened_changed_and_given_back(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, overlap=1)
    ada, bob = login(), login()
    take_and_draw(ada)
    reopened = ada.post("/regions/1/reopen")
    assert reopened.status_code == 200
    assert ada.post("/regions/1/reopen").json() == reopened.json()
    assert ada.get("/regions/1/label").status_code == 200
    assert state(admin, 1) == "labelled"
    given_back = ada.post("/regions/1/release", json={"lease_token": reopened.json()["lease_token"]})
    assert (given_back.status_code, given_back.json()["state"]) == (200, "labelled")
    assert draw(ada, ada.post("/regions/1/reopen").json(), 20).status_code == 201
    assert kinds(admin, 1) == ["annotated", "annotated"]
    assert code(bob.post("/regions/1/reopen")) == (409, "not_yours")


def test_a_skip_is_reopened_and_labelled_though_its_round_is_over(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    begun(make, overlap=1)
    ada = login()
    skip(ada, take(ada)[0])
    with database.write() as session:
        session.get_one(Round, 1).state = "told"
    reopened = ada.post("/regions/1/reopen").json()
    assert (state(admin, 1), ids(ada)) == ("open", [1])
    assert draw(ada, reopened).status_code == 201
    assert state(admin, 1) == "labelled"


def test_a_skip_that_others_have_labelled_since_stays(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, regions=2, overlap=1)
    ada, bob = login(), login()
    skip(ada, take(ada)[0])
    assert admin.post("/regions/1/unskip").json()["state"] == "open"
    take_and_draw(bob)
    assert code(ada.post("/regions/1/reopen")) == (409, "not_yours")


def test_who_reopens_one_of_several_does_not_push_another_out(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make)
    ada, bob, cid = login(), login(), login()
    take_and_draw(ada, 10)
    (held,) = take(bob)
    reopened = ada.post("/regions/1/reopen").json()
    assert ids(cid) == []
    assert draw(bob, held, 80).status_code == 201
    assert state(admin, 1) == "review"
    assert draw(ada, reopened, 80).status_code == 201
    assert (state(admin, 1), kinds(admin, 1)[-1]) == ("labelled", "agreed")


def test_nobody_reopens_more_than_one_may_hold(login: Login, make: Maker, database: Database) -> None:
    begun(make, regions=2, overlap=1, max_held=1)
    ada = login()
    take_and_draw(ada)
    assert ids(ada) == [2]
    assert code(ada.post("/regions/1/reopen")) == (409, "held")
    with database.read() as session:
        assert len(session.query(Lease).all()) == 2


def test_a_decision_is_seen_in_ones_own_work(login: Login, admin: TestClient, make: Maker) -> None:
    begun(make, overlap=1)
    ada = login()
    take_and_draw(ada)
    review(admin, 1, "rejected", reason="The kerb is missing.")
    (done,) = ada.get("/labels").json()["items"]
    assert (done["decision"], done["reason"], done["state"]) == ("rejected", "The kerb is missing.", "open")
