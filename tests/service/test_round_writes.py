"""Rounds opened and closed: what a task hands over is written once, whole, whatever is delivered twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.db import Database
from service.domain.regions import Box
from service.store import rounds
from service.store.checkpoints import NewCheckpoint, add_checkpoint
from service.store.round_values import NewRegion, RoundFigures, RoundProposal
from service.tables import Checkpoint, Event, Image, Job, Project, Region, Round
from tests.conftest import START, Outbox
from tests.maker import Maker

LATER = START + timedelta(minutes=5)
FIGURES = RoundFigures(
    miou_before=0.25,
    miou_after=0.5,
    reward=25.0,
    iou_per_class=(0.75, None, 0.25),
    class_counts=(900, 0, 124),
    seconds={"train": 1.00004, "measure": 0.5},
)


def scoring(database: Database, project: Project) -> int:
    """The id of a new round that waits for its regions."""
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, project.id), START)
    with database.read() as session:
        return session.scalars(select(Round.id).where(Round.state == "scoring")).one()


def labelled(database: Database, make: Maker, project: Project, *, number: int = 1, **changes: Any) -> int:
    """The id of a round of two regions, labelled."""
    regions = make.round_(project, make.images(project, 1), regions=2, number=number)
    with database.write() as session:
        round_ = session.get_one(Round, regions[0].round_id)
        round_.state, round_.labelled_at = "labelled", START
        for name, value in changes.items():
            setattr(round_, name, value)
        for region in session.scalars(select(Region)):
            region.state = "labelled"
        return round_.id


def chosen(images: list[Image]) -> list[NewRegion]:
    """The last of the four cells of the first image, which is region 3, and the second of the next, which is region 5."""
    last, second = Box(row=90, col=80, height=90, width=80), Box(row=0, col=80, height=90, width=80)
    return [
        NewRegion(image_id=images[0].id, cell=3, number=3, box=last, score=0.75, prediction=b"png"),
        NewRegion(image_id=images[1].id, cell=1, number=5, box=second, score=0.5),
    ]


def open_(database: Database, round_id: int, **proposal: Any) -> bool:
    with database.write() as session:
        return rounds.open_round(session, round_id, RoundProposal(**{"seconds": {}, **proposal}), now=LATER)


def close(database: Database, round_id: int, *learned: Any, **more: Any) -> bool:
    with database.write() as session:
        return rounds.close_round(session, round_id, learned or None, now=LATER, **more)


def weights(project: Project, kind: str = "segmenter", **more: Any) -> NewCheckpoint:
    return NewCheckpoint(
        project_id=project.id, kind=kind, blob_key="checkpoints/ab/abc", description={"miou": 0.5}, **more
    )


def round_of(database: Database, round_id: int) -> Round:
    with database.read() as session:
        return session.get_one(Round, round_id)


def everything(database: Database) -> list[tuple[Any, ...]]:
    """Every row that opening or closing a round could write, with what is in it."""
    with database.read() as session:
        return [tuple(row) for table in (Round, Region, Checkpoint, Event, Job) for row in _rows(session, table)]


def _rows(session: Any, table: Any) -> Any:
    return session.execute(select(*table.__table__.columns).order_by(table.id))


def test_opening_writes_the_regions_what_they_were_chosen_with_and_an_event(database: Database, make: Maker) -> None:
    project = make.project(batch_size=3, lookahead=False)
    images = make.images(project, 2)
    with database.write() as session:
        segmenter = add_checkpoint(session, weights(project), START).id
        policy = add_checkpoint(session, weights(project, "policy"), START).id
    round_id = scoring(database, project)
    networks = {"strategy": "learned", "note": "Two, not three.", "checkpoint_id": segmenter, "policy_id": policy}
    assert open_(database, round_id, regions=chosen(images), **networks, seconds={"draw": 2.0, "score": 0.123456})
    round_ = round_of(database, round_id)
    assert (round_.state, round_.size, round_.opened_at) == ("open", 2, LATER)
    assert {key: getattr(round_, key) for key in networks} == networks
    assert round_.seconds == {"ask_draw": 2.0, "ask_score": 0.1235}
    with database.read() as session:
        first, second = session.scalars(select(Region).order_by(Region.id))
        event = session.scalars(select(Event).where(Event.kind == "round_proposed")).one()
    assert (first.project_id, first.round_id, first.image_id) == (project.id, round_id, images[0].id)
    assert (first.cell, first.number, first.score, first.state, first.prediction) == (3, 3, 0.75, "open", b"png")
    assert (first.row, first.col, first.height, first.width) == (90, 80, 90, 80)
    assert (second.image_id, second.cell, second.number, second.prediction) == (images[1].id, 1, 5, None)
    assert (second.row, second.col) == (0, 80)
    assert (first.prediction_checkpoint_id, second.prediction_checkpoint_id) == (segmenter, None)
    assert (event.at, event.project_id) == (LATER, project.id)
    assert event.detail == {"round": 1, "regions": 2, "strategy": "learned"}


def test_with_lookahead_opening_a_round_asks_for_the_next(database: Database, make: Maker, outbox: Outbox) -> None:
    project = make.project(batch_size=7)
    images = make.images(project, 2)
    assert open_(database, scoring(database, project), regions=chosen(images), strategy="random")
    with database.read() as session:
        found = session.execute(select(Round.number, Round.state, Round.size).order_by(Round.number)).all()
    # Two images of four cells, two of them proposed: six are left of the seven that a round would ask for.
    assert [tuple(each) for each in found] == [(1, "open", 2), (2, "scoring", 6)]
    assert [kind for _, kind in outbox] == ["ask", "ask"]


def test_opening_twice_writes_nothing_the_second_time(database: Database, make: Maker, outbox: Outbox) -> None:
    project = make.project(batch_size=3)
    images = make.images(project, 2)
    round_id = scoring(database, project)
    assert open_(database, round_id, regions=chosen(images), strategy="random")
    written, sent = everything(database), list(outbox)
    assert not open_(database, round_id, regions=chosen(images), strategy="entropy", seconds={"score": 1.0})
    assert everything(database) == written
    assert outbox == sent


def test_a_round_that_finds_no_region_is_told_at_once_and_the_campaign_ends(
    database: Database, make: Maker, outbox: Outbox
) -> None:
    project = make.project(batch_size=4)
    images = make.images(project, 1)
    round_id = scoring(database, project)
    make.round_(project, images, regions=4, number=2)
    with database.write() as session:
        told = session.scalars(select(Round).where(Round.number == 2)).one()
        told.state = "told"
        session.execute(update(Region).where(Region.round_id == told.id).values(state="labelled"))
    assert open_(database, round_id, regions=(), strategy="random")
    round_ = round_of(database, round_id)
    assert (round_.state, round_.size, round_.opened_at) == ("told", 0, LATER)
    assert [kind for _, kind in outbox] == ["ask", "finish"]


def test_closing_writes_the_figures_the_segmenter_and_an_event_and_asks_for_the_next_round(
    database: Database, make: Maker, outbox: Outbox
) -> None:
    project = make.project(batch_size=2, lookahead=False)
    round_id = labelled(database, make, project, seconds={"ask_draw": 2.0}, note="Random.")
    with database.write() as session:
        parent = add_checkpoint(session, weights(project), START).id
    assert close(database, round_id, FIGURES, weights(project, parent_id=parent))
    round_ = round_of(database, round_id)
    assert (round_.state, round_.told_at, round_.note) == ("told", LATER, "Random.")
    assert (round_.miou_before, round_.miou_after, round_.reward) == (0.25, 0.5, 25.0)
    assert (round_.iou_per_class, round_.class_counts) == ([0.75, None, 0.25], [900, 0, 124])
    assert round_.seconds == {"ask_draw": 2.0, "tell_train": 1.0, "tell_measure": 0.5}
    assert round_.warning is None
    with database.read() as session:
        checkpoint = session.get_one(Checkpoint, round_.result_checkpoint_id)
        events = session.execute(select(Event.kind, Event.at, Event.detail).where(Event.kind != "images_added")).all()
    assert (checkpoint.kind, checkpoint.blob_key, checkpoint.description) == (
        "segmenter",
        "checkpoints/ab/abc",
        {"miou": 0.5},
    )
    assert (checkpoint.project_id, checkpoint.parent_id, checkpoint.created_at) == (project.id, parent, LATER)
    assert [tuple(each) for each in events] == [("round_told", LATER, {"round": 1})]
    assert [kind for _, kind in outbox] == ["ask"]


def test_closing_keeps_the_warning_of_the_figures(database: Database, make: Maker) -> None:
    project = make.project()
    round_id = labelled(database, make, project)
    assert close(database, round_id, replace(FIGURES, warning="mIoU fell."), weights(project))
    assert round_of(database, round_id).warning == "mIoU fell."


def test_a_round_that_was_overtaken_says_which_were_learned_from_before_it(database: Database, make: Maker) -> None:
    project = make.project()
    first, second, third = (labelled(database, make, project, number=each) for each in (1, 2, 3))
    assert close(database, third, note="Passed over.")  # of which nothing was learned
    assert close(database, second, FIGURES, weights(project))
    assert close(database, first, replace(FIGURES, warning="mIoU fell."), weights(project))
    assert round_of(database, second).warning is None
    assert str(round_of(database, first).warning).startswith(
        "mIoU fell. Later rounds (2) were learned from before this one"
    )


def test_closing_twice_writes_nothing_the_second_time(database: Database, make: Maker, outbox: Outbox) -> None:
    project = make.project()
    round_id = labelled(database, make, project)
    assert close(database, round_id, FIGURES, weights(project))
    written, sent = everything(database), list(outbox)
    assert not close(database, round_id, FIGURES, weights(project), note="Again.")
    assert everything(database) == written
    assert outbox == sent


def test_a_round_passed_over_has_a_note_but_no_figures_and_no_segmenter(database: Database, make: Maker) -> None:
    round_id = labelled(database, make, make.project(), note="Random.")
    assert close(database, round_id, note="Too early.")
    round_ = round_of(database, round_id)
    assert (round_.state, round_.note, round_.result_checkpoint_id) == ("told", "Random. Too early.", None)
    assert (round_.miou_after, round_.class_counts) == (None, None)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Checkpoint)) == 0


def test_a_closing_that_breaks_off_leaves_the_round_labelled_and_no_segmenter(database: Database, make: Maker) -> None:
    project = make.project()
    round_id = labelled(database, make, project)
    before = everything(database)

    def break_off() -> None:
        with database.write() as session:
            rounds.close_round(session, round_id, (FIGURES, weights(project)), now=LATER)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        break_off()
    assert everything(database) == before


def test_of_two_deliveries_at_once_one_closes_the_round(database: Database, make: Maker) -> None:
    project = make.project()
    round_id = labelled(database, make, project)
    together = Barrier(2)

    def deliver(_: int) -> bool:
        together.wait(timeout=10)
        return close(database, round_id, FIGURES, weights(project))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(deliver, range(2))) == [False, True]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Checkpoint)) == 1
