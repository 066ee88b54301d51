"""Sessions of browsers over the wire."""

from pydantic import BaseModel, Field

from service.schemas.fields import Input, Moment


class SessionIn(Input):
    """Logging a browser in."""

    token: str = Field(min_length=1, max_length=200, description="A token of yours.", examples=["rw_..."])


class WhoOut(BaseModel):
    """Who is calling."""

    annotator_id: int = Field(description="The annotator's number.", examples=[3])
    name: str = Field(description="Of a person or a program.", examples=["ada"])
    role: str = Field(description="On the server: admin, reviewer or annotator.", examples=["annotator"])
    projects: dict[int, str] = Field(
        description="Their role in each project that they are a member of; admins of the server see all.",
        examples=[{"1": "reviewer"}],
    )


class SessionOut(WhoOut):
    """A browser that is logged in."""

    expires_at: Moment = Field(description="When it has to log in again.")
