"""Routes of network weights: a policy comes from elsewhere or goes there, and what there is can be looked through."""

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile

from service import access
from service.content import WEIGHTS_RESPONSE, unchanging
from service.deps import BlobStore, Now, Reader, Store
from service.policy_uploads import store_policy
from service.removal import require_bytes
from service.schemas.checkpoints import CheckpointKind, CheckpointOut, UploadKind
from service.schemas.errors import errors
from service.schemas.paging import After, Id, Limit, Page
from service.store import checkpoints as store
from service.store.budget import state_regions
from service.store.projects import get_project

GROUP = {
    "name": "checkpoints",
    "description": "Network weights: those there are, their files, and policies from elsewhere.",
}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.post(
    "/projects/{id}/checkpoints",
    status_code=201,
    responses={
        **errors(409, 413),
        200: {"model": CheckpointOut, "description": "The newest policy has these very bytes."},
    },
)
def add_checkpoint(
    id: Id,
    kind: Annotated[UploadKind, Form(description="What the weights are of; policies alone are taken.")],
    file: Annotated[
        UploadFile, File(description="A policy's safetensors file, as this service or a simulation saved it.")
    ],
    caller: access.ProjectAdmin,
    database: Store,
    blobs: BlobStore,
    now: Now,
    response: Response,
) -> CheckpointOut:
    """Bring a policy, which rounds choose by from now on. One that does not fit the project is refused.

    The newest policy's file sent again changes nothing; an older one's is the newest again.
    """
    # As with images, the file is checked and stored with no transaction open.
    with database.read() as session:
        project = get_project(session, id)
        regions = state_regions(session, project)
    arrival = store_policy(file, project, state_regions=regions, blobs=blobs)
    with database.write() as session:
        uploaded = store.upload_checkpoint(session, arrival, now, by=caller.id)
        require_bytes(blobs, [arrival.blob_key])
    response.status_code = 201 if uploaded.created else 200
    return CheckpointOut.model_validate(uploaded.checkpoint)


@router.get("/projects/{id}/checkpoints")
def list_checkpoints(
    id: Id,
    caller: access.ProjectReviewer,
    session: Reader,
    kind: Annotated[CheckpointKind | None, Query(description="Only checkpoints of this kind.")] = None,
    limit: Limit = 100,
    after: After = 0,
) -> Page[CheckpointOut]:
    """Checkpoints of a project, oldest first; the last of a kind is the one in use."""
    get_project(session, id)
    found = store.list_checkpoints(session, id, kind=kind, limit=limit + 1, after=after)
    return Page.cut([CheckpointOut.model_validate(each) for each in found], limit, key=lambda each: each.id)


@router.get("/checkpoints/{id}/file", response_class=Response, responses={**WEIGHTS_RESPONSE, **errors(410)})
def get_checkpoint_file(
    id: Id, request: Request, caller: access.CheckpointAdmin, session: Reader, blobs: BlobStore
) -> Response:
    """The weights: a safetensors file, which another project may take where it is a policy's."""
    checkpoint = store.get_checkpoint(session, id)
    store.require_weights(checkpoint)
    return unchanging(
        request,
        tag=PurePosixPath(checkpoint.blob_key).stem,
        media_type="application/octet-stream",
        body=lambda: blobs.get(checkpoint.blob_key),
        filename=f"{checkpoint.kind}-{checkpoint.id}.safetensors",
    )
