"""Routes of regions: taken on a lease, looked at, held longer, given back, skipped."""

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from service import auth
from service.auth import Caller
from service.content import PNG_RESPONSE, revalidated, unchanging
from service.deps import BlobStore, Now, Reader, ServiceSettings, Store, Writer
from service.domain.regions import Box
from service.pictures import crop_png
from service.schemas.errors import errors
from service.schemas.paging import MAX_ID, Id
from service.schemas.regions import (
    LeasedRegion,
    LeaseOut,
    NextRegions,
    RegionDetail,
    RegionState,
    ReleaseIn,
    SkipIn,
    leased_region,
    region_detail,
)
from service.store import leases, rounds
from service.store import regions as store
from service.store.leases import Held
from service.store.projects import get_project, project_or_only
from service.store.stalled import stalled_projects
from service.tables import Image, Region

GROUP = {"name": "regions", "description": "Regions to label: taken on a lease, looked at, given back or skipped."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

RETRY_AFTER = {"scoring": 1, "all_leased": 5, "not_started": 10, "budget_reached": 60, "pool_empty": 60, "failed": 30}

RETRY_HEADER = {
    "description": "Seconds until asking again may help; only where the list is empty.",
    "schema": {"type": "integer"},
}

CHECKPOINT_HEADER = {
    "description": "The checkpoint that made the prediction; absent where it is not known.",
    "schema": {"type": "integer"},
}
PREDICTION_RESPONSE = {
    status: {**described, "headers": {"X-Checkpoint-Id": CHECKPOINT_HEADER}}
    for status, described in PNG_RESPONSE.items()
}

OfProject = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="The project's number; may be left out where there is just one.")
]
Count = Annotated[int, Query(ge=1, le=100, description="How many regions at most.")]
LeaseToken = Annotated[str, Path(max_length=100, description="The token that came with the region.")]
Margin = Annotated[int, Query(ge=0, le=1024, description="Pixels to add on each side, as far as the image goes.")]


@router.get("/next-regions", responses={200: {"headers": {"Retry-After": RETRY_HEADER}}})
def next_regions(
    caller: auth.AnnotatorCaller,
    database: Store,
    settings: ServiceSettings,
    now: Now,
    response: Response,
    project: OfProject = None,
    count: Count = 1,
) -> NextRegions:
    """Take regions to label: the caller's own open leases first, then the most wanted free ones, leased to the caller.

    Nobody else gets a region while its lease lasts. An empty list comes with a reason and Retry-After.
    """
    response.headers["Cache-Control"] = "no-store"
    # A lease forgotten by a dying machine costs nothing: its token still proves that the caller was given the region.
    with database.write(durable=False) as session:
        chosen = project_or_only(session, project)
        held = leases.claim(session, chosen, caller.id, count=count, now=now, default_minutes=settings.lease_minutes)
    if held:
        return NextRegions(items=[_leased(each, caller) for each in held], reason=None, retry_after=None)
    with database.write() as session:
        project_now = get_project(session, chosen.id)
        rounds.advance(session, project_now, now)
        session.flush()
        reason = rounds.waiting_reason(session, project_now)
        failed = next((each for each in stalled_projects(session, project_now.id) if each.failed), None)
    seconds = RETRY_AFTER["failed" if failed else reason]
    response.headers["Retry-After"] = str(seconds)
    if failed is None:
        return NextRegions(items=[], reason=reason, retry_after=seconds)
    return NextRegions(
        items=[],
        reason="failed",
        retry_after=seconds,
        job_id=failed.job_id,
        sentence=f"{failed.kind} of round {failed.round} failed: {failed.sentence} An admin may try it again or close the round.",
    )


def _leased(held: Held, caller: Caller) -> LeasedRegion:
    return leased_region(held.placed, held.lease, auth.lease_token(caller.token, held.lease.id, held.lease.region_id))


@router.get("/regions/{id}")
def get_region(id: Id, caller: auth.AnnotatorCaller, session: Reader, now: Now) -> RegionDetail:
    """A region, who holds it until when, and its label."""
    placed = store.get_region(session, id)
    lease = store.active_lease(session, id)
    return region_detail(placed, lease if lease and lease.expires_at > now else None, store.latest_label(session, id))


@router.get("/regions/{id}/crop", response_class=Response, responses={**PNG_RESPONSE, **errors(409)})
def get_crop(id: Id, request: Request, caller: auth.AnnotatorCaller, session: Reader, blobs: BlobStore) -> Response:
    """The region's pixels, as PNG."""
    region, image = store.image_of(session, id)
    return _crop(request, image, _box(region), blobs)


@router.get("/regions/{id}/context", response_class=Response, responses={**PNG_RESPONSE, **errors(409)})
def get_context(
    id: Id, request: Request, caller: auth.AnnotatorCaller, session: Reader, blobs: BlobStore, margin: Margin = 64
) -> Response:
    """The region with the pixels around it, as PNG. Near an edge the margin is cut."""
    region, image = store.image_of(session, id)
    return _crop(request, image, _box(region).context(margin, image.height, image.width), blobs)


def _box(region: Region) -> Box:
    return Box(row=region.row, col=region.col, height=region.height, width=region.width)


def _crop(request: Request, image: Image, box: Box, blobs: BlobStore) -> Response:
    key = image.seen_key or image.blob_key
    seen = image.digest if image.seen_key is None else PurePosixPath(image.seen_key).stem
    tag = f"{seen[:32]}-{box.row}-{box.col}-{box.height}-{box.width}"
    return unchanging(request, tag=tag, media_type="image/png", body=lambda: crop_png(blobs.get(key), box))


@router.get("/regions/{id}/prediction", response_class=Response, responses=PREDICTION_RESPONSE)
def get_prediction(id: Id, request: Request, caller: auth.AnnotatorCaller, session: Reader) -> Response:
    """The label map that the newest network predicted while the region was open: an 8-bit PNG of class ids."""
    found = store.prediction_of(session, id)
    tag = f"prediction-{id}-{found.checkpoint_id}"
    response = revalidated(request, tag=tag, media_type="image/png", body=lambda: found.png)
    if found.checkpoint_id is not None:
        response.headers["X-Checkpoint-Id"] = str(found.checkpoint_id)
    return response


@router.post("/leases/{token}/renew", responses=errors(409))
def renew_lease(
    token: LeaseToken, caller: auth.AnnotatorCaller, session: Writer, settings: ServiceSettings, now: Now
) -> LeaseOut:
    """Hold a region for longer: from now on as long as a fresh lease."""
    lease = leases.renew(session, auth.claimed_lease(token), caller.id, now=now, default_minutes=settings.lease_minutes)
    auth.proven_lease(caller.token, token, lease.region_id)
    return LeaseOut(region_id=lease.region_id, lease_token=token, lease_expires_at=lease.expires_at)


@router.post("/regions/{id}/release", responses=errors(409, 413))
def release_region(id: Id, body: ReleaseIn, caller: auth.AnnotatorCaller, session: Writer, now: Now) -> RegionState:
    """Give a region back, so that somebody else may label it."""
    auth.proven_lease(caller.token, body.lease_token, id)
    return _state(leases.release(session, id, caller.id, now=now))


@router.post("/regions/{id}/skip", responses=errors(409, 413))
def skip_region(id: Id, body: SkipIn, caller: auth.AnnotatorCaller, session: Writer, now: Now) -> RegionState:
    """Set a region aside that nobody can label; the reason is kept, the budget is not spent."""
    lease_id = auth.proven_lease(caller.token, body.lease_token, id)
    return _state(leases.skip(session, id, lease_id, caller.id, reason=body.reason, now=now))


def _state(region: Region) -> RegionState:
    return RegionState.model_validate(region, from_attributes=True)
