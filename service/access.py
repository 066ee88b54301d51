"""Who may do what in a project: callers by their membership, and what of it annotators were given to label.

Projects that somebody is no member of are not there for them (404); what their role there lacks is refused (403).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from service.auth import RANKS, AnnotatorCaller, Caller
from service.deps import Store
from service.errors import Forbidden, NotFound
from service.schemas.fields import Role
from service.schemas.paging import Id
from service.store import memberships
from service.store.memberships import GivenKind, Kind
from service.store.regions import missing


def role_in(caller: Caller, project_id: int) -> str | None:
    """The caller's role in a project: an admin of the server is one everywhere; None for who is no member."""
    return "admin" if caller.role == "admin" else caller.memberships.get(project_id)


def projects_of(caller: Caller) -> frozenset[int] | None:
    """The projects that the caller sees; None: all."""
    return None if caller.role == "admin" else frozenset(caller.memberships)


def reviewed_by(caller: Caller) -> frozenset[int] | None:
    """The projects that the caller reviews; None: all."""
    if caller.role == "admin":
        return None
    return frozenset(
        project for project, role in caller.memberships.items() if RANKS.get(role, -1) >= RANKS["reviewer"]
    )


def reviewer(caller: AnnotatorCaller) -> Caller:
    """A dependency: the caller, if they review a project. Raises Forbidden."""
    if reviewed_by(caller) == frozenset():
        raise Forbidden(f"This is for reviewers; {caller.name} reviews no project.")
    return caller


def require_role(caller: Caller, project_id: int | None, role: Role, missing: NotFound) -> None:
    """Raises `missing` where there is no project or the caller is no member of it, Forbidden where their role lacks it."""
    held = None if project_id is None else role_in(caller, project_id)
    if held is None:
        raise missing
    if RANKS.get(held, -1) < RANKS[role]:
        raise Forbidden(f"This is for the role {role}; {caller.name} is {held} in project {project_id}.")


@dataclass(frozen=True, slots=True)
class InProject:
    """A dependency of paths with a project's `id`: the caller, if of this role there or a higher one.

    The door asks the same before it reads a body: a membership is known with the caller.
    """

    role: Role

    async def __call__(self, id: Id, caller: AnnotatorCaller) -> Caller:
        """Raises NotFound and Forbidden, as `require_role`."""
        self.require(caller, id)
        return caller

    def require(self, caller: Caller, project_id: int) -> None:
        """Raises NotFound and Forbidden, as `require_role`."""
        # What is there for an admin alone to find missing, the route finds.
        if caller.role != "admin":
            require_role(caller, project_id, self.role, NotFound(f"There is no project {project_id}."))


def of_row(kind: Kind, role: Role) -> Callable[..., Caller]:
    """A dependency of paths with the `id` of a row: the caller, if of this role or a higher one in the row's project."""

    def allowed(id: Id, caller: AnnotatorCaller, database: Store) -> Caller:
        # As for the caller's token: a session that is closed before the route begins.
        with database.read() as session:
            project_id = memberships.project_of(session, kind, id)
        require_role(caller, project_id, role, _missing(kind, id))
        return caller

    return allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A caller, and their role in the project that a request is about."""

    caller: Caller
    role: str

    @property
    def reviews(self) -> bool:
        """Whether other people's work is theirs to look at and to change."""
        return RANKS.get(self.role, -1) >= RANKS["reviewer"]


def region_member(id: Id, caller: AnnotatorCaller, database: Store) -> Member:
    """A dependency of paths with a region's `id`: a member of its project, whatever their role."""
    with database.read() as session:
        project_id = memberships.project_of(session, "region", id)
    require_role(caller, project_id, "annotator", _missing("region", id))
    return Member(caller=caller, role="admin" if project_id is None else role_in(caller, project_id) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody who may look at a region or an image. own: the annotator whose labels alone they see; None: they see all."""

    caller: Caller
    own: int | None


def viewer(kind: GivenKind) -> Callable[..., Viewer]:
    """A dependency of paths with the `id` of an image or a region: who reviews its project, or was given it to label.

    Annotators were given what they hold now or have labelled, and images of which this is true of a region.
    """

    def allowed(id: Id, caller: AnnotatorCaller, database: Store) -> Viewer:
        with database.read() as session:
            project_id, given = memberships.project_and_given(session, kind, id, caller.id)
        require_role(caller, project_id, "annotator", _missing(kind, id))
        own_only = project_id is not None and role_in(caller, project_id) == "annotator"
        if own_only and not given:
            raise Forbidden(
                f"{caller.name} neither holds {kind} {id} nor has labelled it; the rest of a project is for its reviewers.",
                code="not_given",
            )
        return Viewer(caller=caller, own=caller.id if own_only else None)

    return allowed


def _missing(kind: Kind, number: int) -> NotFound:
    return missing([number]) if kind == "region" else NotFound(f"There is no {kind} {number}.")


Reviewer = Annotated[Caller, Depends(reviewer)]
ProjectAnnotator = Annotated[Caller, Depends(InProject("annotator"))]
ProjectReviewer = Annotated[Caller, Depends(InProject("reviewer"))]
ProjectAdmin = Annotated[Caller, Depends(InProject("admin"))]
ImageAdmin = Annotated[Caller, Depends(of_row("image", "admin"))]
ImageViewer = Annotated[Viewer, Depends(viewer("image"))]
RegionMember = Annotated[Member, Depends(region_member)]
RegionReviewer = Annotated[Caller, Depends(of_row("region", "reviewer"))]
RegionViewer = Annotated[Viewer, Depends(viewer("region"))]
JobReviewer = Annotated[Caller, Depends(of_row("job", "reviewer"))]
JobAdmin = Annotated[Caller, Depends(of_row("job", "admin"))]
RoundAdmin = Annotated[Caller, Depends(of_row("round", "admin"))]
CheckpointAdmin = Annotated[Caller, Depends(of_row("checkpoint", "admin"))]
