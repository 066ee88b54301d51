"""Members of projects over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.schemas.fields import Input, Moment, Name, Role, Sentence
from service.store.memberships import Member

_MAY = "An admin of a project changes it and its members, a reviewer sees all of it, an annotator what they are given to label."


class MemberIn(Input):
    """Somebody who is to be a member of a project."""

    name: Name = Field(description="Of somebody who may call.", examples=["ada"])
    role: Role | None = Field(None, description=f"{_MAY} Null: the role that they have on the server.")


class MemberPatch(Input):
    """Another role for a member."""

    role: Role = Field(description=_MAY, examples=["reviewer"])


class PauseIn(Input):
    """Giving somebody no more regions."""

    reason: Sentence = Field(description="What they are told.", examples=["Please read the guide on fences again."])


Members = Literal["everyone"] | Annotated[list[MemberIn], Field(max_length=1000)]


class MemberOut(BaseModel):
    """Somebody of a project."""

    annotator_id: int = Field(description="The annotator's number.", examples=[3])
    name: str = Field(description="Of a person or a program.", examples=["ada"])
    role: str = Field(description="admin, reviewer or annotator, in this project.", examples=["annotator"])
    active: bool = Field(description="Whether they may call at all.", examples=[True])
    created_at: Moment = Field(description="Since when they are a member.")
    paused_at: Moment | None = Field(description="Since when no regions are given to them; null: they are not paused.")
    pause_reason: str | None = Field(description="What they are told of it.", examples=[None])


def member_out(member: Member) -> MemberOut:
    """A member as the API shows them."""
    return MemberOut(
        annotator_id=member.annotator.id,
        name=member.annotator.name,
        role=member.membership.role,
        active=member.annotator.active,
        created_at=member.membership.created_at,
        paused_at=member.membership.paused_at,
        pause_reason=member.membership.pause_reason,
    )
