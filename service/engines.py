"""Engines for SQLite and PostgreSQL: how connections are made, kept, and how transactions begin."""

import json
import math
import time
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

PATIENCE_SECONDS = 60
_TRUSTED_SECONDS = 1.0
SQLITE_CONNECTIONS = 80


CONNECTIONS = 10
"""To a PostgreSQL server, of one process: a server lets in 100 by default, and several processes share it."""


def make_engine(url: str, *, connections: int = CONNECTIONS) -> Engine:
    """An engine for SQLite or PostgreSQL; on SQLite, connections with `write` set take the write lock at once.

    PostgreSQL is never asked for more `connections` at a time: whoever wants one more waits.
    """
    if not url.startswith("sqlite"):
        return _postgresql_engine(url, connections)
    engine = create_engine(
        url,
        connect_args={"timeout": PATIENCE_SECONDS, "check_same_thread": False},
        pool_size=SQLITE_CONNECTIONS // 2,
        max_overflow=SQLITE_CONNECTIONS // 2,
        json_serializer=to_json,
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: str, connections: int) -> Engine:
    # Nobody holds one while he waits for a second, so all get their turn; of threads see service/deps.py.
    engine = create_engine(
        url,
        connect_args={"autocommit": True},  # BEGIN is ours, see _begin_postgresql
        pool_size=connections,
        max_overflow=0,
        pool_timeout=PATIENCE_SECONDS,
        json_serializer=to_json,
    )
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", _ping_if_idle)
    return engine


def to_json(value: Any) -> str:
    """JSON as it is stored: what is no finite number is null, for PostgreSQL takes nothing else, and JSON has nothing else."""
    return json.dumps(finite(value), allow_nan=False)


def finite(value: Any) -> Any:
    """The same with None for each number, in lists and objects too, that is not finite."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(each) for key, each in value.items()}
        case list() | tuple():
            return [finite(each) for each in value]
        case _:
            return value


def _note_time(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
    # Asking each time whether the server is still there would double the cost of small statements.
    if time.monotonic() - record.info.get("used_at", time.monotonic()) < _TRUSTED_SECONDS:
        return
    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError("The server has closed an idle connection.") from error


def _configure_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={1000 * PATIENCE_SECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes cannot wait for the lock (SQLITE_BUSY at once): writers take it first.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def without_events(engine: Engine) -> Engine:
    """An engine on the same connections that begins nothing, which sessions do (service/db.py).

    Where there are no listeners, every statement costs less.
    """
    return create_engine(engine.url, pool=engine.pool, json_serializer=to_json)
