"""Sessions; a request's session commits before its response leaves."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import TimeoutError
from sqlalchemy.orm import Session

from service.engines import CONNECTIONS, PATIENCE_SECONDS, SQLITE_CONNECTIONS, make_engine, without_events
from service.queue import Sender
from service.tables import Round

_ANNOTATORS = 7461  # the room of PostgreSQL's advisory locks whose keys are annotators
_LOCK_ROUNDS = f"SELECT 1 FROM {Round.__tablename__} WHERE id IN ({{}}) ORDER BY id FOR UPDATE"
ALONE = f"pg_advisory_xact_lock({_ANNOTATORS}, CAST(:alone AS integer))"


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


class _Session(Session):
    """A session whose transactions begin with `begin` of its info, and with its `turn`, if it has one; else with nothing.

    Neither engine begins any by itself (service/engines.py): what begins one is sent in one go, when its first statement is.
    """


@event.listens_for(_Session, "after_begin")
def _begin(session: Session, transaction: Any, connection: Connection) -> None:
    turn = session.info.get("turn")
    if turn is not None:
        turn.take()
        wanted = "FULL" if turn.durable else "NORMAL"
        if connection.info.get("synchronous") != wanted:
            connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
    if begin := session.info.get("begin"):
        connection.exec_driver_sql(begin)


def _writing_on_postgresql(*, durable: bool, alone: int | None, rounds: Collection[int]) -> str:
    """What begins a transaction that writes to PostgreSQL."""
    said = ["BEGIN"]
    if rounds:
        said.append(_LOCK_ROUNDS.format(", ".join(f"{each:d}" for each in sorted(rounds))))
    if not durable:
        said.append("SET LOCAL synchronous_commit = off")
        if alone is not None:
            said.append(f"SELECT pg_advisory_xact_lock({_ANNOTATORS}, {alone:d})")
    return "; ".join(said)


class Database:
    """Sessions over one engine: readers, snapshots, and writers that see no one else writing on SQLite."""

    def __init__(self, url: str, send: Sender | None = None, *, connections: int = CONNECTIONS) -> None:
        """`send` wakes workers for the jobs that a committed session queued in its outbox."""
        self.engine = without_events(make_engine(url, connections=connections))
        self._sqlite = self.engine.dialect.name == "sqlite"
        self.connections = SQLITE_CONNECTIONS if self._sqlite else connections
        self._lock = threading.Lock()
        self._send = send

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        """A connection for statements of Core that read, each of which sees the rows as they are then: what costs least."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at the end. On PostgreSQL each statement sees the rows as they are then."""
        with self._session(begin="BEGIN" if self._sqlite else "") as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Like `read`, in one transaction whose statements all see the rows as they were at the first of them."""
        # On SQLite all statements of a transaction see the same rows anyway.
        with self._session(
            begin="BEGIN" if self._sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        ) as session:
            yield session

    @contextmanager
    def write(
        self, *, durable: bool = True, alone: int | None = None, rounds: Collection[int] = ()
    ) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back whole where an error passes through.

        What is not `durable` may be forgotten where the machine, not just the process, dies within a moment. Of such sessions
        that are `alone` for one annotator each waits for the one before; on SQLite all do. It begins with these `rounds` locked
        that there are, which costs a statement less than to lock them afterwards.
        """
        turn = _Turn(self._lock, durable=durable) if self._sqlite else None
        # A transaction that reads before it writes cannot wait for SQLite's lock (SQLITE_BUSY at once): writers take it first.
        begin = (
            "BEGIN IMMEDIATE" if self._sqlite else _writing_on_postgresql(durable=durable, alone=alone, rounds=rounds)
        )
        with self._session(begin=begin, turn=turn, rounds=frozenset(rounds)) as session:
            try:
                with session.begin():
                    yield session
            finally:
                if turn is not None:
                    turn.end()
            # Only now are the rows there for a worker to find.
            if self._send is not None and (jobs := session.info.pop("outbox", None)):
                self._send(jobs)

    def _session(self, **info: Any) -> Session:
        return _Session(self.engine, expire_on_commit=False, info=info)
