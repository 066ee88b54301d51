"""Labels over the wire."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from service.domain.classes import ClassSet
from service.domain.masks import LONGEST_NUMBER
from service.domain.regions import LONGEST_SIDE
from service.schemas.fields import Input, at_most
from service.schemas.paging import MAX_ID
from service.store.labels import Stored

MAX_LABELS = 200
MOST_CLASSES = 256
ClassId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,2})$")]

# Of the largest region: runs are at most its pixels and an empty one, each of 7 characters at most where they are packed;
# a PNG that nothing could be saved of has a byte more for each row and some for its blocks, its palette and its header.
_MOST_PIXELS = LONGEST_SIDE**2
_MOST_PNG = (LONGEST_SIDE + 1) * LONGEST_SIDE * 1001 // 1000 + 4096

_REGION = "The region that the label map is of."
_TOKEN = "The token that came with the region."
_SECONDS = "How long it took to label, without `idle_seconds`."
_IDLE = "How long nothing was done meanwhile: no part of what labels cost."


class Rle(Input):
    """A mask in COCO's run-length encoding, as pycocotools writes it."""

    size: list[Annotated[int, Field(ge=1, le=LONGEST_SIDE)]] = Field(
        min_length=2, max_length=2, description="Height and width.", examples=[[90, 80]]
    )
    counts: (
        Annotated[str, StringConstraints(max_length=LONGEST_NUMBER * (_MOST_PIXELS + 1))]
        | Annotated[
            list[Annotated[int, Field(ge=0, le=_MOST_PIXELS)]], Field(max_length=_MOST_PIXELS + 1, fail_fast=True)
        ]
    ) = Field(
        description="Lengths of runs down the columns, unset first; compressed, or as a list. No more than there are pixels and "
        "one, and no two in a row of 0.",
        examples=[[0, 7200]],
    )

    @model_validator(mode="after")
    def _no_more_runs_than_pixels(self) -> Self:
        pixels = self.size[0] * self.size[1]
        most = pixels + 1 if isinstance(self.counts, list) else LONGEST_NUMBER * (pixels + 1)
        if len(self.counts) > most:
            raise ValueError(f"counts is longer than a mask of {pixels} pixels can make it")
        return self


class MaskIn(Input):
    """The label map of a region: as PNG, or as one RLE for each class."""

    mask_png: str | None = Field(
        None,
        max_length=_MOST_PNG * 4 // 3 + 100,
        description="An 8-bit PNG of class ids, grey or palette, of the region's size, in base64.",
    )
    rle: Annotated[dict[ClassId, Rle], Field(max_length=MOST_CLASSES), at_most(MOST_CLASSES)] | None = Field(
        None,
        description="From class id to the pixels of that class; pixels of no class are ignored.",
        examples=[{"3": {"size": [90, 80], "counts": [0, 7200]}}],
    )
    seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description=_SECONDS, examples=[41.5])
    idle_seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description=_IDLE, examples=[12.0])

    @model_validator(mode="after")
    def _at_most_one_mask(self) -> Self:
        if self.mask_png is not None and self.rle is not None:
            raise ValueError("Either mask_png or rle is needed, and not both")
        return self


class LabelIn(MaskIn):
    """The label map of one region: as PNG, or as one RLE for each class."""

    region_id: int = Field(ge=1, le=MAX_ID, description=_REGION, examples=[17])
    lease_token: str = Field(max_length=100, description=_TOKEN, examples=["41-9f86d081884c7d659a2feaa0c55ad015"])

    @model_validator(mode="after")
    def _one_mask(self) -> Self:
        if self.mask_png is None and self.rle is None:
            raise ValueError("Either mask_png or rle is needed, and not both")
        return self


class LabelsIn(Input):
    """Label maps of one or many regions; all are stored, or none."""

    labels: list[LabelIn] = Field(
        fail_fast=True, min_length=1, max_length=MAX_LABELS, description="One for each region."
    )


class MaskForm(BaseModel):
    """The label map of a region as a field of a form."""

    mask: bytes | None = Field(
        None,
        max_length=_MOST_PNG,
        description="An 8-bit PNG of class ids, grey or palette, of the region's size.",
        json_schema_extra={"format": "binary"},
    )
    seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description=_SECONDS)
    idle_seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description=_IDLE)


class LabelForm(MaskForm):
    """The label map of one region as a form, for `curl -F`."""

    region_id: int = Field(ge=1, le=MAX_ID, description=_REGION, examples=[17])
    lease_token: str = Field(max_length=100, description=_TOKEN)
    mask: bytes = Field(
        max_length=_MOST_PNG,
        description="An 8-bit PNG of class ids, grey or palette, of the region's size.",
        json_schema_extra={"format": "binary"},
    )


class LabelOut(BaseModel):
    """A stored label."""

    id: int = Field(description="The label's number.", examples=[230])
    region_id: int = Field(description="The region that it is of.", examples=[17])
    version: int = Field(description="Counted from 1; the highest counts.", examples=[1])
    created: bool = Field(description="False where the same pixels were there already.", examples=[True])
    class_counts: dict[str, int] = Field(
        description="Pixels of each class by name; ignored pixels are left out.", examples=[{"Road": 7000, "Car": 200}]
    )


class LabelsOut(BaseModel):
    """The stored labels, in the order they were sent."""

    labels: list[LabelOut] = Field(description="One for each that was sent.")


def label_out(stored: Stored, classes: ClassSet) -> LabelOut:
    """A stored label as the API shows it."""
    label = stored.label
    return LabelOut(
        id=label.id,
        region_id=label.region_id,
        version=label.version,
        created=stored.created,
        class_counts=dict(zip(classes.names, classes.counts_now([label.class_counts])[0].tolist(), strict=True)),
    )
