"""Sessions: writers take turns on SQLite, nothing half done stays, and jobs leave after the commit."""

import threading
import time

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import TimeoutError as DatabaseTimeout
from sqlalchemy.orm import Session

from service import db, engines
from service.db import Database
from service.store import events
from service.tables import Event
from tests.conftest import START, Outbox


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


def add(session: Session) -> None:
    events.record(session, now=START, kind="test")


def test_a_failure_undoes_the_whole_session_and_sends_nothing(database: Database, outbox: Outbox) -> None:
    def fail() -> None:
        with database.write() as session:
            add(session)
            session.flush()
            session.info["outbox"] = [(1, "ask")]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (count(database), outbox) == (0, [])
    with database.write() as session:
        add(session)
        session.info["outbox"] = [(1, "ask")]
    assert (count(database), outbox) == (1, [(1, "ask")])


def test_what_is_not_durable_is_committed_all_the_same(database: Database) -> None:
    with database.write(durable=False) as session:
        add(session)
    assert count(database) == 1


def test_a_snapshot_sees_the_rows_as_they_were_at_its_first_statement(database: Database) -> None:
    counted = select(func.count()).select_from(Event)
    with database.snapshot() as session:
        before = session.scalar(counted)
        with database.write() as writer:
            add(writer)
        assert (before, session.scalar(counted)) == (0, 0)
    with database.snapshot() as session:
        assert session.scalar(counted) == 1


def test_a_snapshot_leaves_its_connection_as_it_was_for_readers_and_writers(database: Database) -> None:
    with database.snapshot() as session:
        session.scalar(select(func.count()).select_from(Event))
    with database.write() as session:
        add(session)
    with database.read() as session:
        before = session.scalar(select(func.count()).select_from(Event))
        with database.write() as writer:
            add(writer)
        after = session.scalar(select(func.count()).select_from(Event))
    # PostgreSQL's readers have no transaction, so each statement sees what is there; SQLite's are one.
    assert (before, after) == (1, 1 if database.engine.dialect.name == "sqlite" else 2)


def test_durability_is_asked_of_each_transaction(database: Database) -> None:
    sqlite = database.engine.dialect.name == "sqlite"
    asking = text("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit")
    seen = []
    for durable in (True, False, True):
        with database.write(durable=durable) as session:
            seen.append(session.scalar(asking))
    assert seen == ([2, 1, 2] if sqlite else ["on", "off", "on"])


def test_many_writers_read_then_write_without_losing_one_another(database: Database) -> None:
    def number() -> None:
        for _ in range(5):
            with database.write() as session:
                if database.engine.dialect.name == "postgresql":
                    session.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
                events.record(session, now=START, kind=str(session.scalar(select(func.count()).select_from(Event))))

    threads = [threading.Thread(target=number) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalars(select(Event.kind).order_by(Event.id)).all() == [str(place) for place in range(40)]


def test_a_reader_neither_waits_for_a_writer_nor_sees_what_is_not_committed(database: Database) -> None:
    with database.write() as session:
        add(session)
        session.flush()
        start = time.perf_counter()
        assert count(database) == 0
        assert time.perf_counter() - start < 5
    assert count(database) == 1


def test_a_writer_that_waits_too_long_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.engine.dialect.name != "sqlite":
        return  # PostgreSQL has no such turn
    monkeypatch.setattr(db, "PATIENCE_SECONDS", 0.05)
    with database.write() as first:
        add(first)
        first.flush()
        with pytest.raises(DatabaseTimeout), database.write() as second:
            add(second)
    with database.write() as third:
        add(third)
    assert count(database) == 2


def test_a_server_that_was_restarted_is_connected_to_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.engine.dialect.name != "postgresql":
        return  # SQLite has no connection to lose
    monkeypatch.setattr(engines, "_TRUSTED_SECONDS", 0.0)
    assert count(database) == 0
    gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> :own"
    other = Database(database.engine.url.render_as_string(hide_password=False))
    with other.write() as session:
        own = session.scalar(text("SELECT pg_backend_pid()"))
        session.execute(text(gone), {"own": own})
    other.engine.dispose()
    assert count(database) == 0
    with database.write() as session:
        add(session)
    assert count(database) == 1


def test_what_is_no_finite_number_is_stored_as_null(database: Database) -> None:
    measured = {"miou": float("nan"), "iou": [0.5, float("inf"), None], "ids": (1, "a", True)}
    with database.write() as session:
        events.record(session, now=START, kind="test", measured=measured)
    with database.read() as session:
        (detail,) = session.scalars(select(Event.detail))
    assert detail == {"measured": {"miou": None, "iou": [0.5, None, None], "ids": [1, "a", True]}}
