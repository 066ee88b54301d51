"""The judge of a run can find what is wrong: labels that are lost, doubled or nobody's, and a region that two people held."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete

from service.blobs import Blobs
from service.db import Database
from service.domain.masks import decode_png, encode_label_png
from service.tables import Label
from tests.chaos.annotators import _digest
from tests.chaos.clock import Clock
from tests.chaos.journal import Accepted, Hold, Journal, Sent
from tests.chaos.options import Options
from tests.chaos.run import Course
from tests.chaos.verdict import _held_by_too_many, _labels
from tests.conftest import START
from tests.maker import Maker

MASK = encode_label_png(np.full((16, 16), 3, np.uint8))
PIXELS = _digest(decode_png(MASK, max_pixels=1000))


@pytest.fixture
def labelled(database: Database, make: Maker, blobs: Blobs) -> tuple[Any, Journal]:
    """An installation with one label, and the journal of who sent it."""
    project = make.project()
    make.round_(project, make.images(project, 1), regions=2)
    make.annotator("annotator", "ada")
    at = SimpleNamespace(project=project.id, options=Options(seed=1, settings={"overlap": 1, "x": 0}), tokens={})
    add(database, 1)
    label = Accepted(id=1, region=1, annotator=1, version=1, pixels=PIXELS)
    return at, Journal(accepted=[label], sent={Sent(region=1, annotator=1, pixels=PIXELS)})


def add(database: Database, version: int) -> None:
    with database.write() as session:
        session.add(
            Label(
                region_id=1,
                annotator_id=1,
                version=version,
                mask=MASK,
                digest=PIXELS,
                class_counts=[],
                seconds=None,
                created_at=START,
            )
        )


def found(database: Database, labelled: tuple[Any, Journal]) -> list[str]:
    with database.engine.connect() as connection:
        return list(_labels(connection, *labelled))


def test_a_label_that_is_lost_doubled_or_nobody_s_is_found(database: Database, labelled: tuple[Any, Journal]) -> None:
    assert found(database, labelled) == []
    add(database, 2)
    assert found(database, labelled) == ["The label of region 1 by annotator 1 is there 2 times."]
    labelled[1].sent.clear()
    assert "Region 1 has a label by annotator 1 that they never sent." in found(database, labelled)
    with database.write() as session:
        session.execute(delete(Label))
    assert found(database, labelled) == ["Label 1 of region 1 by annotator 1 was accepted, and is not there."]


@pytest.mark.parametrize(
    ("what", "faults"),
    [("both", 1), ("given up", 0), ("run out", 0), ("forgotten", 0), ("clock moved", 0), ("overlap", 0)],
)
def test_a_region_that_two_people_held_is_found(tmp_path: Path, what: str, faults: int) -> None:
    clock, now = Clock(tmp_path), time.monotonic()
    at: Any = SimpleNamespace(clock=clock, options=Options(seed=1, settings={"overlap": 2 if what == "overlap" else 1}))
    if what == "clock moved":
        clock.move(3600)
    expires = clock.latest(now, now) + (5 if what == "run out" else 60) - 3600 * (what == "clock moved")
    first = Hold(region=1, annotator=1, asked=now, told=now + 1, expires=expires)
    if what == "given up":
        first.given_up = now + 4
    second = Hold(region=1, annotator=2, asked=now + 5, told=now + 6, expires=expires)
    course = Course(begun=now, crashes=[now + 2] if what == "forgotten" else [])
    assert len(list(_held_by_too_many(at, Journal(holds=[first, second]), course))) == faults
