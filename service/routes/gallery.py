"""Routes of the gallery: the regions of a project, to look through."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from service import access
from service.deps import Reader
from service.domain.classes import ClassSet
from service.schemas.errors import errors
from service.schemas.gallery import ShownRegion, shown_region
from service.schemas.paging import MAX_ID, Id, Page
from service.store import gallery
from service.store.gallery import Sought
from service.store.projects import get_project

GROUP = {"name": "gallery", "description": "Regions that were asked for, to look through."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

InRound = Annotated[int | None, Query(ge=1, lt=2**31, description="Of this round alone, by its number.")]
State = Annotated[Literal["open", "review", "labelled", "skipped"] | None, Query(description="Of this state alone.")]
OfClass = Annotated[
    int | None, Query(alias="class", ge=0, le=255, description="With pixels of this class in the label that counts.")
]
Share = Annotated[
    float, Query(ge=0, le=1, allow_inf_nan=False, description="The least share of the region that the class has there.")
]
By = Annotated[int | None, Query(ge=1, le=MAX_ID, description="With a label that this annotator drew.")]
Disagreement = Annotated[
    float | None,
    Query(ge=0, le=1, allow_inf_nan=False, description="The least of 1 - mIoU of the two labels that agree least."),
]
Order = Annotated[
    gallery.Order,
    Query(description="Newest rounds first; the highest scores; or those, of several labels, that agree least."),
]
Limit = Annotated[
    int, Query(ge=1, le=200, description="How many items at most; there may be fewer before the last page.")
]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Where to go on: the `next` of the page before.")]


def _sought(
    round: InRound = None,
    state: State = None,
    class_id: OfClass = None,
    share: Share = 0.0,
    annotator: By = None,
    disagreement: Disagreement = None,
    order: Order = "newest",
) -> Sought:
    return Sought(
        round_number=round,
        state=state,
        class_id=class_id,
        share=share,
        annotator_id=annotator,
        disagreement=disagreement,
        order=order,
    )


@router.get("/projects/{id}/regions")
def list_regions(
    id: Id,
    sought: Annotated[Sought, Depends(_sought)],
    caller: access.ProjectReviewer,
    session: Reader,
    limit: Limit = 50,
    after: After = 0,
) -> Page[ShownRegion]:
    """Regions that were asked for, with what people made of them; those whose truth is known are not among them.

    What is sought of labels is looked for among some thousands of regions at a time: a page may be short, or empty, and have
    a `next` all the same.
    """
    classes = ClassSet.from_json(get_project(session, id).classes)
    found, next = gallery.regions_of(session, id, sought, classes, limit=limit, after=after)
    return Page(items=[shown_region(each, classes) for each in found], next=next)
