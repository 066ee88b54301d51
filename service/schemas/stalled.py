"""What stands in a campaign's way, over the wire."""

from pydantic import BaseModel, ConfigDict, Field


class StalledOut(BaseModel):
    """A round that does not come further, and the job that it needs."""

    model_config = ConfigDict(from_attributes=True)

    round_id: int = Field(description="The round's number in the database, for POST /rounds/{id}/close.", examples=[12])
    round: int = Field(description="The round, counted from 1.", examples=[3])
    job_id: int = Field(description="The job, for POST /jobs/{id}/retry.", examples=[41])
    kind: str = Field(description="ask or tell.", examples=["tell"])
    failed: bool = Field(description="Whether it has failed for good; else it will be tried again.", examples=[True])
    sentence: str = Field(description="Why the last try failed.", examples=["OSError: No space left on device"])
