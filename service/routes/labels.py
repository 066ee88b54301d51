"""Routes of labels: label maps of regions, stored all or none."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import FormData

from service import auth
from service.content import PNG_RESPONSE, revalidated
from service.deps import Now, Reader, Store
from service.label_body import REQUEST_BODY, label_body, parse_labels
from service.label_maps import submissions
from service.schemas.errors import errors
from service.schemas.labels import LabelsOut, label_out
from service.schemas.paging import Id
from service.store import labels as store
from service.store import regions

GROUP = {"name": "labels", "description": "Label maps of regions."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.post(
    "/labels",
    status_code=201,
    responses={**errors(409, 413, 415), 200: {"model": LabelsOut, "description": "Every label was there already."}},
    openapi_extra={"requestBody": REQUEST_BODY},
)
def add_labels(
    body: Annotated[bytes | FormData, Depends(label_body, scope="function")],
    caller: auth.AnnotatorCaller,
    database: Store,
    now: Now,
    response: Response,
) -> LabelsOut:
    """Store the label maps of one or many regions, all or none.

    The same pixels again are the same label. Other pixels by the same annotator are a new version. A lease that ran out
    still counts until somebody else holds the region; a region that another annotator holds or has labelled is a 409.
    """
    sent = parse_labels(body)
    # Masks are decoded with no transaction open: on SQLite it would keep everybody else from writing.
    with database.read() as session:
        frames = regions.frames(session, {each.region_id for each in sent})
    checked = submissions(sent, frames, caller.token)
    with database.write() as session:
        stored = store.submit(session, checked, caller.id, now=now)
    response.status_code = 201 if any(each.created for each in stored) else 200
    return LabelsOut(labels=[label_out(each, frames[each.label.region_id].classes.names) for each in stored])


@router.get("/regions/{id}/label", response_class=Response, responses=PNG_RESPONSE)
def get_label(id: Id, request: Request, caller: auth.AnnotatorCaller, session: Reader) -> Response:
    """The label map that counts: an 8-bit PNG of class ids in the classes' colours."""
    label = regions.counting_label(session, id)
    return revalidated(request, tag=label.digest, media_type="image/png", body=lambda: label.mask)
