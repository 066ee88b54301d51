"""Routes of changes of a project's classes while labels exist."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from service import access
from service.class_changing import Changer, Order
from service.deps import BlobStore, Now, Reader, Store
from service.schemas.class_changes import (
    ClassChangeDone,
    ClassChangeIn,
    ClassChangeOut,
    ClassRegionsOut,
    change_out,
    done_out,
    regions_out,
)
from service.schemas.errors import errors
from service.schemas.paging import Id, Limit, Page
from service.store import class_changes as store
from service.store.class_labels import regions_of_change
from service.store.projects import get_project

GROUP = {"name": "class changes", "description": "Classes that change while labels exist."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

DryRun = Annotated[bool, Query(description="Only say what it would do: the answer is 200, and nothing changes.")]
Number = Annotated[int, Path(ge=1, lt=2**31, description="The change's number in its project.", examples=[1])]
AfterNumber = Annotated[int, Query(ge=0, lt=2**31, description="Where to go on: the `next` of the page before.")]
_ONLY_LOOKED = {"model": ClassChangeDone, "description": "What it would do; nothing has changed."}
_EXAMPLES = {
    "merge": {"value": {"kind": "merge", "ids": [9, 10], "into": 8}},
    "remove": {"value": {"kind": "remove", "id": 7, "into": None}},
    "add": {"value": {"kind": "add", "name": "Bus", "color": [0, 60, 100], "from": [8]}},
    "rename": {"value": {"kind": "rename", "id": 3, "name": "Carriageway"}},
}


@router.post("/projects/{id}/class-changes", status_code=201, responses={**errors(409, 413, 503), 200: _ONLY_LOOKED})
def change_classes(
    id: Id,
    body: Annotated[ClassChangeIn, Body(openapi_examples=_EXAMPLES)],
    caller: access.ProjectAdmin,
    database: Store,
    blobs: BlobStore,
    now: Now,
    response: Response,
    dry_run: DryRun = False,
) -> ClassChangeDone:
    """Rename, recolour, add, merge or remove classes. Labels get new versions where they hold what goes; all of it or nothing.

    Ids never change, and the id of a class that went is never another's: label maps that hold it are read by what became of it.
    """
    changer = Changer(database=database, blobs=blobs, project_id=id, by=caller.id, now=now)
    return _done(changer, body.order(), dry_run, response)


@router.get("/projects/{id}/class-changes")
def list_class_changes(
    id: Id, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: AfterNumber = 0
) -> Page[ClassChangeOut]:
    """Changes of the project's classes, first to last."""
    get_project(session, id)
    found = store.list_changes(session, id, limit=limit + 1, after=after)
    return Page.cut([change_out(each) for each in found], limit, key=lambda each: each.number)


@router.post(
    "/projects/{id}/class-changes/{number}/revert",
    status_code=201,
    responses={**errors(409, 413, 503), 200: _ONLY_LOOKED},
)
def revert_class_change(
    id: Id,
    number: Number,
    caller: access.ProjectAdmin,
    database: Store,
    blobs: BlobStore,
    now: Now,
    response: Response,
    dry_run: DryRun = False,
) -> ClassChangeDone:
    """Take a change back, as a new change. Labels are again what people drew; those drawn since stay, and are named."""
    changer = Changer(database=database, blobs=blobs, project_id=id, by=caller.id, now=now)
    return _done(changer, changer.reversal(number), dry_run, response)


@router.get("/projects/{id}/class-changes/{number}/regions")
def regions_of_class_change(
    id: Id, number: Number, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: AfterNumber = 0
) -> ClassRegionsOut:
    """Labelled regions that a change is about, most pixels first: of an added class those with pixels of what it was part of.

    Of merged and removed classes those that held them, and of what was taken back those that were labelled since.
    """
    change = store.get_change(session, id, number)
    return regions_out(regions_of_change(session, change, limit=limit + 1, after=after), limit, after)


def _done(changer: Changer, order: Order, dry_run: bool, response: Response) -> ClassChangeDone:
    changed = changer.change(order, dry_run=dry_run)
    response.status_code = 200 if dry_run else 201
    return done_out(changed)
