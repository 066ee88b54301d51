"""Puts the API together: routers, limits, failures, and what lives as long as the process."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from service import docs_page
from service.access_log import Access
from service.blobs import Blobs
from service.crops import Crops
from service.db import Database
from service.decoding import ROOM
from service.desk import Clerks
from service.door import Door
from service.failures import add_handlers
from service.giving import Giving
from service.head import Head
from service.headers import GuardHeaders
from service.lease_proofs import LeaseProofs
from service.limits import BodyLimit, Pace, Sizes
from service.live import Live
from service.logs import keep_out_of_logs
from service.measuring import Measurer
from service.metrics import Metrics
from service.openapi import describe
from service.pages import add_pages
from service.queue import Sender
from service.routes import (
    agreement,
    annotators,
    checkpoints,
    class_changes,
    export,
    gallery,
    health,
    images,
    jobs,
    labels,
    live,
    members,
    metrics,
    projects,
    regions,
    reviews,
    rounds,
    sessions,
    tokens,
    workers,
)
from service.settings import Settings, get_settings
from service.sweeper import Sweeper
from service.throttle import Throttle
from service.watcher import Watcher

Clock = Callable[[], datetime]

# In the order of the API's page.
_ROUTES = (
    projects,
    members,
    class_changes,
    images,
    regions,
    labels,
    reviews,
    gallery,
    agreement,
    rounds,
    jobs,
    workers,
    live,
    checkpoints,
    export,
    annotators,
    tokens,
    sessions,
    health,
    metrics,
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
    app.state.database = database or Database(
        settings.resolved_database_url, send, connections=settings.database_connections
    )
    app.state.blobs = blobs or Blobs(settings.resolved_blob_url)
    app.state.crops = Crops(ROOM)
    app.state.clock = clock
    app.state.clerks = Clerks()
    app.state.lease_proofs = LeaseProofs(app.state.database, settings.secret.get_secret_value())
    app.state.giving = Giving(app.state.database, clock)
    app.state.live = Live(app.state.database, clock, connections=settings.max_connections)
    app.state.metrics = Metrics(app.state.database, app.state.blobs, settings, clock)
    app.state.throttle = Throttle(settings.wrong_tokens_per_minute)
    keep_out_of_logs()
    app.state.places = WeakKeyDictionary()
    add_handlers(app)
    app.add_middleware(
        BodyLimit,
        sizes=Sizes(upload=settings.max_request_bytes, other=settings.max_json_bytes),
        pace=Pace(seconds=settings.body_seconds, bytes_per_second=settings.body_bytes_per_second),
    )
    app.add_middleware(Door, routers=[module.router for module in _ROUTES], throttle=app.state.throttle)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match"],
            expose_headers=["Content-Disposition", "ETag", "Retry-After", "X-Checkpoint-Id"],
        )
    app.add_middleware(Head)
    app.add_middleware(Access, count=app.state.metrics.count)
    # Added last, it is asked first, and sees the answers of all others.
    app.add_middleware(GuardHeaders)
    # Routes are asked one after the other whether a request is theirs: those of every label come first.
    for module in (regions, labels, *(each for each in _ROUTES if each not in (regions, labels))):
        app.include_router(module.router)
    app.include_router(docs_page.router)
    add_pages(app)
    describe(app, [module.router for module in _ROUTES])
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    sweeper = Sweeper(state.database, state.blobs, state.settings, state.clock)
    watcher = Watcher(state.database, state.settings, state.clock)
    sweeper.start()
    watcher.start()
    measurer = Measurer(state.metrics, state.settings.measure_seconds)
    measurer.start()
    # What was made until now stays: looking through it for garbage again and again is a part of every request's cost.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        measurer.stop()
        watcher.stop()
        sweeper.stop()
        state.database.engine.dispose()
