"""Warnings where people look: on jobs, rounds and projects; and regions are given out all the same."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from service.db import Database
from service.store import jobs, retention, rounds
from service.store.measured import name_of, reward_ids
from service.store.round_values import RoundProposal
from service.store.snapshots import course_of, tell_snapshot
from service.tables import Checkpoint, Image, Round
from tests.conftest import START
from tests.maker import Maker

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


def describe(database: Database, checkpoint: Checkpoint, **description: Any) -> None:
    with database.write() as session:
        session.get_one(Checkpoint, checkpoint.id).description = description


@pytest.mark.parametrize(
    ("strategy", "warning", "shown"),
    [
        ("auto", "It gained nothing.", "It gained nothing."),
        ("learned", "It gained nothing.", "It gained nothing."),
        ("entropy", "It gained nothing.", None),
        ("auto", {"of": "somebody's file"}, None),
        ("auto", None, None),
    ],
)
def test_a_project_warns_of_a_policy_that_it_may_ask_by(
    make: Maker, client: TestClient, database: Database, strategy: str, warning: Any, shown: str | None
) -> None:
    project = make.project(strategy=strategy)
    make.round_(project, make.images(project, 2), regions=2)
    describe(database, make.checkpoint(project, "policy"), warning=warning)
    assert client.get(f"/projects/{project.id}").json()["warning"] == shown
    assert len(client.get("/next-regions").json()["items"]) == 1  # work goes on


def test_a_round_keeps_what_was_said_of_its_policy_and_the_project_says_it_once(
    make: Maker, client: TestClient, database: Database
) -> None:
    project = make.project()
    policy = make.checkpoint(project, "policy")
    describe(database, policy, warning="It gained nothing.")
    with database.write() as session:
        session.add(
            Round(project_id=project.id, number=1, state="scoring", size=1, seconds={}, note="", created_at=START)
        )
    proposal = RoundProposal(
        regions=(), strategy="learned", policy_id=policy.id, seconds={}, warning="It gained nothing."
    )
    with database.write() as session:
        assert rounds.open_round(session, 1, proposal, now=START)
    (shown,) = client.get(f"/projects/{project.id}/rounds").json()["items"][:1]
    assert shown["warning"] == "It gained nothing."
    assert client.get(f"/projects/{project.id}").json()["warning"] == "It gained nothing."


def test_a_job_that_is_done_shows_the_warning_of_its_result(
    make: Maker, client: TestClient, database: Database
) -> None:
    project = make.project()
    for result in ({"warning": "It gained nothing."}, {"warning": ""}, {}):
        with database.write() as session:
            job = jobs.queue_job(session, project_id=project.id, kind="train-policy", now=START)
            jobs.finish_job(session, job, now=START, result=result)
    shown = client.get(f"/projects/{project.id}/jobs").json()["items"]
    assert [each["warning"] for each in shown] == ["It gained nothing.", None, None]


def test_the_course_of_a_campaign_is_of_rounds_that_were_measured_on_the_images_of_now(
    make: Maker, database: Database
) -> None:
    project = make.project()
    images = make.images(project, 5)
    for number, image in enumerate(images, 1):
        make.round_(project, [image], regions=1, number=number)
    reward = make.images(project, 2, split="reward")
    with database.write() as session:
        session.execute(update(Image).where(Image.id.in_([each.id for each in reward])).values(label_key="labels/x"))
    with database.read() as session:
        assert reward_ids(session, project.id) == [each.id for each in reward]
    now, before = name_of([each.id for each in reward]), name_of([reward[0].id])
    with database.write() as session:
        for number, miou, images_then in ((2, 0.4, now), (1, 0.5, now), (3, None, None), (4, 0.9, before)):
            row = session.query(Round).filter_by(number=number).one()
            row.state, row.miou_after, row.measured_on = "told", miou, images_then
    with database.read() as session:
        assert tell_snapshot(session, 5).course == [0.5, 0.4]
        assert course_of(session, project.id, [reward[0].id]) == [0.9]


def test_the_best_segmenter_is_of_those_measured_on_the_images_of_now(make: Maker, database: Database) -> None:
    project = make.project(keep_segmenters=1)
    made = [make.checkpoint(project, "segmenter", bytes([number])).id for number in range(4)]
    with database.write() as session:
        for number, (made_id, miou, images_then) in enumerate(
            zip(made, (0.9, 0.5, 0.6, 0.5), ("others", name_of([]), name_of([]), None), strict=True), 1
        ):
            told = Round(project_id=project.id, number=number, state="told", size=1, created_at=START)
            told.result_checkpoint_id, told.miou_after, told.measured_on = made_id, miou, images_then
            session.add(told)
        spare = retention.spare_segmenters(session, project.id, limit=10)
        assert [each.id for each in spare] == made[:2]
