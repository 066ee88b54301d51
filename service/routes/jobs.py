"""Routes of jobs: training that an admin starts, watches, cancels or tries again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query
from sqlalchemy.orm import Session

from service import access
from service.deps import Now, Reader, Writer
from service.errors import Conflict, Invalid
from service.schemas.errors import errors
from service.schemas.jobs import JobLineOut, JobOut, JobRequest, PolicyRequest
from service.schemas.paging import After, Id, Limit, Page
from service.schemas.policies import PolicyPayload
from service.schemas.project_settings import ProjectSettings
from service.store import events, job_lines, job_orders, needs, projects
from service.store import jobs as store
from service.tables import Project

GROUP = {"name": "jobs", "description": "Long work: training, scoring, learning."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

Order = Annotated[Literal["oldest", "newest"], Query(description="Which comes first.")]

_EXAMPLES = {
    "pretrain": {"value": {"kind": "pretrain", "settings": {"source": "streets", "max_epochs": 60}}},
    "train-policy": {"value": {"kind": "train-policy", "settings": {"policy": "blend", "episodes": 120}}},
    "finish": {"value": {"kind": "finish"}},
}


@router.post("/projects/{id}/jobs", status_code=202, responses=errors(409))
def start_job(
    id: Id,
    body: Annotated[JobRequest, Body(openapi_examples=_EXAMPLES)],
    caller: access.ProjectAdmin,
    session: Writer,
    now: Now,
) -> JobOut:
    """Queue a job of a kind; each kind takes settings of its own."""
    project = projects.get_project(session, id)
    if isinstance(body, PolicyRequest):
        _require_fitting(body.settings, project)
    _require_data(session, project, body.settings)
    job = job_orders.start_job(session, project, kind=body.kind, payload=body.settings.model_dump(), now=now)
    events.record(
        session, now=now, kind="job_queued", project_id=id, annotator_id=caller.id, job=job.id, job_kind=job.kind
    )
    return JobOut.model_validate(job)


def _require_fitting(payload: PolicyPayload, project: Project) -> None:
    """Raises Invalid where a policy would not use what is set in this project."""
    refits = ProjectSettings.model_validate(project.settings).learning == "refit"
    try:
        payload.chosen(payload.name(refits=refits))
    except ValueError as error:
        raise Invalid(str(error), code="settings_contradict") from error


def _require_data(session: Session, project: Project, payload: needs.Payload | None) -> None:
    """Raises Conflict where the job would end at once, for there is nothing to do it with."""
    sentence = "" if payload is None else needs.lacking(session, project, payload)
    if sentence:
        raise Conflict(sentence, code="job_lacks_data")


@router.get("/projects/{id}/jobs")
def jobs_of_project(
    id: Id,
    caller: access.ProjectReviewer,
    session: Reader,
    limit: Limit = 100,
    after: After = 0,
    order: Order = "oldest",
) -> Page[JobOut]:
    """Jobs of a project, oldest or newest first."""
    projects.get_project(session, id)
    found = store.list_jobs(session, id, limit=limit + 1, after=after, newest=order == "newest")
    return Page.cut([JobOut.model_validate(each) for each in found], limit, key=lambda each: each.id)


@router.get("/jobs/{id}")
def get_job(id: Id, caller: access.JobReviewer, session: Reader) -> JobOut:
    """A job: its state, how far it is, what it brought or why it failed."""
    return JobOut.model_validate(store.get_job(session, id))


@router.get("/jobs/{id}/log")
def log_of_job(
    id: Id, caller: access.JobReviewer, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[JobLineOut]:
    """What a job said while it went on, oldest first: of long logs the first 50 lines and the newest 450.

    It goes some time after the job has ended (`REGIONWISE_KEEP_DAYS`).
    """
    store.get_job(session, id)
    found = job_lines.lines_of(session, id, limit=limit + 1, after=after)
    return Page.cut([JobLineOut.model_validate(each) for each in found], limit, key=lambda each: each.id)


@router.post("/jobs/{id}/cancel", responses=errors(409))
def cancel_job(id: Id, caller: access.JobAdmin, session: Writer, now: Now) -> JobOut:
    """Stop a job: at once if it is queued, at its next step if it runs."""
    job = job_orders.request_cancel(session, id, now=now)
    events.record(session, now=now, kind="job_cancelled", project_id=job.project_id, annotator_id=caller.id, job=id)
    return JobOut.model_validate(job)


@router.post("/jobs/{id}/retry", responses=errors(409))
def retry_job(id: Id, caller: access.JobAdmin, session: Writer, now: Now) -> JobOut:
    """Try a failed or cancelled job again; it goes on from what it had saved."""
    job = job_orders.retry_job(session, id, now=now)
    project = projects.get_project(session, job.project_id)
    _require_data(session, project, needs.payload_of(job.kind, job.payload))
    events.record(session, now=now, kind="job_retried", project_id=job.project_id, annotator_id=caller.id, job=id)
    return JobOut.model_validate(job)
