"""Puts the API together: routers, limits, failures, and what lives as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from service.access_log import Access
from service.blobs import Blobs
from service.crops import Crops
from service.db import Database
from service.decoding import ROOM
from service.door import Door
from service.failures import add_handlers
from service.head import Head
from service.lease_proofs import LeaseProofs
from service.limits import BodyLimit, Pace, Sizes
from service.measuring import Measurer
from service.metrics import Metrics
from service.openapi import describe
from service.queue import Sender
from service.routes import (
    annotators,
    checkpoints,
    export,
    health,
    images,
    jobs,
    labels,
    members,
    metrics,
    projects,
    regions,
    rounds,
)
from service.settings import Settings, get_settings
from service.sweeper import Sweeper
from service.throttle import Throttle
from service.watcher import Watcher

Clock = Callable[[], datetime]

# In the order of the API's page.
_ROUTES = (projects, members, images, regions, labels, rounds, jobs, checkpoints, export, annotators, health, metrics)


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
    app.state.database = database or Database(settings.resolved_database_url, send)
    app.state.blobs = blobs or Blobs(settings.resolved_blob_url)
    app.state.crops = Crops(ROOM)
    app.state.clock = clock
    app.state.lease_proofs = LeaseProofs(app.state.database, settings.secret.get_secret_value())
    app.state.metrics = Metrics(app.state.database, app.state.blobs, settings, clock)
    add_handlers(app)
    app.add_middleware(
        BodyLimit,
        sizes=Sizes(upload=settings.max_request_bytes, other=settings.max_json_bytes),
        pace=Pace(seconds=settings.body_seconds, bytes_per_second=settings.body_bytes_per_second),
    )
    app.add_middleware(
        Door, routers=[module.router for module in _ROUTES], throttle=Throttle(settings.wrong_tokens_per_minute)
    )
    app.add_middleware(Head)
    # Added last, it is asked first.
    app.add_middleware(Access, count=app.state.metrics.count)
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
    watcher = Watcher(state.database, state.settings, state.clock)
    sweeper.start()
    watcher.start()
    measurer = Measurer(state.metrics, state.settings.measure_seconds)
    measurer.start()
    try:
        yield
    finally:
        measurer.stop()
        watcher.stop()
        sweeper.stop()
        state.database.engine.dispose()
