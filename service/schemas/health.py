"""Health over the wire."""

from typing import Literal

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Always ok: the process answers.")
    version: str = Field(description="The release of regionwise that answers.", examples=["0.1.0"])


class Readiness(BaseModel):
    """Whether requests can be served, and what stands in the way."""

    status: Literal["ready", "degraded", "not_ready"] = Field(
        description="ready where every check is ok; degraded where people can label, but learning is held up; else not_ready."
    )
    checks: dict[str, str] = Field(
        description="`ok` or a sentence for each of database, migrations, blobs and disk, without which nobody can label, and "
        "broker, workers and jobs, without which labels are not learned from. A schema of a later release stops nobody from "
        "labelling.",
        examples=[
            {
                "database": "ok",
                "migrations": "ok",
                "blobs": "ok",
                "disk": "ok",
                "broker": "embedded",
                "workers": "ok",
                "jobs": "ok",
            }
        ],
    )
    stalled: dict[int, str] = Field(
        {},
        description="By the project's number, a sentence on a campaign that stands still because a job has failed. Requests "
        "can be served all the same.",
        examples=[{}],
    )
