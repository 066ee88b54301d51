"""Predictions of regions that wait for a label: the newest segmenter's; once there is a label, they stay as they were."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from service.db import Database
from service.errors import NotFound
from service.store.checkpoints import add_checkpoint
from service.store.predictions import refresh_predictions
from service.tables import Region
from tests.conftest import START
from tests.maker import Maker
from tests.service.test_round_writes import FIGURES, close, labelled, round_of, weights


def test_closing_gives_the_regions_that_are_still_open_what_the_new_segmenter_predicts(
    database: Database, make: Maker
) -> None:
    project, neighbour = make.project(lookahead=False), make.project("another")
    round_id = labelled(database, make, project)
    old = make.checkpoint(project, "segmenter").id
    ahead = make.round_(project, make.images(project, 1), regions=4, number=2, prediction=True)
    (foreign,) = make.round_(neighbour, make.images(neighbour, 1), regions=1, prediction=True)
    with database.write() as session:
        for region in session.scalars(select(Region).where(Region.round_id == ahead[0].round_id)):
            region.prediction_checkpoint_id = old
        session.get_one(Region, ahead[1].id).state = "labelled"
        session.get_one(Region, ahead[2].id).state = "skipped"
    predictions = {each.id: b"new" for each in (*ahead[:3], foreign)}
    assert close(database, round_id, FIGURES, weights(project), predictions={**predictions, 9999: b"none"})
    new = round_of(database, round_id).result_checkpoint_id
    assert new is not None
    assert new > old
    before = make.mask_png(90, 80, 1)
    with database.read() as session:
        columns = select(Region.prediction, Region.prediction_checkpoint_id)
        found = [tuple(session.execute(columns.where(Region.id == each.id)).one()) for each in (*ahead, foreign)]
    assert found == [(b"new", new), (before, old), (before, old), (before, old), (before, None)]


def test_a_region_that_is_labelled_meanwhile_keeps_the_prediction_its_annotator_saw(
    database: Database, make: Maker
) -> None:
    project = make.project(lookahead=False)
    round_id = labelled(database, make, project)
    (region,) = make.round_(project, make.images(project, 1), regions=1, number=2)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            session.get_one(Region, region.id).state = "labelled"
            session.flush()
            closing = pool.submit(close, database, round_id, FIGURES, weights(project), predictions={region.id: b"new"})
            with pytest.raises(TimeoutError):  # it waits for the label
                closing.result(timeout=0.3)
        assert closing.result(timeout=10)
    with database.read() as session:
        assert session.get_one(Region, region.id).prediction is None


def test_predictions_of_a_round_closed_by_another_delivery_or_passed_over_are_not_written(
    database: Database, make: Maker
) -> None:
    project = make.project(lookahead=False)
    round_id = labelled(database, make, project)
    (waiting,) = make.round_(project, make.images(project, 1), regions=1, number=2)
    assert close(database, round_id, note="Too early.", predictions={waiting.id: b"nobody's"})
    assert not close(database, round_id, FIGURES, weights(project), predictions={waiting.id: b"late"})
    with database.read() as session:
        region = session.get_one(Region, waiting.id)
    assert (region.prediction, region.prediction_checkpoint_id) == (None, None)


def test_a_checkpoint_of_no_round_refreshes_predictions_too(database: Database, make: Maker) -> None:
    project = make.project()
    regions = make.round_(project, make.images(project, 1), regions=2)
    with database.write() as session:
        checkpoint = add_checkpoint(session, weights(project), START)
        refresh_predictions(session, checkpoint.id, {})
        refresh_predictions(session, checkpoint.id, {regions[1].id: b"png"})
    with database.read() as session:
        found = session.execute(select(Region.prediction, Region.prediction_checkpoint_id).order_by(Region.id)).all()
    assert [tuple(each) for each in found] == [(None, None), (b"png", checkpoint.id)]
    with pytest.raises(NotFound, match="no checkpoint 77"), database.write() as session:
        refresh_predictions(session, 77, {regions[0].id: b"png"})
