"""What a project lets one annotator do: how much to hold, for how long, and to skip."""

from pydantic import ConfigDict, Field

from service.schemas.fields import Bounded


class LeaseSettings(Bounded):
    """The part of a project's settings that keeps one annotator from stopping or emptying a campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_held: int = Field(16, ge=1, le=4096, description="Regions that one annotator may hold at once.")
    max_lease_minutes: float = Field(
        120.0, gt=0, le=10_080, description="How long a lease may last with renewals; at least as long as without."
    )
    max_skip_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of a round's regions that one annotator may skip, but three in any case; reviewers and admins may "
        "skip more.",
    )
    max_round_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of a round that one annotator is given, but no less than there is for each where all take part; 1: no "
        "cap.",
    )
