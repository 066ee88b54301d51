"""What a project does to see how well people label: regions whose truth is known, and when somebody is paused for them."""

from pydantic import ConfigDict, Field

from service.schemas.fields import Bounded


class GoldSettings(Bounded):
    """The part of a project's settings about gold regions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gold_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the regions given to each annotator that are gold: cut from images of the split `train` with label "
        "maps. Annotators are not told; no budget is spent and nothing learned from them.",
    )
    gold_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="An annotator whose mIoU over the last `gold_window` gold regions lies below is paused; none: nobody is.",
    )
    gold_window: int = Field(10, ge=1, le=1000, description="Gold regions that this is judged by, and never by fewer.")
