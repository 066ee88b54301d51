"""Routes of rounds: the campaign's history."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from service import access
from service.deps import Now, Reader, Writer
from service.schemas.errors import errors
from service.schemas.paging import Id, Limit, Page
from service.schemas.progress import ProgressOut
from service.schemas.rounds import RoundOut, round_out
from service.store import projects, stalled, steering
from service.store.campaign_progress import progress_of
from service.store.class_changes import classes_at
from service.store.rounds import list_rounds
from service.tables import Round

AfterNumber = Annotated[int, Query(ge=0, lt=2**31, description="Where to go on: the `next` of the page before.")]

GROUP = {"name": "rounds", "description": "What was asked, when, and what it taught the network."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.get("/projects/{id}/rounds")
def rounds_of_project(
    id: Id, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: AfterNumber = 0
) -> Page[RoundOut]:
    """Rounds in order: state, strategy, networks used, mIoU before and after, reward, labelled classes, times."""
    project = projects.get_project(session, id)
    found = list_rounds(session, id, limit=limit + 1, after=after)
    classes = classes_at(session, project, [each.class_changes for each in found])
    return Page.cut([round_out(each, classes[each.class_changes]) for each in found], limit, key=lambda e: e.number)


@router.get("/projects/{id}/progress")
def progress_of_project(id: Id, caller: access.ProjectReviewer, session: Reader, now: Now) -> ProgressOut:
    """How far a campaign has come: sums by round, labels an hour, the budget, when it ends, classes of what is labelled."""
    return ProgressOut.of(progress_of(session, projects.get_project(session, id), now))


@router.post("/rounds/{id}/finish", responses=errors(409))
def finish_round(id: Id, caller: access.RoundAdmin, session: Writer, now: Now) -> RoundOut:
    """End an open round with the labels that it has: it is learned from, and its other regions go back to the pool."""
    return _round_out(session, steering.finish_round(session, id, now=now, by=caller.id))


@router.post("/rounds/{id}/close", responses=errors(409))
def close_round(id: Id, caller: access.RoundAdmin, session: Writer, now: Now) -> RoundOut:
    """Go on without a job that has failed: a round without regions is closed empty, a labelled one passed over. Labels stay."""
    return _round_out(session, stalled.close_stalled(session, id, now=now, by=caller.id))


def _round_out(session: Session, round_: Round) -> RoundOut:
    number = round_.class_changes
    return round_out(round_, classes_at(session, projects.get_project(session, round_.project_id), [number])[number])
