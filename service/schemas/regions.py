"""Regions over the wire: x and y count pixels from the image's left and top."""

from typing import Literal

from pydantic import BaseModel, Field

from service.schemas.fields import Input, Moment, Sentence
from service.schemas.images import image_url
from service.store.leases import Given
from service.store.regions import Placed
from service.tables import Label, Lease

RegionStateName = Literal["open", "review", "labelled", "skipped"]


class RegionOut(BaseModel):
    """A cell of an image's grid that was proposed for labelling."""

    id: int = Field(description="The region's number.", examples=[17])
    project_id: int = Field(description="The project's number.", examples=[1])
    round: int = Field(description="The round that proposed it, counted from 1.", examples=[3])
    image_id: int = Field(description="The image's number.", examples=[12])
    image_name: str = Field(description="The image's name.", examples=["0016E5_00390.png"])
    x: int = Field(description="Left edge in the image.", examples=[160])
    y: int = Field(description="Top edge in the image.", examples=[90])
    width: int = Field(description="Pixels.", examples=[80])
    height: int = Field(description="Pixels.", examples=[90])
    score: float = Field(description="What the strategy gave it; higher is more wanted.", examples=[0.73])
    image_url: str = Field(description="Path of the whole image.", examples=["/images/12/file"])
    crop_url: str = Field(description="Path of the region's pixels.", examples=["/regions/17/crop"])
    context_url: str = Field(
        description="Path of the region with pixels around it.", examples=["/regions/17/context?margin=64"]
    )
    prediction_url: str | None = Field(
        description="Path of the network's label map, to start from; null where there is none.",
        examples=["/regions/17/prediction"],
    )
    prediction_checkpoint_id: int | None = Field(
        description="The checkpoint that made that label map; another one may, until the region is labelled.",
        examples=[6],
    )


class LeasedRegion(RegionOut):
    """A region that the caller holds."""

    lease_token: str = Field(description="Send it with the label.", examples=["41-9f86d081884c7d659a2feaa0c55ad015"])
    lease_expires_at: Moment = Field(description="Until when nobody else gets the region.")


Reason = Literal[
    "scoring", "all_leased", "in_review", "budget_reached", "pool_empty", "not_started", "held", "failed", "paused"
]


class NextRegions(BaseModel):
    """The regions that the caller holds now, or why there are none."""

    items: list[LeasedRegion] = Field(
        description="The caller's open leases first, then what was rejected, what waits for another opinion, and new ones by "
        "round and score."
    )
    reason: Reason | None = Field(
        description="Why there is nothing: regions are being chosen; others hold what there is, or it is for others to label "
        "(all_leased); what is left waits for reviewers; as much as the budget allows is labelled; all of the pool is; "
        "the campaign is paused or has no images in the pool; the caller holds as many regions as one may (held), which are busy "
        "just now; a job that the campaign needs has failed, and an admin must act; the caller is paused in the project. Null "
        "where there is something.",
        examples=[None],
    )
    retry_after: int | None = Field(description="Seconds until asking again may help.", examples=[None])
    job_id: int | None = Field(None, description="Where the reason is failed: the job's number.", examples=[None])
    sentence: str | None = Field(
        None, description="Where the reason is failed or paused: why, and what to do.", examples=[None]
    )


class LatestLabel(BaseModel):
    """The version of a region's label that counts."""

    id: int = Field(description="The label's number.", examples=[230])
    version: int = Field(description="Counted from 1.", examples=[1])
    annotator_id: int = Field(description="Who made it.", examples=[3])
    seconds: float | None = Field(description="How long it took, if told.", examples=[41.5])
    created_at: Moment = Field(description="When it came.")


class RegionDetail(RegionOut):
    """A region and what became of it."""

    state: RegionStateName = Field(description="What became of it.", examples=["labelled"])
    skip_reason: str | None = Field(description="Why it was skipped.", examples=[None])
    leased_until: Moment | None = Field(description="Until when somebody holds it; null where nobody does.")
    label: LatestLabel | None = Field(description="Its label, if there is one.")
    label_url: str | None = Field(description="Path of its label map.", examples=["/regions/17/label"])
    overlap: int = Field(description="Annotators who are asked for a label of it.", examples=[1])
    answers: int = Field(description="Of them, those whose label is there and was not rejected.", examples=[1])
    rejected: str | None = Field(
        description="Why a reviewer rejected a label of it last; an annotator is told of their own.", examples=[None]
    )


class LeaseOut(BaseModel):
    """A lease of the caller."""

    region_id: int = Field(description="The region that is held.", examples=[17])
    lease_token: str = Field(description="The token, as before.", examples=["41-9f86d081884c7d659a2feaa0c55ad015"])
    lease_expires_at: Moment = Field(description="Until when nobody else gets the region.")


class RenewIn(Input):
    """Holding a region for longer."""

    lease_token: str = Field(max_length=100, description="The token that came with the region.")


class ReleaseIn(Input):
    """Giving a region back."""

    lease_token: str | None = Field(
        None,
        max_length=100,
        description="The token that came with the region. Reviewers may leave it out, and free what another holds.",
    )


class SkipIn(Input):
    """Setting a region aside."""

    lease_token: str | None = Field(
        None,
        max_length=100,
        description="The token that came with the region. Reviewers may leave it out where nobody holds the region.",
    )
    reason: Sentence = Field(description="Why nobody can label it.", examples=["The image is blurred."])


class RegionState(BaseModel):
    """What became of a region."""

    id: int = Field(description="The region's number.", examples=[17])
    state: RegionStateName = Field(description="What became of it.", examples=["skipped"])
    skip_reason: str | None = Field(description="Why it was skipped.", examples=["The image is blurred."])


class Unskipped(BaseModel):
    """What became of a region that was skipped."""

    id: int = Field(description="The region's number.", examples=[17])
    state: Literal["open", "withdrawn"] = Field(
        description="open: it is given out again; withdrawn: its round is over, so that the region is gone and its pixels are in "
        "the pool again, for later rounds.",
        examples=["open"],
    )


def region_out(placed: Placed) -> RegionOut:
    """A region as the API shows it."""
    path = f"/regions/{placed.id}"
    return RegionOut(
        id=placed.id,
        project_id=placed.project_id,
        round=placed.round_number,
        image_id=placed.image_id,
        image_name=placed.image_name,
        x=placed.box.col,
        y=placed.box.row,
        width=placed.box.width,
        height=placed.box.height,
        score=placed.score,
        image_url=image_url(placed.image_id),
        crop_url=f"{path}/crop",
        context_url=f"{path}/context?margin=64",
        prediction_url=f"{path}/prediction" if placed.has_prediction else None,
        prediction_checkpoint_id=placed.prediction_checkpoint_id,
    )


def leased_region(placed: Placed, lease: Given, token: str) -> LeasedRegion:
    """A region that the caller holds by this token."""
    return LeasedRegion(**dict(region_out(placed)), lease_token=token, lease_expires_at=lease.expires_at)


def region_detail(placed: Placed, lease: Lease | None, label: Label | None, rejected: str | None) -> RegionDetail:
    """A region and what became of it; `lease` is one that has not run out."""
    return RegionDetail(
        **dict(region_out(placed)),
        state=placed.state,
        skip_reason=placed.skip_reason,
        leased_until=None if lease is None else lease.expires_at,
        label=None if label is None else LatestLabel.model_validate(label, from_attributes=True),
        label_url=None if label is None else f"/regions/{placed.id}/label",
        overlap=placed.overlap,
        answers=placed.answers,
        rejected=rejected,
    )
