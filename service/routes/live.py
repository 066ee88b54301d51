"""The route by which pages hear at once of what has changed."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service import access, auth
from service.auth import Caller
from service.deps import Store
from service.errors import NotFound, ServiceError
from service.live import Live
from service.schemas.errors import errors
from service.schemas.paging import Id
from service.store.projects import get_project

GROUP = {"name": "live", "description": "For pages: what has changed, as it changes."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404, 503))

log = logging.getLogger(__name__)

_EXAMPLE = 'event: changed\ndata: {"subjects": ["jobs", "workers"]}\n\n'
_EVENT = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["listening", "changed"], "description": "listening is the first."},
        "data": {"type": "string", "description": 'JSON: {"subjects": [...]}.'},
        "retry": {"type": "integer", "description": "Milliseconds after which to connect again."},
    },
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}},
        "description": "Server-sent events, until the client goes.",
    }
}


class EventStream(StreamingResponse):
    """Server-sent events; a proxy is asked to pass each on as it comes."""

    media_type = "text/event-stream"


async def _live(request: Request, caller: access.ProjectReviewer) -> AsyncIterator[Live]:
    live = cast(Live, request.app.state.live)
    with live.place(caller.id):  # until the last of the answer
        yield live


@router.get("/projects/{id}/live", response_class=Response, responses=_EVENTS)
async def listen(
    id: Id,
    request: Request,
    caller: access.ProjectReviewer,
    database: Store,
    live: Annotated[Live, Depends(_live, scope="request")],
) -> EventStream:
    """Hear of changes: an event `listening` at once, then an event `changed` within seconds of each change.

    Its data is JSON: `subjects` names what has changed, among project, rounds, regions, jobs and workers; what it has become is
    asked for as ever. The stream ends after ten minutes, and when the caller is logged out or no reviewer any more: connect
    again, and look anew, for nothing is said again. Four streams are open for one person at most.
    """

    def there() -> None:
        with database.read() as session:
            get_project(session, id)

    async def still_allowed() -> bool:
        return await run_in_threadpool(_still_allowed, request, caller, id)

    await run_in_threadpool(there)
    return EventStream(live.stream(id, still_allowed), headers={"X-Accel-Buffering": "no"})


def _still_allowed(request: Request, caller: Caller, project_id: int) -> bool:
    state = request.app.state
    try:
        now = auth.caller_again(state.database, caller, state.clock())
        access.require_role(now, project_id, "reviewer", NotFound(f"There is no project {project_id}."))
    except ServiceError:
        return False
    except SQLAlchemyError as error:  # the database may be away for a moment
        log.warning("Whether %s may still listen cannot be asked: %s", caller.name, error)
    return True
