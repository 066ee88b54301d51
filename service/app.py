"""Puts the API together: routers, limits, failures, and what lives as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse

from service import docs_page
from service.blobs import Blobs
from service.db import Database
from service.failures import add_handlers
from service.headers import GuardHeaders
from service.limits import BodyLimit
from service.openapi import describe
from service.queue import Sender
from service.redaction import keep_out_of_logs
from service.routes import (
    annotators,
    checkpoints,
    export,
    health,
    images,
    jobs,
    labels,
    members,
    projects,
    regions,
    rounds,
    sessions,
    tokens,
)
from service.settings import Settings, get_settings
from service.sweeper import Sweeper

Clock = Callable[[], datetime]

# In the order of the API's page.
_ROUTES = (
    projects,
    members,
    images,
    regions,
    labels,
    rounds,
    jobs,
    checkpoints,
    export,
    annotators,
    tokens,
    sessions,
    health,
)


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
        docs_url=None,  # see service/docs_page.py
        redoc_url=None,
        openapi_tags=[module.GROUP for module in _ROUTES],
    )
    app.state.settings = settings
    app.state.database = database or Database(settings.resolved_database_url, send)
    app.state.blobs = blobs or Blobs(settings.resolved_blob_url)
    app.state.clock = clock
    keep_out_of_logs()
    add_handlers(app)
    app.add_middleware(BodyLimit, upload_bytes=settings.max_request_bytes, other_bytes=settings.max_json_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match"],
            expose_headers=["Content-Disposition", "ETag", "Retry-After", "X-Checkpoint-Id"],
        )
    app.add_middleware(GuardHeaders)
    for module in _ROUTES:
        app.include_router(module.router)
    app.include_router(docs_page.router)
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
