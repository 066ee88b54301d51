"""Routes for whoever watches the process: is it up, can it serve."""

from importlib.metadata import version

from fastapi import APIRouter, Response

from service.deps import BlobStore, Now, ServiceSettings, Store
from service.readiness import readiness
from service.schemas.health import Alive, Readiness

GROUP = {"name": "health", "description": "For whoever watches the process."}
router = APIRouter(tags=[GROUP["name"]])

_VERSION = version("regionwise")


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers, and of which release it is. Needs no token."""
    return Alive(version=_VERSION)


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Requests cannot be served now."}})
def readyz(database: Store, blobs: BlobStore, settings: ServiceSettings, now: Now, response: Response) -> Readiness:
    """Whether people can label, and whether labels are learned from. Needs no token.

    What stops labelling is 503: database, migrations, blobs, disk. What only delays learning is 200 and `degraded`: broker,
    workers, jobs.
    """
    found = readiness(database, blobs, settings, now)
    response.status_code = 503 if found.status == "not_ready" else 200
    response.headers["Cache-Control"] = "no-store"
    return found
