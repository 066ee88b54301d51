"""Labels that are sent, and jobs that go on, while classes change."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import class_changing, label_maps
from service.domain.masks import decode_label_png
from service.store import labels as label_store
from service.tables import Job
from tests.maker import Maker
from tests.service.reclassed import CAR, IGNORED, PEDESTRIAN, ROAD, SKY, Campaign, Login, became, noise
from tests.service.test_many_at_once import together


@pytest.fixture
def campaign(make: Maker, admin: TestClient, login: Login) -> Campaign:
    return Campaign(make, admin, login)


def test_classes_do_not_change_under_a_job_that_has_begun(campaign: Campaign) -> None:
    now = campaign.make.clock()
    with campaign.database.write() as session:
        job = Job(project_id=campaign.project.id, kind="pretrain", payload={}, state="running", created_at=now)
        session.add(job)
    assert campaign.change(kind="remove", id=CAR, into=None, status=409)["error"]["code"] == "job_running"
    campaign.change(kind="rename", id=CAR, name="Vehicle")
    with campaign.database.write() as session:
        session.merge(job).state = "failed"
    campaign.change(kind="remove", id=CAR, into=None)
    assert campaign.admin.post(f"/jobs/{job.id}/retry").json()["error"]["code"] == "classes_changed"


def test_a_label_that_is_being_sent_while_classes_change_is_kept_with_those_of_after(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask, submit = noise(61, PEDESTRIAN, ROAD), label_store.submit
    tried = []

    def between(*given: Any, **named: Any) -> Any:
        tried.append(1)
        return submit(*given, **named)

    checked = label_maps.submissions

    def checks(*given: Any) -> Any:
        found = checked(*given)
        if not tried:
            campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
        return found

    monkeypatch.setattr(label_store, "submit", between)
    monkeypatch.setattr("service.routes.labels.submissions", checks)
    answer = campaign.label(campaign.ada, campaign.held, mask)
    assert (answer.status_code, len(tried)) == (201, 2)
    assert (decode_label_png(campaign.kept()[3][2], height=90, width=80) == became(mask, [PEDESTRIAN], CAR)).all()


def test_a_label_that_comes_between_looking_and_changing_is_changed_too(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask, before = noise(62, PEDESTRIAN, ROAD), class_changing.Changer._effects

    def comes(self: Any, *given: Any) -> Any:
        assert campaign.label(campaign.ada, campaign.held, mask).status_code == 201
        return before(self, *given)

    monkeypatch.setattr(class_changing.Changer, "_effects", comes)
    assert campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)["labels"] == 3
    assert (decode_label_png(campaign.kept()[3][2], height=90, width=80) == became(mask, [PEDESTRIAN], CAR)).all()


def test_labels_that_are_sent_and_classes_that_change_at_once_end_with_the_classes_of_after(campaign: Campaign) -> None:
    masks = {place: noise(70 + place, PEDESTRIAN, CAR, ROAD) for place in range(4)}
    sent = [partial(campaign.label, campaign.ada, campaign.given[place], masks[place]) for place in masks]
    path = f"/projects/{campaign.project.id}/class-changes"
    changing: list[Callable[[], Any]] = [
        lambda: campaign.admin.post(path, json={"kind": "merge", "ids": [PEDESTRIAN], "into": CAR}),
        lambda: campaign.admin.post(path, json={"kind": "remove", "id": SKY, "into": None}),
    ]
    statuses = [0] * 6

    def one(place: int, work: Callable[[], Any]) -> None:
        statuses[place] = work().status_code

    works: list[Callable[[], Any]] = [*sent, *changing]
    together([partial(one, place, work) for place, work in enumerate(works)])
    assert set(statuses) <= {201, 409}
    assert statuses[-2:] == [201, 201]
    for place, (_, _, png, _, _) in enumerate(campaign.kept()):
        wanted = became(became(masks[place], [PEDESTRIAN], CAR), [SKY], IGNORED)
        assert statuses[place] == 409 or (decode_label_png(png, height=90, width=80) == wanted).all()
    assert [e["number"] for e in campaign.admin.get(path).json()["items"]] == [1, 2]
