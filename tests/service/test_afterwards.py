"""Labels that come once a campaign has ended are learned from: by one finish after the other, and not by one for each label."""

from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.store import rounds
from service.store.jobs import claim_job
from service.store.pool import await_labels
from service.tables import Event as Record
from service.tables import Job, Project, Region, Round
from tests.conftest import START, FakeClock, Outbox
from tests.maker import Maker
from tests.service.people import Login, draw, review, skip, take
from tests.service.test_job_store import STALE
from tests.service.test_label_imports_api import mask, send
from tests.service.test_reviews_api import png


class Campaign:
    """A project of three regions, all labelled by ada and told, whose first finish is done; `given`: the regions."""

    def __init__(self, login: Login, make: Maker, clock: FakeClock, database: Database, **settings: Any) -> None:
        self.database, self.clock = database, clock
        self.project = make.project(batch_size=3, budget=3, **settings)
        make.round_(self.project, make.images(self.project, 2), regions=3)
        self.ada = login("annotator", "ada")
        self.given = take(self.ada, 3)
        for region in self.given:
            assert draw(self.ada, region).status_code == 201

    def end(self, **job: Any) -> "Campaign":
        """The round is learned from, and the finish is so."""
        self.tell()
        self.set(self.finishes()[-1], **{"state": "done", "started_at": START, **job})
        return self

    def tell(self) -> None:
        with self.database.write() as session:
            session.scalars(select(Round)).one().state = "labelled"
            session.flush()
            rounds.close_round(session, 1, None, now=self.clock(), note="passed over")

    def set(self, job: Job, **values: Any) -> None:
        with self.database.write() as session:
            row = session.get_one(Job, job.id)
            for name, value in values.items():
                setattr(row, name, value)

    def finishes(self) -> list[Job]:
        with self.database.read() as session:
            return list(session.scalars(select(Job).where(Job.kind == "finish").order_by(Job.id)))

    def correct(self, place: int = 0, row: int = 20) -> None:
        assert draw(self.ada, self.given[place], row).status_code == 201


@pytest.fixture
def campaign(login: Login, make: Maker, clock: FakeClock, database: Database) -> Campaign:
    return Campaign(login, make, clock, database)


def test_a_label_after_the_end_makes_a_finish_of_the_settings_of_the_last(campaign: Campaign, outbox: Outbox) -> None:
    campaign.end(payload={"max_epochs": 7})
    outbox.clear()
    campaign.correct()
    second = campaign.finishes()[-1]
    assert (second.state, second.payload) == ("queued", {"max_epochs": 7})
    assert outbox == [(second.id, "finish")]
    with campaign.database.read() as session:
        (queued,) = session.scalars(select(Record).where(Record.kind == "job_queued"))
    assert queued.detail == {"job": second.id, "job_kind": "finish"}


def test_a_burst_of_labels_makes_one_that_waits_and_one_more_once_that_has_begun(campaign: Campaign) -> None:
    campaign.end()
    for row in range(1, 10):
        campaign.correct(row % 3, row)
    second = campaign.finishes()[-1]
    assert len(campaign.finishes()) == 2
    campaign.set(second, state="running", started_at=START)
    for row in range(11, 20):
        campaign.correct(row % 3, row)
    assert [each.state for each in campaign.finishes()] == ["done", "running", "queued"]


def test_the_next_one_begins_when_the_one_before_has_ended_and_not_between_its_slices(campaign: Campaign) -> None:
    campaign.end(state="queued")
    campaign.correct()
    first, second = campaign.finishes()

    def claimed(job: Job) -> bool:
        with campaign.database.write() as session:
            return claim_job(session, job.id, now=START, stale_after=STALE) is not None

    assert not claimed(second)
    campaign.set(first, state="done")
    assert claimed(second)


def test_the_same_label_again_and_one_that_waits_for_its_finish_make_none(campaign: Campaign) -> None:
    campaign.end()
    assert draw(campaign.ada, campaign.given[0]).status_code == 200
    assert len(campaign.finishes()) == 1
    campaign.set(campaign.finishes()[0], state="queued", started_at=None)
    campaign.correct()
    assert len(campaign.finishes()) == 1


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_after_one_that_was_cancelled_or_failed_there_is_none_by_itself(campaign: Campaign, state: str) -> None:
    campaign.end(state=state)
    campaign.correct()
    assert len(campaign.finishes()) == 1


def test_while_rounds_go_on_a_tell_learns_and_a_paused_campaign_trains_nothing(campaign: Campaign, make: Maker) -> None:
    campaign.end()
    regions = make.round_(campaign.project, make.images(campaign.project, 1), regions=1, number=2)
    campaign.correct()
    assert len(campaign.finishes()) == 1
    with campaign.database.write() as session:
        session.get_one(Round, regions[0].round_id).state = "told"
        session.get_one(Project, campaign.project.id).active = False
    campaign.correct(1)
    assert len(campaign.finishes()) == 1


def test_a_correction_of_a_reviewer_makes_one_and_what_confirms_a_label_that_was_learned_from_makes_none(
    campaign: Campaign, admin: TestClient
) -> None:
    campaign.end()
    assert review(admin, 1, "accepted").status_code == 201
    assert len(campaign.finishes()) == 1
    assert review(admin, 2, "rejected", reason="Wrong.").status_code == 201
    assert len(campaign.finishes()) == 1
    assert review(admin, 1, "corrected", mask_png=png(7)).status_code == 201
    assert len(campaign.finishes()) == 2


def test_what_is_accepted_after_the_end_makes_one_where_the_reviewed_alone_is_learned_from(
    campaign: Campaign, admin: TestClient
) -> None:
    campaign.end()
    settings = {"settings": {"learn_from": "reviewed"}}
    assert admin.patch(f"/projects/{campaign.project.id}", json=settings).status_code == 200
    assert review(admin, 1, "accepted").status_code == 201
    assert len(campaign.finishes()) == 2


def test_a_label_that_comes_when_others_still_wait_in_review_makes_one(campaign: Campaign, admin: TestClient) -> None:
    campaign.end()
    with campaign.database.write() as session:
        for region in session.scalars(select(Region)):
            region.state = "review"
    assert review(admin, 1, "accepted").status_code == 201
    assert len(campaign.finishes()) == 2


def test_where_there_was_nothing_to_train_on_the_first_label_that_counts_makes_the_first(
    login: Login, admin: TestClient, make: Maker, clock: FakeClock, database: Database
) -> None:
    campaign = Campaign(login, make, clock, database, learn_from="reviewed")
    campaign.tell()
    assert campaign.finishes() == []
    assert review(admin, 1, "accepted").status_code == 201
    (first,) = campaign.finishes()
    assert first.dedup_key == "finish:1"


def test_a_region_skipped_after_the_end_makes_none(campaign: Campaign, login: Login, admin: TestClient) -> None:
    campaign.end()
    assert review(admin, 1, "rejected", reason="Wrong.").status_code == 201
    bob = login()
    (again,) = take(bob)
    assert skip(bob, again).is_success
    assert len(campaign.finishes()) == 1


def test_imported_labels_in_place_of_others_make_one(campaign: Campaign, admin: TestClient) -> None:
    campaign.end()
    answer = send(admin, {"00000.png": np.full((180, 160), 5, np.uint8)}, {"00000.png": mask(0)}, replace=True)
    assert answer.is_success, answer.text
    assert len(campaign.finishes()) == 2


def test_a_finish_that_begins_waits_for_a_label_that_is_being_written(campaign: Campaign) -> None:
    database, waited = campaign.database, Event()
    if database.engine.dialect.name != "postgresql":
        return  # there is one writer at a time on SQLite

    def begin() -> None:
        with database.write() as session:
            await_labels(session, campaign.project.id)
        waited.set()

    beginning = Thread(target=begin)
    with database.write(rounds=[1]) as session:
        session.scalar(select(Round.id))
        beginning.start()
        assert not waited.wait(0.5)
    assert waited.wait(30)
    beginning.join()
