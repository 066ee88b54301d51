"""The route that hands out what was labelled."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service import access
from service.deps import BlobStore, Now, Store
from service.export import Exporter
from service.schemas.errors import errors
from service.schemas.export import ExportQuery
from service.schemas.paging import Id
from service.store.projects import get_project

GROUP = {"name": "export", "description": "Everything labelled, to take away."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.get(
    "/projects/{id}/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "A zip of the format, and manifest.json."}},
)
def export_project(
    id: Id,
    wanted: Annotated[ExportQuery, Query()],
    caller: access.ProjectReviewer,
    database: Store,
    blobs: BlobStore,
    now: Now,
) -> StreamingResponse:
    """Every labelled region so far, and where each label came from.

    The zip is sent while it is made. One that breaks off ends without its table of contents, and cannot be opened.
    """
    # A session of its own: it ends before the first image is read.
    with database.read() as session:
        project = get_project(session, id)
    exporter = Exporter.of(project, wanted, database=database, blobs=blobs, now=now)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project.name)
    name = name if wanted.format is None else f"{name}-{wanted.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(exporter.pieces(), media_type="application/zip", headers=headers)
