"""Engine and sessions; a request's session commits before its response leaves."""

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError, TimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from service.queue import Sender

_PATIENCE_SECONDS = 60
_TRUSTED_SECONDS = 1.0
_ANNOTATORS = 7461  # the room of PostgreSQL's advisory locks whose keys are annotators
ALONE = f"pg_advisory_xact_lock({_ANNOTATORS}, CAST(:alone AS integer))"
_FORGETFUL = text("SET LOCAL synchronous_commit = off")
# In one statement, for it is on the way of every request for regions.
_FORGETFUL_ALONE = text(f"SELECT set_config('synchronous_commit', 'off', true), {ALONE}")
_SQLITE_CONNECTIONS = 80


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
        connect_args={"timeout": _PATIENCE_SECONDS, "check_same_thread": False},
        pool_size=_SQLITE_CONNECTIONS // 2,
        max_overflow=_SQLITE_CONNECTIONS // 2,
        json_serializer=to_json,
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: str, connections: int) -> Engine:
    # Nobody holds one while he waits for a second, so all get their turn; of threads see service/deps.py.
    engine = create_engine(
        url, pool_size=connections, max_overflow=0, pool_timeout=_PATIENCE_SECONDS, json_serializer=to_json
    )
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
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={1000 * _PATIENCE_SECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes cannot wait for the lock (SQLITE_BUSY at once): writers take it first.
    write = connection.get_execution_options().get("write", False)
    if isinstance(write, _Turn):
        write.take()
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if write.durable else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class _Turn:
    """The right to write to SQLite, in this process: taken with the first statement, given up with the transaction.

    Writers wait for each other here, because SQLite itself makes them sleep and try again, some of them for seconds.
    The statement and the end may come from different threads.
    """

    def __init__(self, lock: threading.Lock, *, durable: bool) -> None:
        self.durable = durable
        self._lock = lock
        self._held = False

    def take(self) -> None:
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise TimeoutError(f"Another writer has held the database for {_PATIENCE_SECONDS} seconds.")
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()


class Database:
    """Sessions over one engine: readers, snapshots, and writers that see no one else writing on SQLite."""

    def __init__(self, url: str, send: Sender | None = None, *, connections: int = CONNECTIONS) -> None:
        """`send` wakes workers for the jobs that a committed session queued in its outbox."""
        self.engine = make_engine(url, connections=connections)
        self.connections = _SQLITE_CONNECTIONS if self.engine.dialect.name == "sqlite" else connections
        self._lock = threading.Lock()
        # PostgreSQL gives each statement a snapshot of its own either way; without BEGIN and ROLLBACK it is asked once.
        sqlite = self.engine.dialect.name == "sqlite"
        without_begin = {} if sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self.engine.execution_options(**without_begin)
        # On SQLite all statements of a transaction see the same rows anyway.
        one_view = {} if sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._viewing = self.engine.execution_options(**one_view)
        self._send = send

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at the end."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Like `read`, in one transaction whose statements all see the rows as they were at the first of them."""
        with Session(self._viewing, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, durable: bool = True, alone: int | None = None) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back whole where an error passes through.

        What is not `durable` may be forgotten where the machine, not just the process, dies within a moment. Of such sessions
        that are `alone` for one annotator each waits for the one before; on SQLite all do.
        """
        turn = _Turn(self._lock, durable=durable)
        with Session(self.engine.execution_options(write=turn), expire_on_commit=False) as session:
            try:
                with session.begin():
                    if not durable and self.engine.dialect.name == "postgresql":
                        if alone is None:
                            session.execute(_FORGETFUL)
                        else:
                            session.execute(_FORGETFUL_ALONE, {"alone": alone})
                    yield session
            finally:
                turn.end()
            # Only now are the rows there for a worker to find.
            if self._send is not None and (jobs := session.info.pop("outbox", None)):
                self._send(jobs)
