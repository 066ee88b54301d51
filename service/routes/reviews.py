"""Routes of reviews: what waits for a reviewer, what was decided, the versions of labels, and the way back to one's own."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.datastructures import FormData

from service import access, auth
from service.content import PNG_RESPONSE, revalidated
from service.deps import Now, Reader, ServiceSettings, Store, Writer
from service.errors import Invalid, NotFound
from service.label_body import REVIEW_BODY, label_body, parse_review
from service.label_maps import submission
from service.lease_proofs import Proofs
from service.schemas.errors import errors
from service.schemas.paging import MAX_ID, After, Id, Limit, Page
from service.schemas.regions import LeasedRegion, leased_region
from service.schemas.reviews import (
    DoneOut,
    ReviewOut,
    ReviewsOut,
    VersionOut,
    WaitingRegion,
    done_out,
    review_out,
    reviews_out,
    version_out,
    waiting_out,
)
from service.store import gold_views, own_work, regions
from service.store import reviews as store
from service.store.names import names_of
from service.store.reviews import Verdict

GROUP = {"name": "reviews", "description": "Labels that are looked at: by reviewers, and once more by who made them."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

Mine = Annotated[bool, Query(description="The caller's own: others' are not listed here.")]
AfterVersion = Annotated[int, Query(ge=0, lt=2**31, description="Where to go on: the `next` of the page before.")]
Version = Annotated[int, Path(ge=1, lt=2**31, description="The version, counted from 1.")]
InProject = Annotated[int | None, Query(ge=1, le=MAX_ID, description="Of this project alone.")]
Before = Annotated[int, Query(ge=0, le=MAX_ID, description="Where to go on: the `next` of the page before.")]


@router.get("/projects/{id}/reviews")
def list_waiting(
    id: Id, caller: access.ProjectReviewer, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[WaitingRegion]:
    """Regions that wait for a review, those first that have waited for longest, with the labels to decide about."""
    found = store.waiting_for_review(session, id, limit=limit + 1, after=after)
    page = found[:limit]
    names = names_of(session, {label.annotator_id for each in page for label in each.labels})
    items = [waiting_out(each, names) for each in page]
    return Page(items=items, next=page[-1].newest_label if len(found) > limit else None)


@router.get("/regions/{id}/reviews")
def list_reviews(
    id: Id, caller: access.RegionReviewer, session: Reader, limit: Limit = 100, after: After = 0
) -> Page[ReviewOut]:
    """What reviewers decided about a region, oldest first."""
    found = store.reviews_of(session, id, limit=limit + 1, after=after)
    return Page.cut([review_out(each) for each in found], limit, key=lambda each: each.id)


@router.post(
    "/regions/{id}/reviews",
    status_code=201,
    responses={**errors(409, 413, 415), 200: {"model": ReviewsOut, "description": "It was decided so already."}},
    openapi_extra={"requestBody": REVIEW_BODY},
)
def add_review(
    id: Id,
    body: Annotated[bytes | FormData, Depends(label_body, scope="function")],
    caller: access.RegionReviewer,
    database: Store,
    now: Now,
    response: Response,
) -> ReviewsOut:
    """Accept a label of a region, correct it by a label map of one's own, or reject it, with a reason, for others to label.

    Nobody reviews their own label. A region that is labelled already may be reviewed too, and is learned from again.
    """
    sent = parse_review(body)
    with database.ask() as connection:
        frame = regions.frames(connection, [id])[id]
    # The mask is decoded with no transaction open: on SQLite it would keep everybody else from writing.
    correction = submission(sent, id, frame, lease_id=None) if sent.decision == "corrected" else None
    verdict = Verdict(decision=sent.decision, label_id=sent.label_id, reason=sent.reason or "", correction=correction)
    with database.write() as session:
        decided = store.decide(session, id, verdict, caller.id, now=now)
    response.status_code = 201 if decided.created else 200
    return reviews_out(decided)


@router.get("/regions/{id}/labels")
def list_versions(
    id: Id, viewer: access.RegionViewer, session: Reader, limit: Limit = 100, after: AfterVersion = 0
) -> Page[VersionOut]:
    """All versions of a region's label, oldest first; an annotator sees their own alone."""
    found = gold_views.versions_of(session, id, by=viewer.own, limit=limit + 1, after=after)
    names = names_of(session, {each.annotator_id for each in found})
    return Page.cut([version_out(each, names) for each in found], limit, key=lambda each: each.version)


@router.get("/regions/{id}/labels/{version}", response_class=Response, responses=PNG_RESPONSE)
def get_version(
    id: Id,
    version: Version,
    request: Request,
    viewer: access.RegionViewer,
    session: Reader,
) -> Response:
    """The label map of one version: an 8-bit PNG of class ids in the classes' colours."""
    label = gold_views.version_of(session, id, version, by=viewer.own)
    if label is None:
        raise NotFound(f"Region {id} has no version {version} of its label that you may see.", code="no_label")
    mask = label.mask
    return revalidated(request, tag=label.digest, media_type="image/png", body=lambda: mask)


@router.get("/labels")
def list_own_work(
    caller: auth.AnnotatorCaller,
    session: Reader,
    mine: Mine = True,
    project: InProject = None,
    limit: Limit = 100,
    after: Before = 0,
) -> Page[DoneOut]:
    """What the caller labelled and skipped last, newest first: each may be reopened until a reviewer has decided about it."""
    if not mine:
        raise Invalid("Only one's own labels are listed here: leave mine out, or say mine=true.", code="not_mine")
    among = access.projects_of(caller)
    found = own_work.own_work(session, caller.id, project_id=project, among=among, limit=limit + 1, before=after)
    page = found[:limit]
    return Page(items=[done_out(each) for each in page], next=page[-1].lease_id if len(found) > limit else None)


@router.post("/regions/{id}/reopen", responses=errors(409))
def reopen_region(
    id: Id, member: access.RegionMember, session: Writer, settings: ServiceSettings, proofs: Proofs, now: Now
) -> LeasedRegion:
    """Go back to a region that the caller has labelled or skipped, by a lease anew, until a reviewer has decided about it.

    The caller's label, `GET /regions/{id}/label`, is what to start from, and counts until another one comes.
    """
    by = member.caller.id
    held = own_work.reopen(session, id, by, now=now, default_minutes=settings.lease_minutes)
    return leased_region(held.placed, held.lease, proofs.token(held.lease.id, id, by))
