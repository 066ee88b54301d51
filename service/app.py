"""Puts the API together: routers, limits, failures, and what lives as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from service.blobs import Blobs
from service.db import Database
from service.failures import add_handlers
from service.limits import BodyLimit
from service.openapi import describe
from service.queue import Sender
from service.routes import annotators, checkpoints, export, health, images, jobs, labels, projects, regions, rounds
from service.settings import Settings, get_settings
from service.sweeper import Sweeper

Clock = Callable[[], datetime]

# In the order of the API's page.
_ROUTES = (projects, images, regions, labels, rounds, jobs, checkpoints, export, annotators, health)


def utc_now() -> datetime:
    """The time on the wall."""
    return datetime.now(UTC)


def create_app(
    settings: Settings | None = None,
    *,
    database: Database | None = None,
    blobs: Blobs | None = None,
    send: Sender | None = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """The API over a migrated database. `send` wakes workers; whoever passes a `database` gives it its own."""
    settings = settings or get_settings()
    app = FastAPI(
        title="regionwise",
        version=version("regionwise"),
        summary="Asks people for the labels of those image regions from which a segmentation network learns most.",
        lifespan=_lifespan,
        openapi_tags=[module.GROUP for module in _ROUTES],
    )
    app.state.settings = settings
    app.state.database = database or Database(
        settings.resolved_database_url, send, connections=settings.database_connections
    )
    app.state.blobs = blobs or Blobs(settings.resolved_blob_url)
    app.state.clock = clock
    app.state.places = WeakKeyDictionary()
    add_handlers(app)
    app.add_middleware(BodyLimit, upload_bytes=settings.max_request_bytes, other_bytes=settings.max_json_bytes)
    for module in _ROUTES:
        app.include_router(module.router)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    describe(app)
    return app


async def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    sweeper = Sweeper(state.database, state.blobs, state.settings, state.clock)
    sweeper.start()
    try:
        yield
    finally:
        sweeper.stop()
        state.database.engine.dispose()
