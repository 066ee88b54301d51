"""The way back to gold regions, and their versions, are those of any other region; nobody reviews them."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from service.tables import Region
from tests.maker import Maker
from tests.service.golden import give_gold, is_gold, plain_and_gold, send, take, truth

Login = Callable[..., TestClient]


@pytest.fixture
def gold(make: Maker) -> list[Region]:
    project = make.project(gold_share=0.5, budget=4)
    return plain_and_gold(make, project, make.checkpoint(project, "segmenter"))


def test_the_way_back_to_it_is_that_to_any_other(
    client: TestClient, login: Login, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = login()
    give_gold(monkeypatch, 1)
    assert [send(other, each, truth()).status_code for each in take(other, 2)] == [201, 201]
    give_gold(monkeypatch, 1)
    both = take(client, 2)
    assert [is_gold(each) for each in both] == [False, True]
    assert [send(client, each, truth()).status_code for each in both] == [201, 201]
    done = {each["region_id"]: each for each in client.get("/labels").json()["items"]}
    own = ("region_id", "image_name", "label_id", "at")
    plain, golden = ({k: v for k, v in done[each["id"]].items() if k not in own} for each in both)
    assert plain == golden
    versions = [client.get(f"/regions/{each['id']}/labels").json()["items"] for each in both]
    assert [[each["version"] for each in listed] for listed in versions] == [[1], [1]]
    masks = [client.get(listed[0]["mask_url"]) for listed in versions]
    assert [each.status_code for each in masks] == [200, 200]
    assert client.get(f"/regions/{both[1]['id']}/labels/2").status_code == 404
    again = [client.post(f"/regions/{each['id']}/reopen") for each in both]
    assert [each.status_code for each in again] == [200, 200]
    for name in ("round", "prediction_checkpoint_id", "lease_expires_at"):
        assert again[0].json()[name] == again[1].json()[name], name
    assert not {each["id"] for each in take(client, 1)} & {each["id"] for each in both}
    sent = [send(client, each.json(), truth(wrong=0.5)).json()["labels"][0]["version"] for each in again]
    assert sent == [2, 2]


def test_a_skip_of_it_is_taken_back_as_any_other(
    client: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch, 1)
    both = take(client, 2)
    for each in both:
        asked = {"lease_token": each["lease_token"], "reason": "dark"}
        assert client.post(f"/regions/{each['id']}/skip", json=asked).status_code == 200
    assert {(each["done"], each["state"], each["skip_reason"]) for each in client.get("/labels").json()["items"]} == {
        ("skipped", "skipped", "dark")
    }
    again = [client.post(f"/regions/{each['id']}/reopen") for each in both]
    assert [each.status_code for each in again] == [200, 200]
    states = [client.get(f"/regions/{each['id']}").json()["state"] for each in both]
    assert states == ["open", "open"]
    assert [send(client, each.json(), truth()).status_code for each in again] == [201, 201]


def test_nobody_reviews_it(
    client: TestClient, admin: TestClient, gold: list[Region], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gold(monkeypatch)
    (region,) = take(client)
    send(client, region, truth())
    refused = admin.post(f"/regions/{region['id']}/reviews", json={"decision": "rejected", "reason": "no"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "region_gold")
