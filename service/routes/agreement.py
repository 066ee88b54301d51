"""Routes of labels' quality: how annotators agree, how exact they are, and how long they take."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service import access
from service.auth import Caller
from service.csv_rows import CSV_RESPONSE, WantsCsv, csv_response
from service.deps import Store
from service.domain.classes import ClassSet
from service.schemas.agreement import (
    AnnotatorStanding,
    ClassAgreement,
    PairAgreement,
    RegionAgreement,
    annotator_standing,
    class_agreement,
    pair_agreement,
    region_agreement,
)
from service.schemas.errors import errors
from service.schemas.paging import After, Id, Limit, Page
from service.store import annotator_figures, comparisons
from service.store.lease_caps import setting
from service.store.projects import get_project

GROUP = {"name": "agreement", "description": "How annotators agree, how exact they are, and how long they take."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

Sort = Annotated[
    Literal["region", "disagreement"], Query(description="By number, or those first whose labels agree least.")
]


@router.get("/projects/{id}/agreement/regions", response_model=Page[RegionAgreement], responses=CSV_RESPONSE)
def agreement_of_regions(
    id: Id,
    caller: access.ProjectAnnotator,
    database: Store,
    as_csv: WantsCsv,
    sort: Sort = "region",
    limit: Limit = 100,
    after: After = 0,
) -> Page[RegionAgreement] | StreamingResponse:
    """Regions that several people have labelled, and how their newest labels agree; annotators see those that they labelled.

    Sorted by disagreement, `after` counts the regions before.
    """
    own, worst = _own(caller, id), sort == "disagreement"

    def part(limit: int, after: int) -> tuple[list[RegionAgreement], int | None]:
        with database.read() as session:
            get_project(session, id)
            found = comparisons.region_figures(session, id, of=own, worst_first=worst, limit=limit + 1, after=after)
        rows = [region_agreement(each) for each in found[:limit]]
        last = after + limit if worst else rows[-1].region_id if rows else 0
        return rows, last if len(found) > limit else None

    if as_csv:
        return csv_response(f"agreement-regions-{id}", RegionAgreement, part)
    items, next = part(limit, after)
    return Page(items=items, next=next)


@router.get("/projects/{id}/agreement/classes", response_model=Page[ClassAgreement], responses=CSV_RESPONSE)
def agreement_on_classes(
    id: Id, caller: access.ProjectAnnotator, database: Store, as_csv: WantsCsv, limit: Limit = 500, after: After = 0
) -> Page[ClassAgreement] | StreamingResponse:
    """How people agree on each class, all pixels together; annotators see how others agree with them. `after` counts classes."""
    with database.read() as session:
        classes = ClassSet.from_json(get_project(session, id).classes)
        pooled = comparisons.pooled(session, id, of=_own(caller, id))
    rows = class_agreement(pooled, classes)
    if as_csv:
        return csv_response(f"agreement-classes-{id}", ClassAgreement, lambda limit, after: (rows, None))
    return Page.cut_at(rows, limit, after)


@router.get("/projects/{id}/agreement/pairs", response_model=Page[PairAgreement], responses=CSV_RESPONSE)
def agreement_of_pairs(
    id: Id, caller: access.ProjectAnnotator, database: Store, as_csv: WantsCsv, limit: Limit = 100, after: After = 0
) -> Page[PairAgreement] | StreamingResponse:
    """How each two annotators agree, by their numbers; annotators see themselves with all others. `after` counts pairs."""
    with database.read() as session:
        get_project(session, id)
        rows = [pair_agreement(each) for each in comparisons.pair_figures(session, id, of=_own(caller, id))]
    if as_csv:
        return csv_response(f"agreement-pairs-{id}", PairAgreement, lambda limit, after: (rows, None))
    return Page.cut_at(rows, limit, after)


@router.get("/projects/{id}/annotators", response_model=Page[AnnotatorStanding], responses=CSV_RESPONSE)
def annotators_of_project(
    id: Id, caller: access.ProjectAnnotator, database: Store, as_csv: WantsCsv, limit: Limit = 100, after: After = 0
) -> Page[AnnotatorStanding] | StreamingResponse:
    """What members, and those who were, have labelled, in which time, and how it compares; annotators see themselves alone."""
    own = _own(caller, id)

    def part(limit: int, after: int) -> tuple[list[AnnotatorStanding], int | None]:
        with database.read() as session:
            project = get_project(session, id)
            window = setting(project.settings, "gold_window") if own is None else None
            found = annotator_figures.annotator_figures(
                session, id, only=own, gold_window=window, limit=limit + 1, after=after
            )
        classes = ClassSet.from_json(project.classes)
        page = Page.cut(
            [annotator_standing(each, classes) for each in found], limit, key=lambda each: each.annotator_id
        )
        return page.items, page.next

    if as_csv:
        return csv_response(f"annotators-{id}", AnnotatorStanding, part)
    items, next = part(limit, after)
    return Page(items=items, next=next)


def _own(caller: Caller, project_id: int) -> int | None:
    """Whose figures alone somebody sees; None: everybody's."""
    return caller.id if access.role_in(caller, project_id) == "annotator" else None
