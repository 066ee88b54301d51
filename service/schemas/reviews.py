"""Reviews over the wire: what reviewers decide, what waits for them, and the versions of a region's label."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from service.domain.label_kinds import LabelKind
from service.schemas.fields import Moment, Sentence
from service.schemas.labels import MaskForm, MaskIn
from service.schemas.paging import MAX_ID
from service.schemas.regions import RegionOut, region_out
from service.store.own_work import Done
from service.store.reviews import Decided, Waiting
from service.tables import Label, Review

Decision = Literal["accepted", "corrected", "rejected"]

_DECISION = (
    "accepted: the label counts; corrected: the label map that is sent counts; rejected: the region is labelled anew."
)
_LABEL = "The label that this is about; may be left out where there is one, and for rejected: then all drawn ones are."
_REASON = "Why; needed where a label is rejected, and shown to who drew it."


class ReviewIn(MaskIn):
    """What a reviewer decides about a label of a region, with a label map where it is corrected."""

    decision: Decision = Field(description=_DECISION, examples=["accepted"])
    label_id: int | None = Field(None, ge=1, le=MAX_ID, description=_LABEL, examples=[230])
    reason: Sentence | None = Field(None, description=_REASON, examples=["The kerb is missing."])

    @model_validator(mode="after")
    def _as_decided(self) -> Self:
        _require_complete(self, self.mask_png is not None or self.rle is not None)
        return self


class ReviewForm(MaskForm):
    """The same as a form, for `curl -F`."""

    decision: Decision = Field(description=_DECISION)
    label_id: int | None = Field(None, ge=1, le=MAX_ID, description=_LABEL)
    reason: Sentence | None = Field(None, description=_REASON)

    @model_validator(mode="after")
    def _as_decided(self) -> Self:
        _require_complete(self, self.mask is not None)
        return self


def _require_complete(sent: ReviewIn | ReviewForm, has_mask: bool) -> None:
    if has_mask != (sent.decision == "corrected"):
        raise ValueError("A label map is needed where the decision is corrected, and only there")
    if sent.decision == "rejected" and sent.reason is None:
        raise ValueError("Say the reason why the label is rejected: who drew it is told")


class ReviewOut(BaseModel):
    """A reviewer's decision about a label."""

    id: int = Field(description="The review's number.", examples=[7])
    region_id: int = Field(description="The region.", examples=[17])
    label_id: int = Field(description="The label that it is about.", examples=[230])
    reviewer_id: int = Field(description="Who decided.", examples=[2])
    decision: Decision = Field(description="What was decided.", examples=["accepted"])
    reason: str = Field(description="Why; empty where nothing was said.", examples=[""])
    result_label_id: int | None = Field(description="The version that counts after it, if one does.", examples=[231])
    created_at: Moment = Field(description="When.")


class ReviewsOut(BaseModel):
    """What was written, and what became of the region."""

    reviews: list[ReviewOut] = Field(description="One for each label that the decision is about.")
    state: Literal["open", "review", "labelled", "skipped"] = Field(
        description="What became of the region.", examples=["labelled"]
    )


class VersionOut(BaseModel):
    """A version of a region's label."""

    id: int = Field(description="The label's number.", examples=[230])
    version: int = Field(description="Counted from 1; the highest counts once the region is labelled.", examples=[1])
    kind: LabelKind = Field(
        description="annotated: as somebody drew it; imported; agreed: what most of several said who agree; accepted or "
        "corrected by a reviewer; migrated: after a change of classes.",
        examples=["annotated"],
    )
    annotator_id: int = Field(description="Whose pixels these are; of agreed ones, who was the last.", examples=[3])
    annotator_name: str = Field(description="Their name.", examples=["ada"])
    corrects_id: int | None = Field(description="The label that it was made from, if any.", examples=[None])
    seconds: float | None = Field(description="How long it took, if told.", examples=[41.5])
    created_at: Moment = Field(description="When it came.")
    mask_url: str = Field(description="Path of its label map.", examples=["/regions/17/labels/1"])


class WaitingRegion(RegionOut):
    """A region that waits for a review."""

    labels: list[VersionOut] = Field(description="The newest label of each annotator that stands, oldest first.")


class DoneOut(BaseModel):
    """A region that the caller has labelled or skipped."""

    region_id: int = Field(description="The region.", examples=[17])
    project_id: int = Field(description="Its project.", examples=[1])
    image_name: str = Field(description="Its image's name.", examples=["0016E5_00390.png"])
    done: Literal["labelled", "skipped"] = Field(description="What the caller did.", examples=["labelled"])
    at: Moment = Field(description="When.")
    state: Literal["open", "review", "labelled", "skipped"] = Field(
        description="What has become of the region.", examples=["labelled"]
    )
    skip_reason: str | None = Field(description="Why it was skipped.", examples=[None])
    label_id: int | None = Field(description="The caller's newest label of it.", examples=[230])
    decision: Decision | None = Field(description="What a reviewer decided about that label.", examples=[None])
    reason: str | None = Field(description="What the reviewer said.", examples=[None])


def review_out(review: Review) -> ReviewOut:
    """A review as the API shows it."""
    return ReviewOut.model_validate(review, from_attributes=True)


def reviews_out(decided: Decided) -> ReviewsOut:
    """A decision as the API answers it."""
    return ReviewsOut.model_validate(
        {"reviews": [review_out(each) for each in decided.reviews], "state": decided.region.state}
    )


def version_out(label: Label, names: Mapping[int, str]) -> VersionOut:
    """A version as the API shows it; names: of annotators."""
    made = {
        "mask_url": f"/regions/{label.region_id}/labels/{label.version}",
        "annotator_name": names[label.annotator_id],
    }
    values = {name: getattr(label, name) for name in VersionOut.model_fields if name not in made}
    return VersionOut.model_validate({**values, **made})


def waiting_out(waiting: Waiting, names: Mapping[int, str]) -> WaitingRegion:
    """A region that waits for a review as the API shows it; names: of annotators."""
    labels = [version_out(each, names) for each in waiting.labels]
    return WaitingRegion(**dict(region_out(waiting.placed)), labels=labels)


def done_out(done: Done) -> DoneOut:
    """Own work as the API shows it."""
    values = {name: getattr(done, name) for name in DoneOut.model_fields if name != "done"}
    return DoneOut.model_validate({**values, "done": done.what})
