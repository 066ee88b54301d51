"""Routes of projects: campaigns, their settings, and how far they have come."""

from datetime import datetime

from fastapi import APIRouter
from sqlalchemy.orm import Session

from service import access, auth
from service.deps import Now, Reader, Writer
from service.errors import Invalid
from service.schemas.choices import ChoiceOut
from service.schemas.deletion import Confirm, Deleted, Force
from service.schemas.errors import errors
from service.schemas.paging import After, Id, Limit, Page
from service.schemas.projects import (
    LatestCheckpoint,
    ProjectDetail,
    ProjectIn,
    ProjectOut,
    ProjectPatch,
    class_set,
    project_out,
)
from service.schemas.stalled import StalledOut
from service.store import deletion, stalled
from service.store import projects as store
from service.store.workers import missing_everywhere
from service.tables import Project

GROUP = {"name": "projects", "description": "Campaigns: their classes, settings and counts."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403))


@router.post("/projects", status_code=201, responses=errors(404, 409, 413))
def add_project(body: ProjectIn, caller: auth.AdminCaller, session: Writer, now: Now) -> ProjectOut:
    """Begin a campaign: a name, its classes, and the settings that should not be the default."""
    try:
        classes = class_set(body.classes)
    except ValueError as error:
        raise Invalid(str(error), code="bad_classes") from error
    _require_buildable(session, body.settings.segmenter, frozen=body.settings.encoder == "frozen", now=now)
    added = store.add_project(
        session,
        name=body.name,
        classes=classes,
        settings=body.settings,
        members=body.members if body.members == "everyone" else [(each.name, each.role) for each in body.members],
        now=now,
        by=caller.id,
    )
    return project_out(added)


@router.get("/projects")
def list_projects(
    caller: auth.AnnotatorCaller, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[ProjectOut]:
    """Campaigns that the caller takes part in, oldest first; all, where the caller is an admin of the server."""
    found = store.list_projects(session, limit=limit + 1, after=after, among=access.projects_of(caller))
    return Page.cut([project_out(each) for each in found], limit, key=lambda each: each.id)


@router.get("/projects/{id}", responses=errors(404))
def get_project(id: Id, caller: access.ProjectAnnotator, session: Reader) -> ProjectDetail:
    """A campaign and how far it has come."""
    project = store.get_project(session, id)
    return _detail(session, project)


@router.patch("/projects/{id}", responses=errors(404, 409, 413))
def change_project(id: Id, body: ProjectPatch, caller: access.ProjectAdmin, session: Writer, now: Now) -> ProjectDetail:
    """Pause, resume or rename a campaign, or change settings that may change while it runs."""
    project = store.change_project(
        session,
        id,
        active=body.active,
        settings=body.settings,
        name=body.name,
        open_to_all=body.open_to_all,
        now=now,
        by=caller.id,
    )
    if body.settings is not None and body.settings.model_fields_set & {"segmenter", "encoder"}:
        _require_buildable(
            session, project.settings["segmenter"], frozen=project.settings["encoder"] == "frozen", now=now
        )
    return _detail(session, project)


@router.delete("/projects/{id}", responses=errors(404, 409))
def delete_project(
    id: Id, caller: access.ProjectAdmin, session: Writer, now: Now, confirm: Confirm = None, force: Force = False
) -> Deleted:
    """Delete a campaign with its images, labels, rounds, networks and jobs, for good; what was done stays on record."""
    gone = deletion.delete_project(session, id, confirm=confirm, force=force, now=now, by=caller.id)
    return Deleted.model_validate(gone)


def _require_buildable(session: Session, segmenter: str, *, frozen: bool, now: datetime) -> None:
    """Raises Invalid for a segmenter that no worker could build when it started; the weights count of one that stays frozen."""
    how = missing_everywhere(session, segmenter, now) if frozen or segmenter.startswith("smp:") else ""
    if how:
        sentence = f"No worker has what {segmenter} takes: {how} Start the worker again afterwards."
        raise Invalid(sentence, code="segmenter_not_installed", detail={"segmenter": segmenter})


def _detail(session: Session, project: Project) -> ProjectDetail:
    standing = store.standing(session, project)
    policy = standing.checkpoints.get("policy")
    shown = project_out(project)
    return ProjectDetail(
        **shown.model_dump(),
        images=standing.images,
        pool_regions=standing.pool_regions,
        regions=standing.regions,
        rounds=standing.rounds,
        budget_left=standing.budget_left,
        checkpoints={
            kind: LatestCheckpoint(id=each.id, created_at=each.created_at)
            for kind, each in standing.checkpoints.items()
        },
        choice=ChoiceOut.of(
            shown.settings.strategy,
            policy.description if policy else None,
            segmenter="segmenter" in standing.checkpoints,
            frozen=shown.settings.encoder == "frozen",
        ),
        miou=standing.miou,
        warning=standing.warning,
        stalled=[StalledOut.model_validate(each) for each in stalled.stalled_projects(session, project.id)],
    )
