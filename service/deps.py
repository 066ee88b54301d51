"""What a route asks of its application: sessions, the clock, the blobs, the settings."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from service.blobs import Blobs
from service.crops import Crops
from service.db import Database
from service.settings import Settings


async def _database(request: Request) -> Database:
    return cast(Database, request.app.state.database)


async def _blobs(request: Request) -> Blobs:
    return cast(Blobs, request.app.state.blobs)


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _crops(request: Request) -> Crops:
    return cast(Crops, request.app.state.crops)


async def _now(request: Request) -> datetime:
    return cast(datetime, request.app.state.clock())


Store = Annotated[Database, Depends(_database)]
BlobStore = Annotated[Blobs, Depends(_blobs)]
ServiceSettings = Annotated[Settings, Depends(_settings)]
ImageCrops = Annotated[Crops, Depends(_crops)]
Now = Annotated[datetime, Depends(_now)]


async def _place(request: Request, database: Store) -> AsyncIterator[None]:
    """A place among the requests that have a session: of all connections but one there is one for each.

    They wait here, in no thread. A session keeps its connection while its answer waits for a thread to be put into JSON: if all
    threads waited for connections, neither would go on. The connection that is left is for what takes one within a thread.
    """
    places = request.app.state.places.setdefault(
        asyncio.get_running_loop(), asyncio.Semaphore(database.connections - 1)
    )
    async with places:
        yield


Place = Annotated[None, Depends(_place, scope="function")]


async def _reader(place: Place, database: Store) -> AsyncIterator[Session]:
    # Neither opening nor ending a session that only reads waits for the database, so neither needs a thread.
    with database.read() as session:
        yield session


def _writer(place: Place, database: Store) -> Iterator[Session]:
    with database.write() as session:
        yield session


# The scope "function" ends the session before the response leaves, so that a failed commit is an error response.
Reader = Annotated[Session, Depends(_reader, scope="function")]
Writer = Annotated[Session, Depends(_writer, scope="function")]
