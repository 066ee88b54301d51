"""Labels that were made elsewhere, over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from service.schemas.fields import Input, Sentence, at_most

MOST_LABEL_MAPS = 100  # of a request
Side = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, StringConstraints(max_length=255)]


class OriginIn(Input):
    """A region as it was labelled elsewhere; what is known of its label is kept beside it."""

    x: Side = Field(description="Left edge in the image.", examples=[160])
    y: Side = Field(description="Top edge in the image.", examples=[90])
    width: Side = Field(description="Pixels.", examples=[80])
    height: Side = Field(description="Pixels.", examples=[90])
    annotator: Text | None = Field(None, description="Who made the label.", examples=["ada"])
    labelled_at: Text | None = Field(None, description="When.", examples=["2026-01-05T12:00:00+00:00"])
    version: int | None = Field(None, ge=1, lt=2**31, description="Which version it was there.", examples=[2])
    seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False, description="How long it took.")
    round: int | None = Field(None, ge=1, lt=2**31, description="The round that asked for it there.", examples=[3])
    strategy: Text | None = Field(None, description="What chose it there.", examples=["entropy"])


class OriginsIn(Input):
    """Where label maps come from."""

    source: Sentence | None = Field(None, description="In a sentence.", examples=["Export of streets, 2026-01-05."])
    images: Annotated[
        dict[Text, Annotated[list[OriginIn], Field(max_length=100_000, fail_fast=True)]], at_most(MOST_LABEL_MAPS)
    ] = Field(
        default_factory=dict,
        max_length=MOST_LABEL_MAPS,
        description="By the name of an image, as its label map is called, its regions: where cells can be divided, they are "
        "divided as these are.",
    )


class ImportedRegion(BaseModel):
    """What became of a region that a label map covers."""

    region_id: int = Field(description="The region's number.", examples=[17])
    status: Literal["labelled", "unchanged", "replaced", "differs", "held", "skipped"] = Field(
        description="labelled: its first label; unchanged: it has the same pixels already; replaced: a new version; differs: it "
        "has other pixels, which stay; held: another annotator has it now; skipped: it was set aside."
    )
    version: int = Field(description="Of the label that counts now; 0: none.", examples=[1])


class ImportedImage(BaseModel):
    """What became of a label map."""

    image_id: int = Field(description="The image's number.", examples=[12])
    name: str = Field(description="The image's name.", examples=["0016E5_00390.png"])
    regions: list[ImportedRegion] = Field(description="The regions that are labelled as a whole.")
    partly: int = Field(description="Regions of which only some pixels are labelled: they are left as they are.")
    empty: int = Field(
        description="Regions without a pixel of any class, where no mask says that they are labelled: left as they are."
    )


class LabelsImported(BaseModel):
    """What became of label maps, in the order of the files."""

    round: int | None = Field(
        description="The round that regions which nobody had asked for were put into, to be learned from; null without any.",
        examples=[4],
    )
    items: list[ImportedImage] = Field(description="One for each label map.")
