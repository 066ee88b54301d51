"""Regions to look through, over the wire."""

from pydantic import BaseModel, Field

from service.domain.classes import ClassSet
from service.domain.label_kinds import LabelKind
from service.schemas.fields import Moment
from service.schemas.regions import RegionOut, RegionStateName, region_out
from service.store.gallery import Shown


class ShownLabel(BaseModel):
    """The version of a region's label that counts, with what it holds."""

    id: int = Field(description="The label's number.", examples=[230])
    version: int = Field(description="Counted from 1.", examples=[1])
    kind: LabelKind = Field(description="Who or what it was made by.", examples=["annotated"])
    class_counts: dict[str, int] = Field(
        description="Pixels of each class by name; ignored pixels are left out.", examples=[{"Road": 7000, "Car": 200}]
    )
    created_at: Moment = Field(description="When it came.")


class ShownRegion(RegionOut):
    """A region, why it was asked for, and what people made of it."""

    state: RegionStateName = Field(description="What became of it.", examples=["labelled"])
    skip_reason: str | None = Field(description="Why it was skipped.", examples=[None])
    strategy: str | None = Field(
        description="How its round was chosen, which gave the score; null: not known.", examples=["learned"]
    )
    label: ShownLabel | None = Field(description="Its label, if there is one.")
    label_url: str | None = Field(description="Path of its label map.", examples=["/regions/17/label"])
    labels: int = Field(description="Versions of its label.", examples=[2])
    authors: list[str] = Field(description="The names of those who drew labels of it.", examples=[["ada", "bob"]])
    least_miou: float | None = Field(
        description="mIoU of the two people's labels that agree least; null where no two were compared.",
        examples=[0.81],
    )


def shown_region(shown: Shown, classes: ClassSet) -> ShownRegion:
    """A region to look at as the API shows it."""
    placed, label = shown.placed, shown.label
    return ShownRegion.model_validate(
        {
            **dict(region_out(placed)),
            "state": placed.state,
            "skip_reason": placed.skip_reason,
            "strategy": shown.strategy,
            "label": None
            if label is None
            else ShownLabel(
                id=label.id,
                version=label.version,
                kind=label.kind,
                class_counts=dict(
                    zip(classes.names, classes.counts_now([label.class_counts])[0].tolist(), strict=True)
                ),
                created_at=label.created_at,
            ),
            "label_url": None if label is None else f"/regions/{placed.id}/label",
            "labels": shown.labels,
            "authors": list(shown.authors),
            "least_miou": shown.least_miou,
        }
    )
