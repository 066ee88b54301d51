"""Two looks at a project differ by what has changed between them: no change is missed, and being heard of is none."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from service.db import Database
from service.store import events, job_lines, jobs, stamps
from service.store.stamps import SUBJECTS, Stamp, changed
from service.tables import Event, ImageGroup, Job, Project, Region, Round, WorkerHost
from tests.conftest import START
from tests.maker import Maker


def look(database: Database, project: int) -> Stamp:
    with database.ask() as connection:
        return stamps.stamp(connection, project, stamps.workers_mark(connection, START))


@pytest.fixture
def project(make: Maker) -> int:
    made = make.project()
    make.round_(made, make.images(made, 1), regions=3)
    with make.database.write() as session:
        job = jobs.queue_job(session, project_id=made.id, kind="finish", now=START)
        jobs.claim_job(session, job.id, now=START, stale_after=timedelta(seconds=1), worker="one")
        session.add(WorkerHost(name="one", missing={}, started_at=START, seen_at=START, job_id=job.id))
    return made.id


def every(
    table: type[Job | Region | Round | Project | ImageGroup | WorkerHost], **values: object
) -> Callable[[Session], None]:
    return lambda session: (session.execute(update(table).values(**values)), None)[1]


CHANGES: dict[str, tuple[Callable[[Session], None], set[str]]] = {
    "nothing": (lambda session: None, set()),
    "a heartbeat": (every(Job, heartbeat_at=START + timedelta(seconds=9), sent_at=START), set()),
    "a worker that is heard of": (every(WorkerHost, seen_at=START - timedelta(seconds=9)), set()),
    "a worker that falls silent": (every(WorkerHost, seen_at=START - timedelta(minutes=5)), {"workers"}),
    "progress": (every(Job, progress=0.5), {"jobs", "workers"}),
    "a message": (every(Job, message="Epoch 2"), {"jobs", "workers"}),
    "a cancellation": (every(Job, cancel_requested=True), {"jobs"}),
    "a job that ends": (every(Job, state="done"), {"jobs", "workers"}),
    "a line of a log": (lambda session: job_lines.say(session, 1, [job_lines.Line(at=START, text="so")]), {"jobs"}),
    "regions that are labelled": (every(Region, state="labelled"), {"regions", "project"}),
    "a round that was learned from": (every(Round, state="told"), {"rounds", "project"}),
    "a name": (every(Project, name="lanes"), {"project"}),
    "images": (every(ImageGroup, count=7), {"project"}),
    "a review": (
        lambda session: events.record(session, now=START, kind="label_reviewed", project_id=1),
        {"regions", "project"},
    ),
    "what nobody knows": (lambda session: events.record(session, now=START, kind="moved", project_id=1), set(SUBJECTS)),
    "another project's events": (lambda session: events.record(session, now=START, kind="moved", project_id=2), set()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_is_named(database: Database, project: int, name: str) -> None:
    change, subjects = CHANGES[name]
    before = look(database, project)
    with database.write() as session:
        change(session)
    assert changed(before, look(database, project)) == subjects


def test_an_event_that_is_committed_after_a_later_one_is_seen(database: Database, project: int) -> None:
    with database.write() as session:
        session.add(Event(id=1000, at=START, project_id=project, kind="job_queued", detail={}))
    before = look(database, project)
    with database.write() as session:
        session.add(Event(id=999, at=START, project_id=project, kind="round_told", detail={}))
    assert changed(before, look(database, project)) == {"project", "rounds", "regions"}


def test_more_events_than_are_looked_at_are_of_everything(database: Database, project: int) -> None:
    before = look(database, project)
    with database.write() as session:
        for _ in range(150):
            events.record(session, now=START, kind="region_labelled", project_id=project)
    assert changed(before, look(database, project)) == set(SUBJECTS)


def test_a_look_takes_few_statements_and_reads_no_table_whole(database: Database, project: int) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("SQLite says which tables it reads whole.")
    said: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append((given[2], given[3])))
    look(database, project)
    assert len(said) <= 12
    with database.engine.connect() as connection:
        for statement, parameters in [each for each in said if each[0].startswith("SELECT")]:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            whole = [row[3] for row in plan if row[3].startswith("SCAN") and "workers" not in row[3]]
            assert whole == [], statement
