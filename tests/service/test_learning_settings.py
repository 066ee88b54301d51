"""Segmenter, encoder and learning of a project: what follows from what, what is refused, what earlier versions stored."""

import re
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.schemas.jobs import FinishPayload
from service.schemas.project_settings import ProjectSettings
from service.tables import Event, Project
from tests.maker import Maker

CHOSEN = ("segmenter", "encoder", "learning")
NEW = {"encoder", "learning", "stride", "magnification"}


def learning_of(settings: dict[str, Any]) -> tuple[str, ...]:
    return tuple(settings[name] for name in CHOSEN)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("efficientnet-lite0", "frozen", "refit")),
        ({"segmenter": "efficientnet-lite2"}, ("efficientnet-lite2", "frozen", "refit")),
        ({"segmenter": "efficientnet-lite1", "encoder": "trained"}, ("efficientnet-lite1", "trained", "pass")),
        ({"learning": "pass"}, ("efficientnet-lite0", "frozen", "pass")),
        ({"segmenter": "fpn"}, ("fpn", "trained", "pass")),
        ({"segmenter": "fpn-resnet50"}, ("fpn-resnet50", "trained", "pass")),
        ({"segmenter": "smp:FPN:efficientnet-b0"}, ("smp:FPN:efficientnet-b0", "trained", "pass")),
        ({"segmenter": "fpn-resnet50", "encoder": "frozen"}, ("fpn-resnet50", "frozen", "refit")),
        ({"segmenter": "smp:FPN:resnet18", "encoder": "frozen"}, ("smp:FPN:resnet18", "frozen", "refit")),
    ],
)
def test_encoder_and_learning_follow_from_the_segmenter_where_they_are_not_given(
    admin: TestClient, given: dict[str, str], expected: tuple[str, ...]
) -> None:
    made = admin.post("/projects", json={"name": "a", "classes": "camvid", "settings": given})
    assert made.status_code == 201
    assert learning_of(made.json()["settings"]) == expected
    assert ProjectSettings.model_validate(given).model_fields_set == set(given)


def test_looking_is_set_within_bounds(admin: TestClient) -> None:
    settings = ProjectSettings()
    assert (settings.stride, settings.magnification) == (None, 1.5)
    for stride, magnification, status in ((2, 1, 201), (8, 2.0, 201), (3, 1.5, 422), (4, 1.2, 422), (4, 2.5, 422)):
        body = {"name": f"{stride} {magnification}", "classes": "camvid"}
        response = admin.post(
            "/projects", json={**body, "settings": {"stride": stride, "magnification": magnification}}
        )
        assert response.status_code == status


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"encoder": "trained", "learning": "refit"}, "set encoder to frozen, or learning to pass"),
        ({"segmenter": "fpn", "learning": "refit"}, "set encoder to frozen, or learning to pass"),
        ({"segmenter": "fpn", "encoder": "frozen"}, "no published weights of fpn to freeze: set encoder to trained"),
        ({"segmenter": "fpn", "encoder": "frozen"}, "or segmenter to efficientnet-lite0, .*, fpn-resnet50 or smp:ARCH"),
        ({"segmenter": "efficientnet-lite3"}, "segmenter"),
        ({"segmenter": "efficientnet-lite"}, "segmenter"),
    ],
)
def test_settings_that_do_not_go_together_are_422_with_a_sentence(
    admin: TestClient, given: dict[str, str], sentence: str
) -> None:
    response = admin.post("/projects", json={"name": "a", "classes": "camvid", "settings": given})
    assert response.status_code == 422
    assert re.search(sentence, response.json()["error"]["message"])


def test_of_a_setting_that_is_wrong_nothing_is_said_but_that(admin: TestClient) -> None:
    response = admin.post("/projects", json={"name": "a", "classes": "camvid", "settings": {"batch_size": 0}})
    listed = response.json()["error"]["detail"]["errors"]
    assert [each["at"] for each in listed] == ["body.settings.batch_size"]


@pytest.fixture
def stored_before(make: Maker) -> Project:
    """A project with an image whose settings an earlier version stored."""
    project = make.project(segmenter="fpn", batch_size=12)
    make.images(project, 1)
    with make.database.write() as session:
        row = session.get_one(Project, project.id)
        row.settings = {key: value for key, value in row.settings.items() if key not in NEW}
    return project


def test_a_project_of_an_earlier_version_learns_as_it_did_until_its_segmenter_is_changed(
    admin: TestClient, database: Database, stored_before: Project
) -> None:
    path = f"/projects/{stored_before.id}"
    assert learning_of(admin.get(path).json()["settings"]) == ("fpn", "trained", "pass")
    changed = admin.patch(path, json={"settings": {"budget": 48}}).json()["settings"]
    assert (changed["budget"], *learning_of(changed)) == (48, "fpn", "trained", "pass")
    changed = admin.patch(path, json={"settings": {"segmenter": "efficientnet-lite0"}}).json()["settings"]
    assert (changed["batch_size"], *learning_of(changed)) == (12, "efficientnet-lite0", "frozen", "refit")
    with database.read() as session:
        chosen = select(Event.detail).where(Event.kind == "project_changed").order_by(Event.id)
        changes = [detail["changes"] for detail in session.scalars(chosen)]
        stored = session.get_one(Project, stored_before.id).settings
    followed = {"segmenter": "efficientnet-lite0", "encoder": "frozen", "learning": "refit"}
    assert changes == [{"budget": 48}, followed]
    assert {key: stored[key] for key in CHOSEN} == followed


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_project_is_shown_whatever_settings_an_earlier_version_did_not_store(
    admin: TestClient, make: Maker, method: str
) -> None:
    for missing in ProjectSettings.model_fields:
        project = make.project(f"without {missing}", segmenter="fpn")
        with make.database.write() as session:
            row = session.get_one(Project, project.id)
            row.settings = {key: value for key, value in row.settings.items() if key != missing}
        shown = admin.request(method, f"/projects/{project.id}", json={"settings": {}} if method == "PATCH" else None)
        assert (missing, shown.status_code) == (missing, 200)
        assert set(shown.json()["settings"]) == set(ProjectSettings.model_fields)


@pytest.mark.parametrize(
    ("held", "given", "expected"),
    [
        ({}, {"segmenter": "fpn"}, ("fpn", "trained", "pass")),
        ({}, {"encoder": "trained"}, ("efficientnet-lite0", "trained", "pass")),
        ({}, {"stride": 4, "magnification": 2}, ("efficientnet-lite0", "frozen", "refit")),
        ({"learning": "pass"}, {"segmenter": "efficientnet-lite0"}, ("efficientnet-lite0", "frozen", "pass")),
        ({"learning": "pass"}, {"segmenter": "efficientnet-lite1"}, ("efficientnet-lite1", "frozen", "refit")),
        ({}, {"segmenter": "efficientnet-lite1", "learning": "pass"}, ("efficientnet-lite1", "frozen", "pass")),
        ({"segmenter": "fpn"}, {"segmenter": "fpn-resnet50"}, ("fpn-resnet50", "trained", "pass")),
        (
            {"encoder": "trained"},
            {"encoder": "frozen", "learning": "pass"},
            ("efficientnet-lite0", "frozen", "pass"),
        ),
    ],
)
def test_of_a_running_campaign_what_follows_changes_with_what_it_follows_from(
    admin: TestClient, make: Maker, held: dict[str, Any], given: dict[str, Any], expected: tuple[str, ...]
) -> None:
    project = make.project(**held)
    make.images(project, 1)
    changed = admin.patch(f"/projects/{project.id}", json={"settings": given})
    assert changed.status_code == 200
    assert learning_of(changed.json()["settings"]) == expected
    assert {key: changed.json()["settings"][key] for key in given} == given


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning": "refit"}, "set encoder to frozen, or learning to pass."),
        ({"encoder": "frozen"}, "no published weights of fpn to freeze: set encoder to trained, or segmenter to"),
    ],
)
def test_a_change_that_does_not_go_with_what_stays_is_422_and_changes_nothing(
    admin: TestClient, stored_before: Project, given: dict[str, str], sentence: str
) -> None:
    path = f"/projects/{stored_before.id}"
    response = admin.patch(path, json={"active": False, "settings": {**given, "budget": 7}})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "settings_contradict")
    assert re.search(sentence, response.json()["error"]["message"])
    detail = admin.get(path).json()
    assert (detail["active"], detail["settings"]["budget"]) == (True, None)


def test_a_finish_fits_a_head_in_so_many_steps_and_fine_tunes_where_it_is_asked_to() -> None:
    payload = FinishPayload()
    assert (payload.steps, payload.unfreeze, payload.tuning_steps) == (None, False, 1500)
    given = {"steps": 1, "unfreeze": True, "tuning_steps": 5, "max_epochs": 7}
    assert FinishPayload.model_validate(given).model_dump(include=set(given)) == given
    for wrong in ({"steps": 0}, {"steps": 300_001}, {"tuning_steps": 0}, {"tuning_steps": 100_001}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            FinishPayload.model_validate(wrong)
