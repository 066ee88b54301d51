"""The route of workers: which there are, and what each is at."""

from fastapi import APIRouter

from service import access
from service.deps import Now, Reader
from service.schemas.errors import errors
from service.schemas.paging import After, Limit, Page
from service.schemas.workers import WorkerJob, WorkerOut
from service.store import workers as store

GROUP = {"name": "workers", "description": "The processes that take jobs."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403))

_ELSEWHERE = WorkerJob(id=None, kind=None, project_id=None, project="another project", progress=None, message=None)


@router.get("/workers")
def list_workers(
    caller: access.Reviewer, session: Reader, now: Now, limit: Limit = 100, after: After = 0
) -> Page[WorkerOut]:
    """Workers that were heard of within a day, and what each is at, in the order in which they came. For reviewers of a project.

    Of jobs in projects that the caller does not review it is said that there is one, and no more.
    """
    found = store.list_workers(session, now, limit=limit + 1, after=after)
    reviewed = access.reviewed_by(caller)
    return Page.cut([_out(each, reviewed) for each in found], limit, key=lambda each: each.id)


def _out(worker: store.AtWork, reviewed: frozenset[int] | None) -> WorkerOut:
    host, job = worker.host, worker.job
    shown = None
    if job is not None:
        seen = reviewed is None or job.project_id in reviewed
        shown = (
            WorkerJob(
                id=job.id,
                kind=job.kind,
                project_id=job.project_id,
                project=worker.project,
                progress=job.progress,
                message=job.message,
            )
            if seen
            else _ELSEWHERE
        )
    return WorkerOut(
        id=host.id,
        name=host.name,
        host=host.host,
        queues=store.queues_of(host),
        missing=sorted(host.missing),
        started_at=host.started_at,
        seen_at=host.seen_at,
        alive=worker.alive,
        job=shown,
    )
