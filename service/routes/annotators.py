"""Routes of annotators: who may call."""

from fastapi import APIRouter

from service import auth
from service.deps import Now, Reader, Writer
from service.schemas.annotators import AnnotatorCreated, AnnotatorIn, AnnotatorOut, annotator_out
from service.schemas.errors import errors
from service.schemas.paging import After, Id, Limit, Page
from service.store import annotators as store

GROUP = {"name": "annotators", "description": "Who may call."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403))


@router.post("/annotators", status_code=201, responses=errors(409, 413))
def add_annotator(body: AnnotatorIn, caller: auth.AdminCaller, session: Writer, now: Now) -> AnnotatorCreated:
    """Add somebody who may call, and show the token once. It runs out with the one that it is asked for with, if that does."""
    token = auth.new_token()
    ends = caller.expires_at
    added = store.add_annotator(
        session, name=body.name, role=body.role, **auth.kept_of(token), now=now, expires_at=ends, by=caller.id
    )
    return AnnotatorCreated(**annotator_out(added).model_dump(), token=token, expires_at=ends)


@router.get("/annotators")
def list_annotators(
    caller: auth.AdminCaller, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[AnnotatorOut]:
    """Everybody who may call, or might once, oldest first."""
    found = store.list_annotators(session, limit=limit + 1, after=after)
    return Page.cut([annotator_out(each) for each in found], limit, key=lambda each: each.id)


@router.delete("/annotators/{id}", responses=errors(404, 409))
def deactivate_annotator(id: Id, caller: auth.AdminCaller, session: Writer, now: Now) -> AnnotatorOut:
    """Stop all tokens of somebody from working. What they labelled stays, with the name."""
    return annotator_out(store.deactivate(session, id, now=now, by=caller.id))


@router.post("/annotators/{id}/token", responses=errors(404, 409))
def rotate_token(id: Id, caller: auth.AdminCaller, session: Writer, now: Now) -> AnnotatorCreated:
    """Give an annotator a new token, and show it once; all old ones stop working.

    It runs out with the one that it is asked for with, if that does.
    """
    token = auth.new_token()
    ends = caller.expires_at
    rotated = store.rotate(session, id, **auth.kept_of(token), now=now, expires_at=ends, by=caller.id)
    return AnnotatorCreated(**annotator_out(rotated).model_dump(), token=token, expires_at=ends)


@router.post("/annotators/{id}/reactivate", responses=errors(404, 409))
def reactivate_annotator(id: Id, caller: auth.AdminCaller, session: Writer, now: Now) -> AnnotatorCreated:
    """Let somebody who was deactivated call again, under their name, by a new token, which is shown once.

    It runs out with the one that it is asked for with, if that does.
    """
    token = auth.new_token()
    ends = caller.expires_at
    taken_up = store.reactivate(session, id, **auth.kept_of(token), now=now, expires_at=ends, by=caller.id)
    return AnnotatorCreated(**annotator_out(taken_up).model_dump(), token=token, expires_at=ends)
