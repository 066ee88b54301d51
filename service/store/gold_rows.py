"""Rows of gold regions: made with each round, in a round of their own that is no step of the game."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.gold import GOLD
from service.store.predictions import NewHints
from service.store.round_values import NewGold
from service.store.taken import cells_of
from service.tables import Region, Round

Hinted = tuple[Region, NewHints | None]
"""A region that is to be written, and what a segmenter knows of it."""

NUMBER = 0
"""Of the round that holds a project's gold regions: rounds that ask for labels are counted from 1."""


def gold_regions(
    session: Session, project_id: int, new: Sequence[NewGold], checkpoint_id: int | None, now: datetime
) -> list[Hinted]:
    """New gold regions, not in the session yet, with hints on them; `checkpoint_id` is of the segmenter that predicted them.

    Cells that are gold already are left out. The project is locked, so that nobody else makes any.
    """
    if not new:
        return []
    known = cells_of(session, {each.image_id for each in new})
    round_id = _round_of(session, project_id, now).id
    fresh = [each for each in new if each.cell not in known.get(each.image_id, ())]
    return [(_gold_region(project_id, round_id, each, checkpoint_id), each.hints) for each in fresh]


def _gold_region(project_id: int, round_id: int, new: NewGold, checkpoint_id: int | None) -> Region:
    return Region(
        project_id=project_id,
        round_id=round_id,
        image_id=new.image_id,
        cell=new.cell,
        number=0,
        row=new.box.row,
        col=new.box.col,
        height=new.box.height,
        width=new.box.width,
        score=0.0,
        state=GOLD,
        gold=True,
        truth=new.truth,
        prediction=new.prediction,
        prediction_checkpoint_id=None if new.prediction is None else checkpoint_id,
    )


def _round_of(session: Session, project_id: int, now: datetime) -> Round:
    chosen = select(Round).where(Round.project_id == project_id, Round.number == NUMBER)
    round_ = session.scalars(chosen).one_or_none()
    if round_ is None:
        round_ = Round(
            project_id=project_id,
            number=NUMBER,
            state=GOLD,
            strategy=GOLD,
            size=0,
            seconds={},
            note="",
            created_at=now,
        )
        session.add(round_)
        session.flush()
    return round_


def spread(regions: Sequence[Hinted], gold: Sequence[Hinted]) -> list[Hinted]:
    """The regions with gold ones evenly among them: their numbers must not tell which they are."""
    mixed = list(regions)
    for place, each in enumerate(gold):
        mixed.insert(round((place + 0.5) * len(regions) / len(gold)) + place, each)
    return mixed
