"""The route that hands out what was labelled."""

import re
import tempfile

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from service import auth
from service.deps import Now, Reader
from service.export import write_export
from service.schemas.errors import errors
from service.schemas.paging import Id
from service.store.projects import get_project

GROUP = {"name": "export", "description": "Everything labelled, to take away."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.get(
    "/projects/{id}/export",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "A zip of label maps and manifest.json."}},
)
def export_project(id: Id, caller: auth.ReviewerCaller, session: Reader, now: Now) -> FileResponse:
    """Every labelled region so far: one label map of class ids per image, the ignore id elsewhere, and a manifest."""
    project = get_project(session, id)
    file = tempfile.NamedTemporaryFile(suffix=".zip", delete=True)  # noqa: SIM115 - closed once it is sent
    write_export(session, project, file, now)
    file.flush()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project.name)
    return FileResponse(
        file.name, media_type="application/zip", filename=f"{name}.zip", background=BackgroundTask(file.close)
    )
