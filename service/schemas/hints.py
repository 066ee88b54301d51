"""Hints over the wire: why a region was asked for, and what helps to label it."""

from base64 import b64encode

from pydantic import BaseModel, Field

from service.domain.whys import SeenClass, why
from service.store.hints import Hints


class SeenClassOut(BaseModel):
    """A class that the network predicts in the region."""

    id: int = Field(description="Its value in label maps.", examples=[2])
    name: str = Field(description="What people call it.", examples=["Pole"])
    predicted: float = Field(description="The share of the region's pixels that it is predicted for.", examples=[0.12])
    labelled: float | None = Field(
        description="Its share of all pixels that were labelled by then; null where there were none.", examples=[0.009]
    )


class WhyOut(BaseModel):
    """Why the region was asked for."""

    strategy: str | None = Field(description="What asked for it.", examples=["learned"])
    sentence: str = Field(
        description="In words.", examples=["The network is less sure here than in 93% of this image."]
    )
    uncertainty: float | None = Field(
        description="The mean entropy of the region's pixels over the largest possible, from 0 to 1; null where nothing was "
        "predicted.",
        examples=[0.41],
    )
    above: float | None = Field(
        description="The share of the image's cells of which the network is surer.", examples=[0.93]
    )
    classes: list[SeenClassOut] = Field(description="What the network predicts most, four classes at most.")


class FeaturesOut(BaseModel):
    """What a frozen encoder sees of the region: cells that look alike have values that are near each other."""

    png: str = Field(
        description="An 8-bit PNG in base64: `channels` maps of cells, one below the other; 128 stands for the mean.",
        examples=["iVBORw0KGgo="],
    )
    channels: int = Field(description="Maps in it.", examples=[8])
    stride: float = Field(description="Pixels from one cell to the next.", examples=[8])
    top: float = Field(description="The first row of cells has its centre so many pixels below the region's top edge.")
    left: float = Field(description="The first column, right of its left edge.", examples=[-4])


class HintsOut(BaseModel):
    """What the network knows of a region that is to be labelled, beside its prediction."""

    region_id: int = Field(description="The region.", examples=[17])
    checkpoint_id: int | None = Field(
        description="The network; null where nothing was predicted yet, and there are no hints.", examples=[6]
    )
    why: WhyOut = Field(description="Why it was asked for.")
    uncertainty_png: str | None = Field(
        description="How unsure the network is of each pixel: an 8-bit grey PNG in base64, 255 the least sure. Of a large "
        "region it has fewer pixels, each for a square of the region's.",
        examples=["iVBORw0KGgo="],
    )
    features: FeaturesOut | None = Field(
        description="For fills that look at what is there; null without a frozen encoder."
    )


def hints_out(region_id: int, hints: Hints) -> HintsOut:
    """Hints as the API shows them; classes that there are no more go by what became of them."""
    described = hints.described
    return HintsOut(
        region_id=region_id,
        checkpoint_id=hints.checkpoint_id,
        why=_why(hints),
        uncertainty_png=None if hints.uncertainty is None else b64encode(hints.uncertainty).decode(),
        features=None
        if hints.features is None
        else FeaturesOut(png=b64encode(hints.features).decode(), **described["features"]),
    )


def _why(hints: Hints) -> WhyOut:
    described = hints.described
    names = dict(zip(hints.classes.ids, hints.classes.names, strict=True))
    seen = [
        SeenClass(id=each["id"], name=names[each["id"]], predicted=each["predicted"], labelled=each["labelled"])
        for each in described.get("classes", ())
        if each["id"] in names
    ]
    return WhyOut(
        strategy=hints.strategy,
        sentence=why(hints.strategy, described.get("above"), seen),
        uncertainty=described.get("uncertainty"),
        above=described.get("above"),
        classes=[
            SeenClassOut(id=each.id, name=each.name, predicted=each.predicted, labelled=each.labelled) for each in seen
        ],
    )
