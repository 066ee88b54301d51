"""Routes of members: who takes part in a project, and in which role."""

from fastapi import APIRouter, Response

from service import access
from service.deps import Now, Reader, Writer
from service.schemas.errors import errors
from service.schemas.members import MemberIn, MemberOut, MemberPatch, PauseIn, member_out
from service.schemas.paging import After, Id, Limit, Page
from service.store import memberships as store
from service.store import pauses
from service.store.projects import get_project

GROUP = {"name": "members", "description": "Who takes part in a project, and in which role."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.get("/projects/{id}/members")
def list_members(
    id: Id, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[MemberOut]:
    """Members of a project, by their numbers. Admins of the server see every project and need not be among them."""
    get_project(session, id)
    found = store.list_members(session, id, limit=limit + 1, after=after)
    return Page.cut([member_out(each) for each in found], limit, key=lambda each: each.annotator_id)


@router.post(
    "/projects/{id}/members",
    status_code=201,
    responses={
        **errors(409, 413),
        200: {"model": MemberOut, "description": "They were a member in this role already."},
    },
)
def add_member(
    id: Id, body: MemberIn, caller: access.ProjectAdmin, session: Writer, now: Now, response: Response
) -> MemberOut:
    """Make somebody a member of a project, by their name."""
    get_project(session, id)
    member, created = store.add_member(session, id, name=body.name, role=body.role, now=now, by=caller.id)
    response.status_code = 201 if created else 200
    return member_out(member)


@router.patch("/projects/{id}/members/{annotator_id}", responses=errors(409, 413))
def change_member(
    id: Id, annotator_id: Id, body: MemberPatch, caller: access.ProjectAdmin, session: Writer, now: Now
) -> MemberOut:
    """Give a member another role in the project."""
    return member_out(store.change_member(session, id, annotator_id, role=body.role, now=now, by=caller.id))


@router.delete("/projects/{id}/members/{annotator_id}", responses=errors(409))
def remove_member(id: Id, annotator_id: Id, caller: access.ProjectAdmin, session: Writer, now: Now) -> MemberOut:
    """Take somebody out of a project: they see nothing of it any more. What they labelled stays, what they hold is free."""
    return member_out(store.remove_member(session, id, annotator_id, now=now, by=caller.id))


@router.post("/projects/{id}/members/{annotator_id}/pause", responses=errors(413))
def pause_member(
    id: Id, annotator_id: Id, body: PauseIn, caller: access.ProjectAdmin, session: Writer, now: Now
) -> MemberOut:
    """Give a member no more regions, with a reason that they are told. What they hold they may still label."""
    return member_out(pauses.pause(session, id, annotator_id, reason=body.reason, now=now, by=caller.id))


@router.post("/projects/{id}/members/{annotator_id}/resume")
def resume_member(id: Id, annotator_id: Id, caller: access.ProjectAdmin, session: Writer, now: Now) -> MemberOut:
    """Let a paused member go on. Gold regions that they have labelled until now count towards no other pause."""
    return member_out(pauses.resume(session, id, annotator_id, now=now, by=caller.id))
