"""Health over the wire."""

from typing import Literal

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Always ok: the process answers.")
    version: str = Field(description="The release of regionwise that answers.", examples=["0.1.0"])


class Readiness(BaseModel):
    """Whether requests can be served, and what stands in the way."""

    status: Literal["ready", "not_ready"] = Field(description="ready where every check is ok.")
    checks: dict[str, str] = Field(
        description="`ok` or a sentence for each of database, migrations, blobs and broker.",
        examples=[{"database": "ok", "migrations": "ok", "blobs": "ok", "broker": "embedded"}],
    )
    stalled: dict[int, str] = Field(
        {},
        description="By the project's number, a sentence on a campaign that stands still because a job has failed. Requests "
        "can be served all the same.",
        examples=[{}],
    )
