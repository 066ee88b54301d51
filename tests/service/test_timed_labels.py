"""The labels that an ask fits seconds to: first ones whose seconds are known, and none where regions do not cost seconds."""

import pytest
from sqlalchemy import select

from service.db import Database
from service.store import snapshots
from service.tables import Label, Project
from tests.maker import Maker
from tests.service.test_snapshots import Campaign, traffic


@pytest.fixture
def campaign(database: Database, make: Maker) -> Campaign:
    """Regions that cost seconds: one that was corrected, one without seconds, one of a round that nothing has learned from."""
    campaign = Campaign(database, make, levels=2, cost="seconds")
    foreign = make.images(campaign.neighbour, 1)[0]
    campaign.round_(1, "told", [(foreign, 0)], campaign.neighbour)
    campaign.label(foreign, 0, 9)
    campaign.round_(1, "told", [(campaign.one, 0), (campaign.one, 1)])
    campaign.round_(2, "told", [(campaign.two, 2)])
    campaign.round_(3, "open", [(campaign.two, 3)])
    campaign.label(campaign.one, 0, 1, 2)
    untimed = campaign.label(campaign.one, 1, 3)
    campaign.label(campaign.two, 2, 4)
    campaign.label(campaign.two, 3, 5)
    with database.write() as session:
        for label in session.scalars(select(Label).where(Label.region_id != untimed)):
            label.seconds = 10.0 * label.mask[0]
    return campaign


def test_seconds_are_those_of_first_labels_of_rounds_learned_from(campaign: Campaign) -> None:
    known = campaign.ask(campaign.round_(4, "scoring", []).id)
    assert [(each.mask, each.seconds) for each in known.timed_labels] == [(b"\4", 40.0), (b"\1", 10.0)]
    assert {(each.height, each.width) for each in known.timed_labels} == {(90, 80)}


def test_the_newest_are_enough(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MOST_TIMED", 1)
    known = campaign.ask(campaign.round_(4, "scoring", []).id)
    assert [each.seconds for each in known.timed_labels] == [40.0]


def test_they_are_read_in_one_statement_and_only_where_regions_cost_seconds(campaign: Campaign) -> None:
    round_ = campaign.round_(4, "scoring", [])
    with traffic(campaign.database) as with_seconds:
        campaign.ask(round_.id)
    with campaign.database.write() as session:
        project = session.get_one(Project, campaign.project.id)
        project.settings = {**project.settings, "cost": "clicks"}
    with traffic(campaign.database) as without:
        assert campaign.ask(round_.id).timed_labels == ()
    assert len(with_seconds.statements) == len(without.statements) + 1
    assert not any("labels.seconds" in statement for statement in without.statements)
