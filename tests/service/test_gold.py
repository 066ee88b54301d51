"""Gold regions: annotators are given them as any other, and nothing tells them apart."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.lease_proofs import LeaseProofs
from service.store.predictions import refresh_predictions
from service.tables import Checkpoint, Comparison, GoldTurn, Lease, Project, Region
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.golden import PLAIN, give_gold, is_gold, make_gold, plain_and_gold, send, take, truth
from tests.service.test_many_at_once import together

Login = Callable[..., TestClient]


@pytest.fixture
def checkpoint(project: Project, make: Maker) -> Checkpoint:
    return make.checkpoint(project, "segmenter")


@pytest.fixture
def project(make: Maker) -> Project:
    return make.project(gold_share=0.5, budget=4, max_skip_share=0.0)


@pytest.fixture
def gold(make: Maker, project: Project, checkpoint: Checkpoint) -> list[Region]:
    return plain_and_gold(make, project, checkpoint)


def test_a_gold_region_looks_like_any_other(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch, 1)
    first, second, third = take(client, 3)
    assert [is_gold(each) for each in (first, second, third)] == [False, True, False]
    assert first.keys() == second.keys()
    assert third["score"] < second["score"] < first["score"]
    alike = ("round", "project_id", "width", "height", "prediction_checkpoint_id", "lease_expires_at")
    assert {name: first[name] for name in alike} == {name: second[name] for name in alike}
    numbers = [int(each["lease_token"].partition("-")[0]) for each in (first, second, third)]
    assert numbers == [1, 2, 3]
    assert take(client, 3) == [first, second, third]
    assert take(client, 1) == [first]
    seen = [client.get(f"/regions/{each['id']}").json() for each in (first, second)]
    assert seen[0].keys() == seen[1].keys()
    for name in ("state", "leased_until", "label", "label_url", "skip_reason", *alike[:-1]):
        assert seen[0][name] == seen[1][name], name
    assert seen[1]["score"] == second["score"]
    images = [client.get(f"/images/{each['image_id']}").json() for each in (first, second)]
    assert [(each["split"], each["has_label_map"]) for each in images] == [("pool", False)] * 2


@pytest.mark.parametrize("path", ["crop", "context", "prediction", "label"])
def test_what_belongs_to_a_region_belongs_to_a_gold_one(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    give_gold(monkeypatch, 1)
    both = take(client, 2)
    before = [client.get(f"/regions/{each['id']}/{path}") for each in both]
    sent = [send(client, each, truth()) for each in both]
    after = [client.get(f"/regions/{each['id']}/{path}") for each in both]
    assert [each.status_code for each in sent] == [201, 201]
    assert before[0].status_code == before[1].status_code == (404 if path == "label" else 200)
    assert after[0].status_code == after[1].status_code == 200
    assert after[0].headers.keys() == after[1].headers.keys()


def test_labels_of_it_are_answered_as_ever_and_held_against_the_truth(
    client: TestClient, login: Login, gold: list[Region], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    give_gold(monkeypatch)
    other = login()
    (mine,), (theirs,) = take(client), take(other)
    assert mine["id"] == theirs["id"] > PLAIN
    # A half of what is class 2 is called class 1: IoU 2 / 3 and 1 / 2.
    first = send(client, mine, truth(wrong=0.5)).json()["labels"][0]
    assert (first["version"], first["created"]) == (1, True)
    assert send(client, mine, truth(wrong=0.5)).json()["labels"][0] == {**first, "created": False}
    second = send(other, theirs, truth()).json()["labels"][0]
    assert (second["version"], second["class_counts"]) == (1, {**first["class_counts"], "Building": 3600, "Pole": 3600})
    with database.read() as session:
        found = {each.annotator_id: each for each in session.scalars(select(Comparison))}
    assert {who: each.miou for who, each in found.items()} == pytest.approx({1: (2 / 3 + 1 / 2) / 2, 2: 1.0})
    assert found[1].by_class == {"1": [3600, 5400], "2": [1800, 3600]}
    assert found[1].other_label_id is None
    assert send(client, mine, truth()).json()["labels"][0]["version"] == 2
    with database.read() as session:
        assert [each.miou for each in session.scalars(select(Comparison))] == [1.0, 1.0]
    assert client.get(f"/regions/{mine['id']}").json()["label"]["version"] == 2
    assert client.get(f"/regions/{mine['id']}").json()["state"] == "labelled"


def test_each_is_given_once_and_never_again(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch)
    given = []
    for _ in range(6):
        (region,) = take(client)
        given.append(region["id"])
        assert send(client, region, truth()).status_code == 201
    assert sorted(given) == [1, 2, 3, 4, 5, 6]
    assert [each > PLAIN for each in given] == [True, True, False, False, False, False]


def test_one_that_was_given_back_or_ran_out_is_given_again_with_what_was_shown(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    give_gold(monkeypatch, 0)
    (first,) = take(client)
    released = client.post(f"/regions/{first['id']}/release", json={"lease_token": first["lease_token"]})
    assert released.json() == {"id": first["id"], "state": "open", "skip_reason": None}
    assert client.get(f"/regions/{first['id']}").json()["error"]["code"] == "not_given"
    (again,) = take(client)
    clock.advance(minutes=16)
    (later,) = take(client)
    changing = ("lease_token", "lease_expires_at")
    assert [{**each, **dict.fromkeys(changing)} for each in (again, later)] == [
        {**first, **dict.fromkeys(changing)}
    ] * 2
    assert send(client, again, truth()).status_code == 201
    late = client.post(f"/regions/{first['id']}/release", json={"lease_token": first["lease_token"]})
    assert late.json()["error"]["code"] == "region_labelled"


def test_skipping_one_is_a_skip_of_no_round(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    give_gold(monkeypatch, 0)

    def skip(region: dict[str, Any]) -> Any:
        body = {"lease_token": region["lease_token"], "reason": "dark"}
        return client.post(f"/regions/{region['id']}/skip", json=body)

    (first,) = take(client)
    assert is_gold(first)
    for _ in range(2):
        assert skip(first).json() == {"id": first["id"], "state": "skipped", "skip_reason": "dark"}
    assert send(client, first, truth()).json()["error"]["code"] == "region_skipped"
    assert client.get(f"/regions/{first['id']}").json()["error"]["code"] == "not_given"
    answers = [skip(each) for each in take(client, 3)]
    assert [each.status_code for each in answers] == [200, 200, 200]
    with database.read() as session:
        assert session.scalar(select(Region.state).where(Region.id == first["id"])) == "gold"
        assert [each.state for each in session.scalars(select(GoldTurn))] == ["skipped"]


def test_who_may_skip_no_more_may_skip_no_gold_one(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch, 3)
    items = take(client, 4)
    assert [is_gold(each) for each in items] == [False, False, False, True]
    codes = [
        client.post(f"/regions/{each['id']}/skip", json={"lease_token": each["lease_token"], "reason": "dark"})
        for each in items
    ]
    assert [each.status_code for each in codes] == [200, 200, 200, 409]
    assert codes[3].json()["error"]["code"] == "skip_limit"


def test_a_round_ends_without_them_and_no_figure_has_them(
    client: TestClient, admin: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch, 0)
    (first,) = take(client)
    assert is_gold(first)
    rest = take(client, 5)
    assert len(rest) == 5
    for region in rest[1:]:
        assert send(client, region, truth()).status_code == 201
    (round_,) = admin.get("/projects/1/rounds").json()["items"]
    assert (round_["number"], round_["state"]) == (1, "labelled")
    standing = admin.get("/projects/1").json()
    assert standing["regions"] == {"open": 0, "review": 0, "labelled": 4, "skipped": 0}
    assert standing["rounds"] == {"scoring": 0, "open": 0, "labelled": 1, "told": 0}
    assert standing["budget_left"] == 0
    assert [each["id"] for each in take(client)] == [first["id"]]
    assert send(client, first, truth()).status_code == 201
    metrics = admin.get("/metrics").text
    assert 'regionwise_rounds{project="1",state="gold"}' not in metrics
    assert 'regionwise_regions_open{project="1"} 0.0' in metrics
    exported = admin.get("/projects/1/export")
    assert exported.status_code == 200
    assert admin.post("/rounds/2/finish").status_code == 404


def test_while_it_is_open_the_newest_prediction_is_shown_and_that_of_its_end_from_then_on(
    client: TestClient, gold: list[Region], make: Maker, project: Project, monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:  # fmt: skip
    give_gold(monkeypatch, 0)
    (first,) = take(client)

    def refresh(class_id: int) -> int:
        made = make.checkpoint(project, "segmenter", bytes([class_id]))
        with database.write() as session:
            refresh_predictions(session, made.id, {first["id"]: make.mask_png(class_id=class_id)})
        return made.id

    newer = refresh(6)
    assert client.get(f"/regions/{first['id']}").json()["prediction_checkpoint_id"] == newer
    assert client.get(f"/regions/{first['id']}/prediction").content == make.mask_png(class_id=6)
    send(client, first, truth())
    refresh(7)
    assert client.get(f"/regions/{first['id']}").json()["prediction_checkpoint_id"] == newer
    answer = client.get(f"/regions/{first['id']}/prediction")
    assert answer.content == make.mask_png(class_id=6)
    assert answer.headers["X-Checkpoint-Id"] == str(newer)


def test_one_that_another_network_predicted_is_not_given(
    client: TestClient, gold: list[Region], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch)
    with database.write() as session:
        for region in session.scalars(select(Region).where(Region.gold)):
            region.prediction, region.prediction_checkpoint_id = None, None
    assert not is_gold(take(client)[0])


def test_a_project_without_a_share_gives_none_and_an_admin_who_is_no_member_gets_none(
    client: TestClient, admin: TestClient, make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = give_gold(monkeypatch)
    project = make.project(gold_share=0.0, open_to_all=False)
    make.round_(project, make.images(project, 1), regions=2)
    make_gold(make, project, 1)
    assert [each["id"] for each in take(admin)] == [1]
    assert admin.patch("/projects/1", json={"settings": {"gold_share": 0.2}}).status_code == 200
    assert [each["id"] for each in take(admin, 2)] == [1, 2]
    assert seen == []


def test_the_share_holds_over_many_leases_and_depends_on_the_secret(database: Database) -> None:
    proofs, others = LeaseProofs(database, "a" * 32), LeaseProofs(database, "b" * 32)
    for share in (0.05, 0.2, 0.5):
        due = [proofs.is_due(lease, share) for lease in range(4000)]
        assert sum(due) / 4000 == pytest.approx(share, abs=0.02)
        assert due == [proofs.is_due(lease, share) for lease in range(4000)]
        assert due != [others.is_due(lease, share) for lease in range(4000)]


def test_they_go_with_their_project_and_their_image(
    client: TestClient, admin: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    give_gold(monkeypatch, 0)
    (first,) = take(client)
    send(client, first, truth())
    image = gold[0].image_id
    name = admin.get(f"/images/{image}").json()["name"]
    assert admin.delete(f"/images/{image}", params={"confirm": name}).status_code == 200
    gone = admin.delete("/projects/1", params={"confirm": "streets", "force": "true"})
    assert gone.status_code == 200, gone.text
    with database.read() as session:
        left = [session.scalars(select(each)).all() for each in (Region, GoldTurn, Comparison, Lease)]
    assert left == [[], [], [], []]


def test_many_take_and_label_the_same_one_at_once(
    login: Login, gold: list[Region], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    give_gold(monkeypatch)
    clients = [login() for _ in range(6)]
    answers: list[Any] = []

    def work(client: TestClient) -> None:
        for region in take(client):
            answers.append((region["id"], send(client, region, truth())))

    together([partial(work, each) for each in clients])
    assert [answer.status_code for _, answer in answers] == [201] * len(answers)
    assert {answer.json()["labels"][0]["version"] for _, answer in answers} == {1}
    golden = [region_id for region_id, _ in answers if region_id > PLAIN]
    with database.read() as session:
        assert len(session.scalars(select(Comparison)).all()) == len(golden) > 0
        assert session.scalars(select(Lease).where(Lease.ended_at.is_(None))).all() == []
