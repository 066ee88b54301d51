"""Deletions over the wire: what went."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

Confirm = Annotated[
    str | None,
    Query(
        max_length=255,
        description="The name of what is to be deleted. Without it nothing is: the answer is 409 and says what would go.",
    ),
]


Force = Annotated[
    bool,
    Query(
        description="Delete labels too that no export has. Without it they are a 409: `GET /projects/{id}/export`, taken to its "
        "end, has all but where `only` is `complete`."
    ),
]


class Deleted(BaseModel):
    """How many of each were deleted."""

    model_config = ConfigDict(from_attributes=True)

    images: int = Field(description="Images, with their label maps.", examples=[12])
    regions: int = Field(description="Regions that were asked for.", examples=[48])
    labels: int = Field(description="Those of them that were labelled.", examples=[24])
    rounds: int = Field(description="Rounds.", examples=[2])
    checkpoints: int = Field(description="Networks.", examples=[4])
    jobs: int = Field(description="Jobs.", examples=[5])
