"""Routes of regions: taken on a lease, looked at, held longer, given back, skipped."""

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from service import access, auth
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
    RenewIn,
    SkipIn,
    leased_region,
    region_detail,
)
from service.store import leases, rounds
from service.store import regions as store
from service.store.leases import Held
from service.store.projects import get_project, project_or_only
from service.tables import Image, Region

GROUP = {"name": "regions", "description": "Regions to label: taken on a lease, looked at, given back or skipped."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

RETRY_AFTER = {"scoring": 1, "all_leased": 5, "not_started": 10, "budget_reached": 60, "pool_empty": 60}

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
        chosen = project_or_only(session, project, access.projects_of(caller))
        held = leases.claim(session, chosen, caller.id, count=count, now=now, default_minutes=settings.lease_minutes)
    if held:
        return NextRegions(items=[_leased(each, caller) for each in held], reason=None, retry_after=None)
    with database.write() as session:
        project_now = get_project(session, chosen.id)
        rounds.advance(session, project_now, now)
        session.flush()
        reason = rounds.waiting_reason(session, project_now)
    seconds = RETRY_AFTER[reason]
    response.headers["Retry-After"] = str(seconds)
    return NextRegions(items=[], reason=reason, retry_after=seconds)


def _leased(held: Held, caller: Caller) -> LeasedRegion:
    return leased_region(held.placed, held.lease, auth.lease_token(caller.token, held.lease.id, held.lease.region_id))


@router.get("/regions/{id}")
def get_region(id: Id, viewer: access.RegionViewer, session: Reader, now: Now) -> RegionDetail:
    """A region, until when somebody holds it, and its label; an annotator sees their own alone."""
    placed = store.get_region(session, id)
    lease = store.active_lease(session, id)
    return region_detail(
        placed, lease if lease and lease.expires_at > now else None, store.latest_label(session, id, by=viewer.own)
    )


@router.get("/regions/{id}/crop", response_class=Response, responses={**PNG_RESPONSE, **errors(409)})
def get_crop(id: Id, request: Request, viewer: access.RegionViewer, session: Reader, blobs: BlobStore) -> Response:
    """The region's pixels, as PNG."""
    region, image = store.image_of(session, id)
    return _crop(request, image, _box(region), blobs)


@router.get("/regions/{id}/context", response_class=Response, responses={**PNG_RESPONSE, **errors(409)})
def get_context(
    id: Id, request: Request, viewer: access.RegionViewer, session: Reader, blobs: BlobStore, margin: Margin = 64
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
def get_prediction(id: Id, request: Request, viewer: access.RegionViewer, session: Reader) -> Response:
    """The label map that the newest network predicted while the region was open: an 8-bit PNG of class ids."""
    found = store.prediction_of(session, id)
    tag = f"prediction-{id}-{found.checkpoint_id}"
    response = revalidated(request, tag=tag, media_type="image/png", body=lambda: found.png)
    if found.checkpoint_id is not None:
        response.headers["X-Checkpoint-Id"] = str(found.checkpoint_id)
    return response


@router.post("/regions/{id}/renew", responses=errors(409, 413))
def renew_region(
    id: Id, body: RenewIn, caller: access.RegionAnnotator, session: Writer, settings: ServiceSettings, now: Now
) -> LeaseOut:
    """Hold a region for longer: from now on as long as a fresh lease."""
    lease_id = auth.proven_lease(caller.token, body.lease_token, id)
    lease = leases.renew(session, lease_id, caller.id, now=now, default_minutes=settings.lease_minutes)
    return LeaseOut(region_id=id, lease_token=body.lease_token, lease_expires_at=lease.expires_at)


@router.post("/leases/{token}/renew", responses=errors(409), deprecated=True)
def renew_lease(
    token: LeaseToken, caller: auth.AnnotatorCaller, session: Writer, settings: ServiceSettings, now: Now
) -> LeaseOut:
    """As `POST /regions/{id}/renew`, which keeps the lease's token out of the logs of proxies."""
    lease_id = auth.claimed_lease(token)
    access.require_role(caller, leases.project_of(session, lease_id), "annotator", leases.no_lease())
    lease = leases.renew(session, lease_id, caller.id, now=now, default_minutes=settings.lease_minutes)
    auth.proven_lease(caller.token, token, lease.region_id)
    return LeaseOut(region_id=lease.region_id, lease_token=token, lease_expires_at=lease.expires_at)


@router.post("/regions/{id}/release", responses=errors(409, 413))
def release_region(id: Id, body: ReleaseIn, caller: access.RegionAnnotator, session: Writer, now: Now) -> RegionState:
    """Give a region back, so that somebody else may label it."""
    auth.proven_lease(caller.token, body.lease_token, id)
    return _state(leases.release(session, id, caller.id, now=now))


@router.post("/regions/{id}/skip", responses=errors(409, 413))
def skip_region(id: Id, body: SkipIn, caller: access.RegionAnnotator, session: Writer, now: Now) -> RegionState:
    """Set a region aside that nobody can label; the reason is kept, the budget is not spent."""
    lease_id = auth.proven_lease(caller.token, body.lease_token, id)
    return _state(leases.skip(session, id, lease_id, caller.id, reason=body.reason, now=now))


def _state(region: Region) -> RegionState:
    return RegionState.model_validate(region, from_attributes=True)
