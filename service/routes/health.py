"""Routes for whoever watches the process: is it up, can it serve."""

import logging
import socket
from collections.abc import Callable
from importlib.metadata import version
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from service import migrate
from service.blobs import Blobs
from service.db import Database
from service.deps import BlobStore, ServiceSettings, Store
from service.schemas.health import Alive, Readiness
from service.settings import Settings
from service.store.stalled import said_of, stalled_projects

log = logging.getLogger(__name__)

GROUP = {"name": "health", "description": "For whoever watches the process."}
router = APIRouter(tags=[GROUP["name"]])

_VERSION = version("regionwise")
_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers, and of which release it is. Needs no token."""
    return Alive(version=_VERSION)


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Requests cannot be served now."}})
def readyz(database: Store, blobs: BlobStore, settings: ServiceSettings, response: Response) -> Readiness:
    """Whether requests can be served: database, migrations, blobs, broker. Needs no token."""
    checks = {
        **_database_checks(database),
        "blobs": _tried(lambda: _blobs_check(blobs)),
        "broker": "embedded" if settings.embedded else _tried(lambda: _broker_check(settings)),
    }
    ready = all(outcome in ("ok", "embedded") for outcome in checks.values())
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return Readiness(
        status="ready" if ready else "not_ready",
        checks=checks,
        stalled=_stalled(database) if checks["migrations"] == "ok" else {},
    )


def _stalled(database: Database) -> dict[int, str]:
    with database.read() as session:
        return {each.project_id: said_of(each) for each in reversed(stalled_projects(session))}


def _database_checks(database: Database) -> dict[str, str]:
    try:
        with database.engine.connect() as connection:
            found = migrate.current(connection)
    except SQLAlchemyError as error:
        log.warning("The database does not answer: %s", error)
        return {"database": "The database does not answer.", "migrations": "The database does not answer."}
    if found == migrate.head():
        return {"database": "ok", "migrations": "ok"}
    return {
        "database": "ok",
        "migrations": f"The database is at {found or 'nothing'}, this release needs {migrate.head()}.",
    }


def _blobs_check(blobs: Blobs) -> str:
    blobs.exists("readyz")  # whether or not it does, it could be asked
    return "ok"


def _broker_check(settings: Settings) -> str:
    address = urlsplit(settings.broker_url)
    port = address.port or _PORTS.get(address.scheme)
    if address.hostname is None or port is None:
        return "ok"  # a broker without an address, such as a folder
    with socket.create_connection((address.hostname, port), timeout=2):
        return "ok"


def _tried(check: Callable[[], str]) -> str:
    try:
        return check()
    except OSError as error:
        log.warning("A readiness check failed: %s", error)
        return "It does not answer."
