"""Routes of rounds: the campaign's history."""

from typing import Annotated

from fastapi import APIRouter, Query

from service import access
from service.deps import Now, Reader, Writer
from service.domain.classes import ClassSet
from service.schemas.errors import errors
from service.schemas.paging import Id, Limit, Page
from service.schemas.rounds import RoundOut, round_out
from service.store import projects, stalled, steering
from service.store.rounds import list_rounds

AfterNumber = Annotated[int, Query(ge=0, lt=2**31, description="Where to go on: the `next` of the page before.")]

GROUP = {"name": "rounds", "description": "What was asked, when, and what it taught the network."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.get("/projects/{id}/rounds")
def rounds_of_project(
    id: Id, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: AfterNumber = 0
) -> Page[RoundOut]:
    """Rounds in order: state, strategy, networks used, mIoU before and after, reward, labelled classes, times."""
    classes = ClassSet.from_json(projects.get_project(session, id).classes)
    found = list_rounds(session, id, limit=limit + 1, after=after)
    return Page.cut([round_out(each, classes) for each in found], limit, key=lambda each: each.number)


@router.post("/rounds/{id}/finish", responses=errors(409))
def finish_round(id: Id, caller: access.RoundAdmin, session: Writer, now: Now) -> RoundOut:
    """End an open round with the labels that it has: it is learned from, and its other regions go back to the pool."""
    round_ = steering.finish_round(session, id, now=now, by=caller.id)
    return round_out(round_, ClassSet.from_json(projects.get_project(session, round_.project_id).classes))


@router.post("/rounds/{id}/close", responses=errors(409))
def close_round(id: Id, caller: access.RoundAdmin, session: Writer, now: Now) -> RoundOut:
    """Go on without a job that has failed: a round without regions is closed empty, a labelled one passed over. Labels stay."""
    closed = stalled.close_stalled(session, id, now=now, by=caller.id)
    return round_out(closed, ClassSet.from_json(projects.get_project(session, closed.project_id).classes))
