"""How many people label a region of a project, when they agree, who looks at it then, and what is learned from."""

from typing import Literal

from pydantic import ConfigDict, Field

from service.domain.agreement import Rule
from service.schemas.fields import Bounded

Review = Literal["disagreement", "all"]
LearnFrom = Literal["newest", "majority", "reviewed"]


class QualitySettings(Bounded):
    """The part of a project's settings that says how much its labels are looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap: int = Field(
        1, ge=1, le=9, description="Annotators who label each region; a region keeps what it was proposed with."
    )
    agreement: Rule = Field(
        "miou",
        description="When several label maps agree: each pair has an mIoU of agreement_threshold or more; or (majority) that "
        "share of the pixels has one class in more than half of them.",
    )
    agreement_threshold: float = Field(0.8, ge=0, le=1, description="What it takes to agree, from 0 to 1.")
    review: Review = Field(
        "disagreement", description="What waits for a reviewer: regions whose label maps do not agree, or all."
    )
    learn_from: LearnFrom = Field(
        "newest",
        description="What is learned from of a region on which several agree. newest: what most of them say of a pixel, or the "
        "newest label where no class has more than half; majority: the same, but such pixels are ignored; reviewed: nothing but "
        "what a reviewer accepted, corrected or imported, so that every region waits for one.",
    )
