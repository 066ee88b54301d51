"""A project whose labels no export has is not deleted by chance."""

import pytest
from sqlalchemy import event, select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Label, Region
from tests.conftest import START
from tests.maker import Maker
from tests.service.labelled import Labelled, make_labelled


@pytest.fixture
def labelled(make: Maker, admin: TestClient) -> Labelled:
    return make_labelled(make, admin, name="My streets")


def test_labels_that_no_export_has_stand_in_the_way_of_a_deletion(
    labelled: Labelled, admin: TestClient, database: Database
) -> None:
    path, confirmed = f"/projects/{labelled.project.id}", {"confirm": "My streets"}
    assert admin.get(f"{path}/export", params={"only": "complete"}).status_code == 200  # leaves labels out
    refused = admin.delete(path, params=confirmed).json()["error"]
    assert (refused["code"], refused["detail"]) == ("labels_not_exported", {"labels": 14})
    assert admin.get(f"{path}/export").status_code == 200
    with database.write() as session:
        first = session.scalars(select(Label).order_by(Label.id).limit(1)).one()
        more = {"annotator_id": first.annotator_id, "mask": first.mask, "digest": "", "class_counts": []}
        session.add(Label(region_id=first.region_id, version=3, created_at=START, **more))
    refused = admin.delete(path, params=confirmed).json()["error"]
    assert refused["message"].startswith("1 label was made since the project was exported last")
    assert admin.get(f"{path}/export", params={"format": "coco"}).status_code == 200
    assert admin.delete(path, params=confirmed).status_code == 200


def test_of_a_project_without_an_export_what_waits_is_not_looked_for(
    labelled: Labelled, admin: TestClient, database: Database
) -> None:
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *each: said.append(each[2]))
    refused = admin.delete(f"/projects/{labelled.project.id}", params={"confirm": "My streets"}).json()["error"]
    assert refused["code"] == "labels_not_exported"
    assert any("count" in each for each in said)
    assert not any("reviews" in each for each in said)


@pytest.mark.parametrize("state", ["open", "review"])
def test_labels_that_wait_for_a_decision_are_in_no_export_and_stand_in_the_way(
    labelled: Labelled, admin: TestClient, database: Database, state: str
) -> None:
    path, confirmed = f"/projects/{labelled.project.id}", {"confirm": "My streets"}
    with database.write() as session:
        label = session.scalars(select(Label).order_by(Label.id).limit(1)).one()
        session.get_one(Region, label.region_id).state = state
        versions = session.scalars(select(Label.id).where(Label.region_id == label.region_id)).all()
    assert admin.get(f"{path}/export").status_code == 200
    refused = admin.delete(path, params=confirmed).json()["error"]
    assert (refused["code"], refused["detail"]) == ("labels_not_exported", {"labels": len(versions)})
    assert "which no export has" in refused["message"]
    assert admin.delete(path, params={**confirmed, "force": True}).status_code == 200
