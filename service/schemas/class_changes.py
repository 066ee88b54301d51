"""Changes of a project's classes over the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from service.class_changing import Changed, Order
from service.domain import class_changes as domain
from service.domain.classes import ClassSet
from service.schemas.fields import Input, Name
from service.schemas.projects import ClassOut, RetiredOut, class_outs, retired_outs
from service.tables import ClassChange

_ID = "The class's id."
_COLOR = "Red, green and blue, 0 to 255 each."
MOST_LEFT = 1000

ClassId = Annotated[int, Field(ge=0, le=255)]
Color = Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)]


class RenameIn(Input):
    """Call a class otherwise."""

    kind: Literal["rename"]
    id: ClassId = Field(description=_ID, examples=[3])
    name: Name = Field(description="Its new name.", examples=["Carriageway"])

    def order(self) -> Order:
        """What is asked for."""
        return Order(told=_told(self), changed=lambda classes: domain.renamed(classes, self.id, self.name))


class RecolourIn(Input):
    """Give a class another colour."""

    kind: Literal["recolour"]
    id: ClassId = Field(description=_ID, examples=[3])
    color: Color = Field(description=_COLOR, examples=[[128, 64, 128]])

    def order(self) -> Order:
        """What is asked for."""
        r, g, b = self.color
        return Order(told=_told(self), changed=lambda classes: domain.recoloured(classes, self.id, (r, g, b)))


class AddIn(Input):
    """Add a class. Labels stay as they are."""

    kind: Literal["add"]
    name: Name = Field(description="What people call it.", examples=["Bus"])
    color: Color = Field(description=_COLOR, examples=[[0, 60, 100]])
    id: ClassId | None = Field(None, description="Its id, which no class ever had; null: the next that is free.")
    part_of: list[ClassId] = Field(
        [],
        alias="from",
        max_length=255,
        description="Classes that its pixels were labelled as so far: `regions` of the change lists where there are any.",
        examples=[[8]],
    )

    def order(self) -> Order:
        """What is asked for."""
        r, g, b = self.color

        def changed(classes: ClassSet) -> ClassSet:
            for each in self.part_of:
                domain.class_of(classes, each)
            return domain.added(classes, name=self.name, color=(r, g, b), class_id=self.id)

        return Order(told=_told(self), changed=changed)


class MergeIn(Input):
    """Make classes part of another: their pixels are its from now on."""

    kind: Literal["merge"]
    ids: list[ClassId] = Field(min_length=1, max_length=254, description="The classes that go.", examples=[[9, 10]])
    into: ClassId = Field(description="The class that they become part of.", examples=[8])

    def order(self) -> Order:
        """What is asked for."""
        return Order(told=_told(self), changed=lambda classes: domain.merged(classes, self.ids, self.into))


class RemoveIn(Input):
    """Take a class away."""

    kind: Literal["remove"]
    id: ClassId = Field(description=_ID, examples=[7])
    into: ClassId | None = Field(
        description="The class that its pixels are of from now on; null: ignored.", examples=[1]
    )

    def order(self) -> Order:
        """What is asked for."""
        return Order(told=_told(self), changed=lambda classes: domain.removed(classes, self.id, self.into))


ClassChangeIn = Annotated[RenameIn | RecolourIn | AddIn | MergeIn | RemoveIn, Field(discriminator="kind")]


def _told(change: Input) -> dict[str, Any]:
    return change.model_dump(mode="json", by_alias=True)


class ClassChangeOut(BaseModel):
    """A change of a project's classes, as it was done."""

    number: int = Field(description="Counted from 1 in the project.", examples=[1])
    kind: str = Field(description="rename, recolour, add, merge, remove or revert.", examples=["merge"])
    change: dict[str, Any] = Field(
        description="What it was told, and the labels and predictions that were changed by it."
    )
    reverts: int | None = Field(description="The number of the change that it takes back.", examples=[None])
    annotator_id: int | None = Field(description="Whose change it is.", examples=[1])
    created_at: datetime = Field(description="When it was made.")
    classes: list[ClassOut] = Field(description="The classes after it, in order.")
    retired: list[RetiredOut] = Field(description="After it, the classes that there are no more.")


class ClassChangeDone(BaseModel):
    """What a change of classes does, or would do."""

    number: int | None = Field(description="Counted from 1 in the project; null where nothing was done.", examples=[1])
    dry_run: bool = Field(description="Whether it was only looked at.", examples=[False])
    classes: list[ClassOut] = Field(description="The classes after it, in order.")
    retired: list[RetiredOut] = Field(description="After it, the classes that there are no more.")
    labels: int = Field(description="Regions whose label gets a new version.", examples=[12])
    pixels_before: dict[str, int] = Field(description="Pixels of each class in those labels before.")
    pixels_after: dict[str, int] = Field(description="Pixels of each class in them after it.")
    label_maps: int = Field(
        description="Images with a label map, gold truth among them, that holds such pixels: it stays, and is read otherwise.",
        examples=[3],
    )
    label_map_pixels: int = Field(description="Pixels of those that are read otherwise.", examples=[4096])
    predictions: int = Field(description="Predictions of regions that wait for a label that change.", examples=[8])
    left: list[int] = Field(
        description=f"Of what takes a change back: regions that were labelled since, and stay as they are; {MOST_LEFT} at most."
    )
    left_regions: int = Field(description="How many there are of those.", examples=[0])


class ClassRegionOut(BaseModel):
    """A labelled region that a change of classes is about."""

    region_id: int = Field(description="The region's number.", examples=[17])
    pixels: int = Field(description="Its pixels of the classes in question.", examples=[230])


class ClassRegionsOut(BaseModel):
    """Labelled regions that a change of classes is about, most pixels first."""

    items: list[ClassRegionOut] = Field(description="The regions of this page.")
    next: int | None = Field(description="Pass it as `after` for the next page; null on the last.", examples=[100])


def change_out(change: ClassChange) -> ClassChangeOut:
    """A change as the API shows it."""
    after = ClassSet.from_json(change.classes_after)
    return ClassChangeOut(
        number=change.number,
        kind=change.change["kind"],
        change={key: value for key, value in change.change.items() if key not in ("kind", "first_label", "last_label")},
        reverts=change.reverts,
        annotator_id=change.annotator_id,
        created_at=change.created_at,
        classes=class_outs(after),
        retired=retired_outs(after),
    )


def done_out(changed: Changed) -> ClassChangeDone:
    """What was done, or would be, as the API shows it."""
    effects, after = changed.effects, changed.ordered.after
    return ClassChangeDone(
        number=None if changed.row is None else changed.row.number,
        dry_run=changed.row is None,
        classes=class_outs(after),
        retired=retired_outs(after),
        labels=effects.labels,
        pixels_before=effects.pixels_before,
        pixels_after=effects.pixels_after,
        label_maps=effects.label_maps,
        label_map_pixels=effects.label_map_pixels,
        predictions=effects.predictions,
        left=effects.left[:MOST_LEFT],
        left_regions=len(effects.left),
    )


def regions_out(found: list[tuple[int, int]], limit: int, after: int) -> ClassRegionsOut:
    """A page of what was `found` when asked for one more than `limit`, behind the first `after`."""
    items = [ClassRegionOut(region_id=region_id, pixels=pixels) for region_id, pixels in found[:limit]]
    return ClassRegionsOut(items=items, next=after + limit if len(found) > limit else None)
