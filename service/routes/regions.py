"""Routes of regions: taken on a lease, looked at, held longer, given back, skipped."""

from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request, Response

from service import access, auth
from service.content import PNG_RESPONSE, ready, revalidated, unchanging
from service.deps import BlobStore, ImageCrops, Now, Reader, ServiceSettings, Store, Writer
from service.desk import AtDesk
from service.domain.gold import GOLD
from service.domain.regions import Box
from service.errors import Forbidden
from service.giving import Giving
from service.image_bytes import bytes_of
from service.lease_proofs import Proofs, claimed_lease
from service.schemas.errors import errors
from service.schemas.hints import HintsOut, hints_out
from service.schemas.paging import MAX_ID, Id
from service.schemas.regions import (
    LeaseOut,
    NextRegions,
    RegionDetail,
    RegionState,
    ReleaseIn,
    RenewIn,
    SkipIn,
    Unskipped,
    region_detail,
)
from service.store import gold_views, hints, lease_ends, leases, steering
from service.store import regions as store
from service.store.reviews import rejection
from service.tables import Image, Region

GROUP = {"name": "regions", "description": "Regions to label: taken on a lease, looked at, given back or skipped."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

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
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="Seconds to wait where there is no region now but may be soon; the answer comes as soon as there is one.",
    ),
]
LeaseToken = Annotated[str, Path(max_length=100, description="The token that came with the region.")]
Margin = Annotated[int, Query(ge=0, le=1024, description="Pixels to add on each side, as far as the image goes.")]


@router.get("/next-regions", response_model=NextRegions, responses={200: {"headers": {"Retry-After": RETRY_HEADER}}})
async def next_regions(
    request: Request,
    caller: auth.AnnotatorCaller,
    desk: AtDesk,
    project: OfProject = None,
    count: Count = 1,
    wait: Wait = 0.0,
) -> Response:
    """Take regions to label: the caller's own open leases first, then the most wanted free ones, leased to the caller.

    Nobody else gets a region while its lease lasts. An empty list comes with a reason and Retry-After.
    """
    giving, gone = cast(Giving, request.app.state.giving), request.scope.get("gone", lambda: False)
    given = await giving.answer(desk, caller, project, count, wait=wait, gone=gone)
    return ready(given, headers={} if given.items else {"Retry-After": str(given.retry_after)})


@router.get("/regions/{id}")
def get_region(id: Id, viewer: access.RegionViewer, session: Reader, now: Now) -> RegionDetail:
    """A region, until when somebody holds it, and its label; an annotator sees their own alone."""
    placed = store.get_region(session, id)
    if placed.state == GOLD:
        seen = gold_views.seen(session, placed, viewer.caller.id, own=viewer.own, now=now)
        return region_detail(seen.placed, seen.lease, seen.label, None)
    lease = store.active_lease(session, id)
    label = store.latest_label(session, id, by=viewer.own)
    rejected = rejection(session, id, of=viewer.own)
    return region_detail(placed, lease if lease and lease.expires_at > now else None, label, rejected)


@router.get("/regions/{id}/crop", response_class=Response, responses={**PNG_RESPONSE, **errors(409, 503)})
def get_crop(
    id: Id, request: Request, viewer: access.RegionViewer, database: Store, blobs: BlobStore, crops: ImageCrops
) -> Response:
    """The region's pixels, as PNG."""
    with database.read() as session:
        region, image = store.image_of(session, id)
    return _crop(request, image, _box(region), blobs, crops)


@router.get("/regions/{id}/context", response_class=Response, responses={**PNG_RESPONSE, **errors(409, 503)})
def get_context(
    id: Id,
    request: Request,
    viewer: access.RegionViewer,
    database: Store,
    blobs: BlobStore,
    crops: ImageCrops,
    margin: Margin = 64,
) -> Response:
    """The region with the pixels around it, as PNG. Near an edge the margin is cut."""
    with database.read() as session:
        region, image = store.image_of(session, id)
    return _crop(request, image, _box(region).context(margin, image.height, image.width), blobs, crops)


def _box(region: Region) -> Box:
    return Box(row=region.row, col=region.col, height=region.height, width=region.width)


def _crop(request: Request, image: Image, box: Box, blobs: BlobStore, crops: ImageCrops) -> Response:
    key = image.seen_key or image.blob_key
    seen = image.digest if image.seen_key is None else PurePosixPath(image.seen_key).stem
    tag = f"{seen[:32]}-{box.row}-{box.col}-{box.height}-{box.width}"
    size = (image.height, image.width)
    body = partial(crops.png, key, size, box, partial(bytes_of, blobs, image, key))
    return unchanging(request, tag=tag, media_type="image/png", body=body)


@router.get("/regions/{id}/prediction", response_class=Response, responses=PREDICTION_RESPONSE)
def get_prediction(id: Id, request: Request, viewer: access.RegionViewer, session: Reader) -> Response:
    """The label map that the newest network predicted while the region was open: an 8-bit PNG of class ids."""
    found = store.prediction_of(session, id, seen_by=viewer.caller.id)
    tag = f"prediction-{id}-{found.checkpoint_id}"
    response = revalidated(request, tag=tag, media_type="image/png", body=lambda: found.png)
    if found.checkpoint_id is not None:
        response.headers["X-Checkpoint-Id"] = str(found.checkpoint_id)
    return response


@router.get("/regions/{id}/hints")
def get_hints(id: Id, viewer: access.RegionViewer, session: Reader, now: Now) -> HintsOut:
    """Why the region was asked for, and what the network knows of it; for an annotator while they hold it."""
    return hints_out(id, hints.hints_of(session, id, viewer.caller.id, own=viewer.own, now=now))


@router.post("/regions/{id}/renew", responses=errors(409, 413))
def renew_region(
    id: Id,
    body: RenewIn,
    member: access.RegionMember,
    session: Writer,
    settings: ServiceSettings,
    proofs: Proofs,
    now: Now,
) -> LeaseOut:
    """Hold a region for longer: from now on as long as a fresh lease, until it was held as long as the project allows in all."""
    lease_id = proofs.proven(body.lease_token, id, member.caller.id)
    lease = leases.renew(session, lease_id, member.caller.id, now=now, default_minutes=settings.lease_minutes)
    return LeaseOut(region_id=id, lease_token=body.lease_token, lease_expires_at=lease.expires_at)


@router.post("/leases/{token}/renew", responses=errors(409), deprecated=True)
def renew_lease(
    token: LeaseToken,
    caller: auth.AnnotatorCaller,
    session: Writer,
    settings: ServiceSettings,
    proofs: Proofs,
    now: Now,
) -> LeaseOut:
    """As `POST /regions/{id}/renew`, which keeps the lease's token out of the logs of proxies."""
    lease_id = claimed_lease(token)
    access.require_role(caller, leases.project_of(session, lease_id), "annotator", store.unknown_lease())
    lease = leases.renew(session, lease_id, caller.id, now=now, default_minutes=settings.lease_minutes)
    proofs.proven(token, lease.region_id, caller.id)
    return LeaseOut(region_id=lease.region_id, lease_token=token, lease_expires_at=lease.expires_at)


@router.post("/regions/{id}/release", responses=errors(409, 413))
def release_region(
    id: Id, body: ReleaseIn, member: access.RegionMember, session: Writer, proofs: Proofs, now: Now
) -> RegionState:
    """Give a region back, so that somebody else may label it; without a lease token, for reviewers: whoever holds it."""
    by = member.caller.id
    if body.lease_token is None:
        _require_reviewer(member)
        return _state(steering.free_region(session, id, now=now, by=by))
    lease_id = proofs.proven(body.lease_token, id, by)
    return _state(lease_ends.release(session, id, lease_id, by, now=now))


@router.post("/regions/{id}/skip", responses=errors(409, 413))
def skip_region(
    id: Id, body: SkipIn, member: access.RegionMember, session: Writer, proofs: Proofs, now: Now
) -> RegionState:
    """Set a region aside that nobody can label; the reason is kept, the budget is not spent.

    An annotator may skip a share of a round (`max_skip_share`); reviewers as much as they like, and without a lease token
    whatever nobody holds.
    """
    by = member.caller.id
    if body.lease_token is None:
        _require_reviewer(member)
        lease_id = None
    else:
        lease_id = proofs.proven(body.lease_token, id, by)
    return _state(lease_ends.skip(session, id, lease_id, by, reason=body.reason, now=now, capped=not member.reviews))


@router.post("/regions/{id}/unskip", responses=errors(409))
def unskip_region(id: Id, caller: access.RegionReviewer, session: Writer, now: Now) -> Unskipped:
    """Have a skipped region labelled after all: it is open again, or, where its round is over, back in the pool."""
    opened = steering.unskip_region(session, id, now=now, by=caller.id)
    return Unskipped(id=id, state="open" if opened else "withdrawn")


def _require_reviewer(member: access.Member) -> None:
    if not member.reviews:
        raise Forbidden("Without a lease token this is for reviewers: send the token that came with the region.")


def _state(region: Region) -> RegionState:
    return RegionState.model_validate(region, from_attributes=True)
