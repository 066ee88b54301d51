"""Migrations: the schema they make is the one the code expects, up and down, by many at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, create_engine, delete, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from service import migrate
from service.db import Database
from service.engines import make_engine
from service.lease_proofs import LeaseProofs
from service.store import events
from service.tables import Base, Event, Region, Round

BEFORE_0008 = "0007"


def test_the_migrated_schema_is_the_one_of_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert migrate.current(connection) == migrate.head()


def test_one_lease_of_a_region_is_active_by_the_databases_own_word(database: Database) -> None:
    with database.engine.connect() as connection:
        (index,) = [
            each for each in inspect(connection).get_indexes("leases") if each["name"] == "uq_leases_active_seat"
        ]
    assert index["unique"]
    assert index["column_names"] == ["region_id", "seat"]
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


class EarlierRelease:
    """Writes rows as a release does that knows the database as it is now, whatever it becomes."""

    def __init__(self, engine: Engine) -> None:
        self._known = MetaData()
        self._known.reflect(engine)

    def add(self, connection: Connection, table: str, **values: Any) -> int:
        """A row; returns its id."""
        added = connection.execute(self._known.tables[table].insert().values(**values))
        assert added.inserted_primary_key is not None
        return int(added.inserted_primary_key[0])

    def campaign(self, connection: Connection) -> None:
        """A round of regions 1, predicted, labelled and leased, and 2, not predicted."""
        now = datetime(2026, 1, 1, tzinfo=UTC)
        person = {"name": "ada", "role": "annotator", "token_hash": "a", "active": True, "created_at": now}
        ada = self.add(connection, "annotators", **person)
        project = self.add(
            connection, "projects", name="a", classes={}, settings={"segmenter": "fpn"}, active=True, created_at=now
        )
        sizes = {"project_id": project, "split": "pool", "height": 90, "width": 160}
        group = self.add(connection, "image_groups", **sizes, count=1)
        file = {"name": "a", "media_type": "image/png", "digest": "a", "blob_key": "a", "created_at": now}
        image = self.add(connection, "images", **sizes, **file, group_id=group, ordinal=0)
        for _ in range(2):
            weights = {"kind": "segmenter", "blob_key": "a", "description": {}, "created_at": now}
            checkpoint = self.add(connection, "checkpoints", **weights, project_id=project)
        asked = {"number": 1, "state": "open", "size": 2, "seconds": {}, "note": "", "created_at": now}
        round_ = self.add(connection, "rounds", **asked, project_id=project, checkpoint_id=checkpoint)
        for cell, prediction in enumerate((b"png", None)):
            self.region(connection, project, round_, image, cell=cell, prediction=prediction)
        label = {"version": 1, "mask": b"png", "digest": "a", "class_counts": [], "created_at": now}
        self.add(connection, "labels", **label, region_id=1, annotator_id=ada)
        self.add(connection, "leases", region_id=1, annotator_id=ada, created_at=now, expires_at=now)

    def region(self, connection: Connection, project: int, round_: int, image: int, **more: Any) -> int:
        """A proposed region."""
        place = {"number": 0, "row": 0, "col": 0, "height": 90, "width": 80, "score": 0.5, "state": "open"}
        return self.add(connection, "regions", **place, **more, project_id=project, round_id=round_, image_id=image)


def test_a_campaign_goes_on_across_the_second_revision_up_and_down(empty_url: str) -> None:
    migrate.upgrade(empty_url, "0001")
    engine = make_engine(empty_url)
    earlier = EarlierRelease(engine)
    with engine.execution_options(write=True).begin() as connection:
        earlier.campaign(connection)
    migrate.upgrade(empty_url, "0002")
    with engine.execution_options(write=True).begin() as connection:
        third = earlier.region(connection, 1, 1, 1, cell=2, prediction=b"late")  # the release before is still at work
        found = connection.execute(select(Region.id, Region.prediction_checkpoint_id).order_by(Region.id)).all()
        warnings = connection.execute(select(Round.warning)).all()
    assert [tuple(each) for each in found] == [(1, 2), (2, None), (third, None)]
    assert [tuple(each) for each in warnings] == [(None,)]
    with pytest.raises(IntegrityError), engine.execution_options(write=True).begin() as connection:
        connection.execute(update(Region).where(Region.id == 1).values(prediction_checkpoint_id=77))

    migrate.downgrade(empty_url, "0001")
    assert "warning" not in {column["name"] for column in inspect(engine).get_columns("rounds")}
    assert "prediction_checkpoint_id" not in {column["name"] for column in inspect(engine).get_columns("regions")}
    with engine.execution_options(write=True).begin() as connection:
        earlier.region(connection, 1, 1, 1, cell=3, prediction=None)
        counted = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
            for table in ("regions", "labels", "leases")
        ]
    assert counted == [4, 1, 1]
    engine.dispose()


def test_numbers_are_given_once_and_events_outlive_projects_from_the_fifth_revision_on(empty_url: str) -> None:
    migrate.upgrade(empty_url, "0004")
    engine = make_engine(empty_url)
    earlier = EarlierRelease(engine)
    happened = {"at": datetime(2026, 1, 1, tzinfo=UTC), "kind": "project_added", "detail": {}}
    with engine.execution_options(write=True).begin() as connection:
        earlier.campaign(connection)
        earlier.add(connection, "events", **happened, project_id=1)
    migrate.upgrade(empty_url)
    with engine.execution_options(write=True).begin() as connection:
        counted = [connection.execute(text(f"SELECT count(*) FROM {each}")).scalar() for each in ("labels", "leases")]
        third = earlier.region(connection, 1, 1, 1, cell=2)  # the release before is still at work
        connection.execute(delete(Region).where(Region.id == third))
        fourth = earlier.region(connection, 1, 1, 1, cell=2)
        earlier.add(connection, "events", **happened, project_id=77)
    assert (counted, third, fourth) == ([1, 1], 3, 4)
    with pytest.raises(IntegrityError), engine.execution_options(write=True).begin() as connection:
        connection.execute(delete(Region).where(Region.id == 1))  # labels and leases name it
    with pytest.raises(DBAPIError, match="append only"), engine.execution_options(write=True).begin() as connection:
        connection.execute(delete(Event))

    migrate.downgrade(empty_url, "0004")
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == 2
    engine.dispose()


def test_everybody_keeps_the_projects_that_there_are_with_the_revision_of_members(empty_url: str) -> None:
    migrate.upgrade(empty_url, "0005")
    engine = make_engine(empty_url)
    earlier = EarlierRelease(engine)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with engine.execution_options(write=True).begin() as connection:
        earlier.campaign(connection)
        person = {"name": "eve", "role": "reviewer", "token_hash": "e", "active": False, "created_at": now}
        earlier.add(connection, "annotators", **person)
        earlier.add(connection, "projects", name="b", classes={}, settings={}, active=True, created_at=now)
    migrate.upgrade(empty_url)
    with engine.execution_options(write=True).begin() as connection:
        chosen = text("SELECT project_id, annotator_id, role FROM memberships ORDER BY project_id, annotator_id")
        found = [tuple(each) for each in connection.execute(chosen)]
        # The release before is still at work.
        third = earlier.add(connection, "projects", name="c", classes={}, settings={}, active=True, created_at=now)
        opened = connection.execute(text(f"SELECT open_to_all FROM projects WHERE id = {third}")).scalar()
        chosen = text("SELECT annotator_id, token_hash, revoked_at IS NULL FROM tokens ORDER BY id")
        tokens = [tuple(each) for each in connection.execute(chosen)]
    assert found == [(1, 1, "annotator"), (1, 2, "reviewer"), (2, 1, "annotator"), (2, 2, "reviewer")]
    assert not opened
    assert tokens == [(1, "a", True), (2, "e", False)]
    migrate.downgrade(empty_url, "0005")
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT count(*) FROM memberships")).scalar() == 6
    engine.dispose()


def test_leases_and_a_secret_go_on_across_the_sixth_revision_up_and_down(empty_url: str) -> None:
    migrate.upgrade(empty_url, "0005")
    engine = make_engine(empty_url)
    earlier = EarlierRelease(engine)
    with engine.execution_options(write=True).begin() as connection:
        earlier.campaign(connection)
    migrate.upgrade(empty_url, "0006")
    database = Database(empty_url)
    first, second = LeaseProofs(database), LeaseProofs(database)
    first.load()
    with engine.execution_options(write=True).begin() as connection:
        earlier.region(connection, 1, 1, 1, cell=2)  # the release before is still at work
        lease = {"annotator_id": 1, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
        earlier.add(connection, "leases", **lease, region_id=2, expires_at=datetime(2026, 1, 2, tzinfo=UTC))
    second.load()
    assert first.token(1, 2, 3) == second.token(1, 2, 3)
    database.engine.dispose()

    migrate.downgrade(empty_url, "0005")
    assert "secrets" not in inspect(engine).get_table_names()
    migrate.upgrade(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar() == 2
        assert connection.execute(text("SELECT count(*) FROM secrets")).scalar() == 0
    engine.dispose()


def test_jobs_and_workers_of_the_release_before_go_on_across_the_eighth_revision_up_and_down(empty_url: str) -> None:
    migrate.upgrade(empty_url, BEFORE_0008)
    engine = make_engine(empty_url)
    earlier, now = EarlierRelease(engine), datetime(2026, 1, 1, tzinfo=UTC)
    queued = {"kind": "ask", "payload": {}, "state": "queued", "progress": 0.0, "message": "", "created_at": now}
    job = {**queued, "project_id": 1, "attempt": 0, "cancel_requested": False}
    with engine.execution_options(write=True).begin() as connection:
        earlier.campaign(connection)
        earlier.add(connection, "jobs", **job)
        earlier.add(connection, "workers", name="left", missing={}, started_at=now)
    migrate.upgrade(empty_url, "0008")
    with engine.execution_options(write=True).begin() as connection:
        earlier.add(connection, "jobs", **job)  # the release before is still at work
        earlier.add(connection, "workers", name="right", missing={}, started_at=now)
        own = "INSERT INTO workers (name, missing, started_at, pid) SELECT 'own', missing, started_at, 7 FROM workers"
        connection.execute(text(f"{own} WHERE name = 'left'"))
        found = connection.execute(text("SELECT postponed, due_at, worker FROM jobs")).all()
    assert [tuple(each) for each in found] == [(0, None, None)] * 2

    migrate.downgrade(empty_url, BEFORE_0008)
    with engine.execution_options(write=True).begin() as connection:
        earlier.add(connection, "jobs", **job)
        names = connection.execute(text("SELECT name FROM workers ORDER BY name")).scalars().all()
        jobs = connection.execute(text("SELECT count(*) FROM jobs")).scalar()
    assert (list(names), jobs) == (["left", "right"], 3)
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
