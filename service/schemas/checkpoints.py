"""Network weights over the wire: what is known of them; the file itself has a route of its own."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.fields import Moment

CheckpointKind = Literal["source", "segmenter", "policy", "final"]
UploadKind = Literal["policy"]


class CheckpointOut(BaseModel):
    """Weights of a network."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="The checkpoint's number.", examples=[7])
    project_id: int = Field(description="Whose it is.", examples=[1])
    kind: CheckpointKind = Field(
        description="source: the segmenter that policies train on; segmenter: the one that looks at candidates; policy: what "
        "values them; final: the segmenter trained to convergence.",
        examples=["policy"],
    )
    created_at: Moment = Field(description="When it was saved or came.")
    parent_id: int | None = Field(description="The checkpoint that its training went on from.", examples=[None])
    job_id: int | None = Field(description="The job that made it; null for an uploaded one.", examples=[3])
    description: dict[str, Any] = Field(
        description="What was measured of it; for an uploaded one what its file says of itself, but for long lists.",
        examples=[{"returns": [1.25, 2.5], "best_mean_return": 1.875}],
    )
    weights_gone_at: Moment | None = Field(
        description="When the weights were removed, because nothing needed them any more; null: they are there.",
        examples=[None],
    )
