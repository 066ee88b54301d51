"""Sessions; a request's session commits before its response leaves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.orm import Session

from service.engines import CONNECTIONS, PATIENCE_SECONDS, SQLITE_CONNECTIONS, make_engine, without_events
from service.queue import Sender

_ANNOTATORS = 7461  # the room of PostgreSQL's advisory locks whose keys are annotators
ALONE = f"pg_advisory_xact_lock({_ANNOTATORS}, CAST(:alone AS integer))"
_FORGETFUL = text("SET LOCAL synchronous_commit = off")
# In one statement, for it is on the way of every request for regions.
_FORGETFUL_ALONE = text(f"SELECT set_config('synchronous_commit', 'off', true), {ALONE}")


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
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            raise TimeoutError(f"Another writer has held the database for {PATIENCE_SECONDS} seconds.")
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()


class _SqliteSession(Session):
    """A session of one view of the rows, from its first statement on; with a turn, one that writes and is alone with it."""


@event.listens_for(_SqliteSession, "after_begin")
def _begin(session: Session, transaction: Any, connection: Connection) -> None:
    turn = session.info.get("turn")
    if turn is None:
        connection.exec_driver_sql("BEGIN")
        return
    turn.take()
    wanted = "FULL" if turn.durable else "NORMAL"
    if connection.info.get("synchronous") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted
    # A transaction that reads before it writes cannot wait for the lock (SQLITE_BUSY at once): writers take it first.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Database:
    """Sessions over one engine: readers, snapshots, and writers that see no one else writing on SQLite."""

    def __init__(self, url: str, send: Sender | None = None, *, connections: int = CONNECTIONS) -> None:
        """`send` wakes workers for the jobs that a committed session queued in its outbox."""
        self.engine = without_events(make_engine(url, connections=connections))
        sqlite = self.engine.dialect.name == "sqlite"
        self.connections = SQLITE_CONNECTIONS if sqlite else connections
        self._lock = threading.Lock()
        self._session: type[Session] = _SqliteSession if sqlite else Session
        # PostgreSQL gives each statement a snapshot of its own either way; without BEGIN and ROLLBACK it is asked once.
        without_begin = {} if sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self.engine.execution_options(**without_begin)
        # On SQLite all statements of a transaction see the same rows anyway.
        one_view = {} if sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._viewing = self.engine.execution_options(**one_view)
        self._send = send

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        """A connection for statements of Core that read, each of which sees the rows as they are then: what costs least."""
        with self._reading.connect() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at the end."""
        with self._session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Like `read`, in one transaction whose statements all see the rows as they were at the first of them."""
        with self._session(self._viewing, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, durable: bool = True, alone: int | None = None) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back whole where an error passes through.

        What is not `durable` may be forgotten where the machine, not just the process, dies within a moment. Of such sessions
        that are `alone` for one annotator each waits for the one before; on SQLite all do.
        """
        turn = _Turn(self._lock, durable=durable)
        with self._session(self.engine, expire_on_commit=False, info={"turn": turn}) as session:
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
