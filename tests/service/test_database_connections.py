"""Connections to PostgreSQL: a few serve however many requests come at once, and none waits for another for ever."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.settings import Settings
from tests.conftest import FakeClock
from tests.maker import Maker

AT_ONCE = 60  # more than there are threads


@pytest.mark.postgres
@pytest.mark.parametrize("connections", [None, 2])
def test_few_connections_serve_many_requests_at_once(
    database_url: str, settings: Settings, blobs: Blobs, clock: FakeClock, connections: int | None
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no server that counts connections.")
    database = Database(database_url) if connections is None else Database(database_url, connections=connections)
    made: list[Any] = []
    event.listen(database.engine, "connect", lambda connection, record: made.append(connection))
    make = Maker(database, blobs, clock)
    project = make.project()
    make.round_(project, make.images(project, 20), regions=80)
    tokens = [make.annotator("admin") for _ in range(AT_ONCE)]
    app = create_app(settings, database=database, blobs=blobs, clock=clock)

    async def each(client: httpx.AsyncClient, token: str) -> list[int]:
        paths = ("/next-regions", "/projects/1", "/projects/1/export", "/projects/1/images")
        answers = [await client.get(path, headers={"Authorization": f"Bearer {token}"}) for path in paths]
        changed = await client.patch(
            "/projects/1", json={"settings": {"budget": 500}}, headers={"Authorization": f"Bearer {token}"}
        )
        return [answer.status_code for answer in (*answers, changed)]

    async def all_at_once() -> list[list[int]]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
            return await asyncio.gather(*(each(client, token) for token in tokens))

    statuses = Counter(status for found in asyncio.run(all_at_once()) for status in found)
    database.engine.dispose()
    assert statuses == {200: 5 * AT_ONCE}
    assert len(made) <= (connections or 10)
