"""Annotators over the wire."""

from pydantic import BaseModel, Field

from service.schemas.fields import Input, Moment, Name, Role
from service.tables import Annotator


class AnnotatorIn(Input):
    """Somebody who may call."""

    name: Name = Field(description="Of a person or a program; unlike every other.", examples=["ada"])
    role: Role = Field("annotator", description="An admin may do everything, an annotator may label.")


class AnnotatorOut(BaseModel):
    """Somebody who may call, or might once."""

    id: int = Field(description="The annotator's number.", examples=[3])
    name: str = Field(description="Of a person or a program.", examples=["ada"])
    role: str = Field(description="admin, reviewer or annotator.", examples=["annotator"])
    active: bool = Field(description="Whether the token works.", examples=[True])
    created_at: Moment = Field(description="When the annotator was added.")


class AnnotatorCreated(AnnotatorOut):
    """An annotator with a new token, which is never shown again."""

    token: str = Field(description="Send it as `Authorization: Bearer ...`; it is stored nowhere.", examples=["rw_..."])
    expires_at: Moment | None = Field(description="When the token runs out; null where it does not.")


def annotator_out(annotator: Annotator) -> AnnotatorOut:
    """An annotator as the API shows it."""
    return AnnotatorOut.model_validate(annotator, from_attributes=True)
