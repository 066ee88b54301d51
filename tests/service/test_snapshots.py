"""What a round's task is told: the rows that count, those alone, read in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event, select

from service.db import Database
from service.errors import NotFound
from service.store import jobs
from service.store.checkpoints import NewCheckpoint, add_checkpoint
from service.store.export import regions_of_image
from service.store.predictions import open_regions_of
from service.store.round_values import ToldRound
from service.store.rounds import told_rounds
from service.store.snapshots import AskSnapshot, TellSnapshot, ask_snapshot, tell_snapshot, told_snapshot
from service.tables import Annotator, Image, ImageGroup, Label, Project, Region, Round
from tests.conftest import START
from tests.maker import Maker

CLASSES = 11


class Campaign:
    """Two pool images of 180 x 160, four cells each, one of 90 x 160, two cells, and a neighbour that must not show."""

    def __init__(self, database: Database, make: Maker, strategy: str = "coreset", **settings: Any) -> None:
        make.annotator(name="ada")
        self.database, self.make = database, make
        self.neighbour = make.project("another", strategy=strategy)
        self.project = make.project(strategy=strategy, **settings)
        self.one, self.two = make.images(self.project, 2)
        self.small = make.images(self.project, 1, height=90)[0]
        make.images(self.project, 1, split="state")
        make.images(self.project, 1, split="reward")
        make.images(self.project, 3, split="train", height=95)

    def round_(self, number: int, state: str, cells: list[tuple[Image, int]], project: Project | None = None) -> Round:
        """A round of these cells, none of them labelled yet."""
        with self.database.write() as session:
            round_ = Round(
                project_id=(project or self.project).id, number=number, state=state, size=len(cells), created_at=START
            )
            session.add(round_)
            session.flush()
            session.add_all(self._region(round_, image, cell) for image, cell in cells)
        return round_

    def _region(self, round_: Round, image: Image, cell: int) -> Region:
        return Region(
            project_id=round_.project_id,
            round_id=round_.id,
            image_id=image.id,
            cell=cell,
            number=0,
            row=90 * (cell // 2),
            col=80 * (cell % 2),
            height=90,
            width=80,
            score=0.0,
            state="open",
        )

    def label(self, image: Image, cell: int, *versions: int) -> int:
        """Label a region once for each version, whose mask and counts are made of that number; returns its id."""
        with self.database.write() as session:
            region = session.scalars(select(Region).where(Region.image_id == image.id, Region.cell == cell)).one()
            region.state = "labelled"
            annotator = session.scalars(select(Annotator.id)).one()
            for place, value in enumerate(versions, start=1):
                label = Label(region_id=region.id, annotator_id=annotator, version=place, digest="", created_at=START)
                label.mask, label.class_counts = bytes([value]), [value] * CLASSES
                session.add(label)
            return region.id

    def weights(self, kind: str, project: Project | None = None) -> int:
        with self.database.write() as session:
            new = NewCheckpoint(
                project_id=(project or self.project).id, kind=kind, blob_key="checkpoints/a", description={}
            )
            return add_checkpoint(session, new, START).id

    def ask(self, round_id: int, *places_for: str) -> AskSnapshot:
        with self.database.snapshot() as session:
            return ask_snapshot(session, round_id, places_for=places_for)

    def tell(self, round_id: int) -> TellSnapshot:
        with self.database.snapshot() as session:
            return tell_snapshot(session, round_id)


@pytest.fixture
def campaign(database: Database, make: Maker) -> Campaign:
    return Campaign(database, make)


@dataclass
class Traffic:
    """What a database was asked."""

    transactions: int = 0
    statements: list[str] = field(default_factory=list)


@contextmanager
def traffic(database: Database) -> Iterator[Traffic]:
    seen = Traffic()

    def begun(connection: object) -> None:
        seen.transactions += 1

    def executed(connection: object, cursor: object, statement: str, *rest: object) -> None:
        seen.statements.append(statement)

    event.listen(database.engine, "begin", begun)
    event.listen(database.engine, "before_cursor_execute", executed)
    try:
        yield seen
    finally:
        event.remove(database.engine, "begin", begun)
        event.remove(database.engine, "before_cursor_execute", executed)


def sizes(groups: Sequence[ImageGroup]) -> list[tuple[int, int, int]]:
    return [(group.height, group.width, group.count) for group in groups]


def test_an_ask_knows_the_newest_networks_the_pool_what_was_proposed_and_the_rounds_learned_from(
    campaign: Campaign,
) -> None:
    old, segmenter, policy = (campaign.weights(kind) for kind in ("segmenter", "segmenter", "policy"))
    campaign.weights("final")
    campaign.weights("segmenter", campaign.neighbour)
    foreign = campaign.make.images(campaign.neighbour, 1)[0]
    campaign.round_(1, "told", [(foreign, 0)], campaign.neighbour)
    campaign.label(foreign, 0, 9)
    campaign.round_(1, "told", [(campaign.one, 0), (campaign.one, 3), (campaign.small, 1)])
    campaign.round_(2, "open", [(campaign.two, 0), (campaign.two, 1)])
    round_ = campaign.round_(3, "scoring", [])
    first, second = campaign.label(campaign.one, 0, 1, 2), campaign.label(campaign.one, 3, 3)
    campaign.label(campaign.two, 0, 4)  # ahead of its round, which is not learned from yet

    known = campaign.ask(round_.id, "coreset")
    assert (known.project.id, known.round.number, known.round.state) == (campaign.project.id, 3, "scoring")
    assert old < segmenter
    assert known.segmenter is not None
    assert known.policy is not None
    assert (known.segmenter.id, known.policy.id) == (segmenter, policy)
    assert sizes(known.pool) == [(180, 160, 2), (90, 160, 1)]
    assert sizes(known.state) == [(180, 160, 1)]
    large, small = (group.id for group in known.pool)
    assert sorted(known.proposed) == [(large, 0, 0), (large, 0, 3), (large, 1, 0), (large, 1, 1), (small, 0, 1)]
    assert known.label_counts == [[2] * CLASSES, [3] * CLASSES]
    told = [(each.region_id, each.group_id, each.ordinal, each.cell, each.mask) for each in known.told_regions]
    assert told == [(first, large, 0, 0, b"\2"), (second, large, 0, 3, b"\3")]


def test_label_maps_are_read_only_for_strategies_that_look_at_them(campaign: Campaign) -> None:
    campaign.round_(1, "told", [(campaign.one, 0)])
    campaign.label(campaign.one, 0, 1)
    round_ = campaign.round_(2, "scoring", [])
    with traffic(campaign.database) as seen:
        known = campaign.ask(round_.id, "greedy", "another")
    assert known.told_regions == ()
    assert len(known.label_counts) == 1
    assert not any("labels.mask" in statement for statement in seen.statements)


def test_an_ask_reads_in_one_transaction_and_as_often_whatever_there_is(campaign: Campaign) -> None:
    round_ = campaign.round_(1, "scoring", [])
    with traffic(campaign.database) as empty:
        campaign.ask(round_.id, "coreset")
    campaign.weights("segmenter")
    for number, (image, cell) in enumerate([(campaign.one, 0), (campaign.one, 1), (campaign.two, 2)], start=2):
        campaign.round_(number, "told", [(image, cell)])
        campaign.label(image, cell, 1, 2)
    with traffic(campaign.database) as full:
        known = campaign.ask(round_.id, "coreset")
    assert len(known.told_regions) == 3
    assert (empty.transactions, full.transactions) == (1, 1)
    assert len(empty.statements) == len(full.statements)


@pytest.mark.parametrize(("segmenter", "everywhere"), [("fpn", False), ("efficientnet-lite0", True)])
def test_a_tell_knows_its_regions_and_those_of_earlier_rounds_in_the_same_images_or_all_where_it_refits(
    database: Database, make: Maker, segmenter: str, everywhere: bool
) -> None:
    campaign = Campaign(database, make, segmenter=segmenter)
    one, two, small = campaign.one, campaign.two, campaign.small
    campaign.round_(1, "told", [(one, 0), (two, 0)])
    round_ = campaign.round_(2, "labelled", [(one, 1), (small, 0), (one, 3)])
    campaign.round_(3, "open", [(one, 2), (two, 1)])
    beside, mine, other = campaign.label(one, 0, 1), campaign.label(one, 1, 2, 3), campaign.label(small, 0, 4)
    elsewhere = campaign.label(two, 0, 5, 7)  # in an image that the round does not show
    foreign = make.images(campaign.neighbour, 1)[0]
    campaign.round_(1, "open", [(foreign, 0)], campaign.neighbour)
    campaign.label(one, 2, 6)  # ahead of its round

    with traffic(campaign.database) as seen:
        known = campaign.tell(round_.id)
    assert seen.transactions == 1
    assert (known.project.id, known.round.number, known.segmenter) == (campaign.project.id, 2, None)
    assert [(each.region_id, each.mask) for each in known.regions] == [(mine, b"\3"), (other, b"\4")]
    earlier = [(beside, b"\1"), *([(elsewhere, b"\7")] if everywhere else [])]
    assert [(each.region_id, each.mask) for each in known.earlier] == earlier
    assert sizes(known.pool) == [(180, 160, 2), (90, 160, 1)]
    assert sizes(known.reward) == sizes(known.state) == [(180, 160, 1)]
    assert sizes(known.train) == [(95, 160, 3)]


def test_a_tell_knows_the_regions_of_its_project_that_wait_for_labels(campaign: Campaign) -> None:
    one, two, small = campaign.one, campaign.two, campaign.small
    campaign.round_(1, "told", [(one, 0)])
    round_ = campaign.round_(2, "labelled", [(one, 1)])
    campaign.round_(3, "open", [(two, 2), (small, 1), (one, 3), (two, 3)])
    foreign = campaign.make.images(campaign.neighbour, 1)[0]
    campaign.round_(1, "open", [(foreign, 0)], campaign.neighbour)
    for image, cell in ((one, 0), (one, 1), (small, 1)):
        campaign.label(image, cell, 1)
    with campaign.database.write() as session:
        session.scalars(select(Region).where(Region.image_id == one.id, Region.cell == 3)).one().state = "skipped"
    known = campaign.tell(round_.id)
    assert [(each.group_id, each.ordinal, each.cell) for each in known.open_regions] == [
        (two.group_id, 1, 2),
        (two.group_id, 1, 3),
    ]
    with campaign.database.read() as session:
        assert open_regions_of(session, campaign.project.id) == known.open_regions
        chosen = select(Region.id).where(Region.image_id == two.id).order_by(Region.id)
        assert session.scalars(chosen).all() == [each.id for each in known.open_regions]


def test_a_tell_knows_whether_a_segmenter_is_on_its_way(campaign: Campaign) -> None:
    round_ = campaign.round_(1, "labelled", [(campaign.one, 0)])
    assert not campaign.tell(round_.id).pretraining
    with campaign.database.write() as session:
        jobs.queue_job(session, project_id=campaign.neighbour.id, kind="pretrain", now=START)
    assert not campaign.tell(round_.id).pretraining
    with campaign.database.write() as session:
        jobs.queue_job(session, project_id=campaign.project.id, kind="pretrain", now=START)
    assert campaign.tell(round_.id).pretraining


def test_the_rounds_learned_from_come_first_to_last_each_with_its_labelled_regions(campaign: Campaign) -> None:
    second = campaign.round_(2, "told", [(campaign.two, 0), (campaign.one, 2)])
    passed_over = campaign.round_(3, "told", [(campaign.small, 0)])
    first = campaign.round_(1, "told", [(campaign.one, 0), (campaign.one, 1)])
    for number, state in enumerate(("labelled", "open", "scoring"), start=4):
        campaign.round_(number, state, [(campaign.two, number - 3)])
    campaign.round_(9, "told", [], campaign.neighbour)
    a, b, c = campaign.label(campaign.one, 1, 1), campaign.label(campaign.two, 0, 2), campaign.label(campaign.one, 2, 3)
    campaign.label(campaign.two, 1, 4)

    with campaign.database.snapshot() as session:
        known = told_snapshot(session, campaign.project.id)
        listed = told_rounds(session, campaign.project.id)
    assert listed == [ToldRound(id=each.id, number=each.number) for each in (first, second, passed_over)]
    assert known.rounds == listed
    regions = {key: [each.region_id for each in found] for key, found in known.regions.items()}
    assert regions == {first.id: [a], second.id: [b, c], passed_over.id: []}
    assert sizes(known.pool) == [(180, 160, 2), (90, 160, 1)]


@pytest.mark.parametrize("snapshot", [ask_snapshot, tell_snapshot])
def test_a_round_that_is_not_there_is_not_found(database: Database, snapshot: object) -> None:
    with pytest.raises(NotFound, match="no round 7"), database.snapshot() as session:
        snapshot(session, 7)  # type: ignore[operator]


@pytest.mark.parametrize(("segmenter", "known_too"), [("fpn", False), ("efficientnet-lite0", True)])
def test_a_refit_takes_in_a_later_round_that_was_told_before(
    database: Database, make: Maker, segmenter: str, known_too: bool
) -> None:
    campaign = Campaign(database, make, segmenter=segmenter)
    late = campaign.round_(1, "labelled", [(campaign.one, 0)])
    campaign.round_(2, "told", [(campaign.one, 1)])
    campaign.round_(3, "labelled", [(campaign.one, 2)])
    campaign.label(campaign.one, 0, 1)
    ahead = campaign.label(campaign.one, 1, 2)
    campaign.label(campaign.one, 2, 3)
    assert [each.region_id for each in campaign.tell(late.id).earlier] == ([ahead] if known_too else [])


def test_the_newest_labels_of_an_image_are_found_in_the_index_whatever_else_is_labelled(campaign: Campaign) -> None:
    database = campaign.database
    if database.engine.dialect.name != "sqlite":
        pytest.skip("Of so few rows PostgreSQL reads all, whatever it is asked.")
    with traffic(database) as seen, database.read() as session:
        regions_of_image(session, campaign.one.id)
    statement = seen.statements[-1]
    with database.read() as session:
        arguments = (campaign.one.id, "labelled")
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", arguments).all()
    assert not [step for *_, step in plan if "SCAN" in step]
