"""Migrations: the schema they make is the one the code expects, up and down, by many at once."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, delete, inspect, make_url, text, update
from sqlalchemy.exc import DBAPIError

from service import migrate
from service.db import Database
from service.store import events
from service.tables import Base, Event
from tests.conftest import BACKENDS, POSTGRES


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = make_url(POSTGRES or "")
    name = f"regionwise_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def test_the_migrated_schema_is_the_one_of_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert migrate.current(connection) == migrate.head()


def test_one_lease_of_a_region_is_active_by_the_databases_own_word(database: Database) -> None:
    with database.engine.connect() as connection:
        (index,) = [
            each for each in inspect(connection).get_indexes("leases") if each["name"] == "uq_leases_active_region"
        ]
    assert index["unique"]
    (condition,) = [value for key, value in index["dialect_options"].items() if key.endswith("_where")]
    assert "ended_at IS NULL" in str(condition)


def test_up_and_down_and_up_again(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)  # nothing to do
    migrate.downgrade(empty_url, "base")
    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(empty_url)
    assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    engine.dispose()


def test_many_may_migrate_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.upgrade, [empty_url] * 4))
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        assert migrate.current(connection) == migrate.head()
    engine.dispose()


@pytest.mark.parametrize("change", [update(Event).values(kind="other"), delete(Event)])
def test_the_database_refuses_to_change_or_remove_an_event(database: Database, change: object) -> None:
    with database.write() as session:
        events.record(session, now=datetime(2026, 1, 1, tzinfo=UTC), kind="first", detail_of="anything")
    with pytest.raises(DBAPIError, match="append only"), database.write() as session:
        session.execute(change)  # type: ignore[call-overload]
    with database.read() as session:
        event = session.get_one(Event, 1)
    assert (event.kind, event.detail) == ("first", {"detail_of": "anything"})
