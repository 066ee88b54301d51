"""The log of a job: what it says, why it failed and when it is tried again, in a bounded number of lines that go with time."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from service.db import Database
from service.keeping import Keeper
from service.settings import Settings
from service.store import job_lines, job_orders, jobs, recovery
from service.store.job_lines import FIRST, LONGEST, MOST, Line
from service.tables import Job, JobLine
from tests.conftest import START, FakeClock
from tests.maker import Maker

STALE = timedelta(seconds=1)


@pytest.fixture
def job(make: Maker, database: Database) -> int:
    project = make.project()
    with database.write() as session:
        return jobs.queue_job(session, project_id=project.id, kind="evaluate", now=START).id


def claim(database: Database, job: int) -> str:
    with database.write() as session:
        claimed = jobs.claim_job(session, job, now=START, stale_after=STALE, worker="one")
        assert claimed is not None
        return str(claimed.lock)


def say(database: Database, job: int, *texts: str) -> None:
    with database.write() as session:
        job_lines.say(session, job, [Line(at=START, text=each) for each in texts])


def said(client: TestClient, job: int) -> list[tuple[str, str]]:
    items = client.get(f"/jobs/{job}/log", params={"limit": 500}).json()["items"]
    return [(each["level"], each["text"]) for each in items]


def test_a_log_tells_of_tries_failures_waits_and_the_end(database: Database, admin: TestClient, job: int) -> None:
    lock = claim(database, job)
    with database.write() as session:
        owned = jobs.owned_job(session, job, lock)
        jobs.fail_job(session, owned, now=START, error="no memory", max_attempts=3, wait=timedelta(seconds=4))
    lock = claim(database, job)
    with database.write() as session:
        owned = jobs.owned_job(session, job, lock)
        jobs.postpone_job(session, owned, now=START, error="disk full", wait=timedelta(seconds=8))
    lock = claim(database, job)
    with database.write() as session:
        owned = jobs.owned_job(session, job, lock)
        jobs.fail_job(session, owned, now=START, error="no data", max_attempts=3, final=True)
    with database.write() as session:
        job_orders.retry_job(session, job, now=START)
    lock = claim(database, job)
    with database.write() as session:
        jobs.finish_job(session, jobs.owned_job(session, job, lock), now=START, result={"warning": ""})
    assert said(admin, job) == [
        ("info", "A worker begins with it, try 1."),
        ("error", "no memory"),
        ("info", "It is tried again in 4 s."),
        ("info", "A worker begins with it, try 2."),
        ("warning", "disk full"),
        ("info", "It is tried again in 8 s."),
        ("info", "A worker begins with it, try 2."),
        ("error", "no data"),
        ("error", "It is given up."),
        ("info", "Somebody has it tried again."),
        ("info", "A worker begins with it, try 1."),
        ("info", "It is done."),
    ]


def test_a_log_tells_of_cancelling_and_of_a_worker_that_died(
    database: Database, admin: TestClient, job: int, outbox: list[tuple[int, str]]
) -> None:
    claim(database, job)
    assert admin.post(f"/jobs/{job}/cancel").is_success
    with database.write() as session:
        recovery.sweep(
            session,
            now=START + timedelta(minutes=5),
            resend_after=timedelta(minutes=9),
            stale_after=STALE,
            max_attempts=3,
        )
    assert [text for _, text in said(admin, job)][1:] == [
        "It is to stop.",
        "The worker stopped without a word: killed, or out of memory.",
        "It is tried again at once.",
    ]


def test_of_a_long_log_the_first_lines_and_the_newest_are_kept(database: Database, admin: TestClient, job: int) -> None:
    for start in range(0, MOST + 100, 60):
        say(database, job, *(f"step {each}" for each in range(start, start + 60)))
    kept = [int(text.removeprefix("step ")) for _, text in said(admin, job)]
    last = range(start + 60 - (MOST - FIRST), start + 60)
    assert kept == [*range(FIRST), *last]


def test_a_line_is_cut_and_is_not_said_twice_in_a_row(database: Database, admin: TestClient, job: int) -> None:
    say(database, job, "so", "so")
    say(database, job, "so", "x" * 5000, "", "so")
    assert [text for _, text in said(admin, job)] == ["so", "x" * LONGEST, "so"]


def test_a_log_comes_in_pages(database: Database, admin: TestClient, job: int) -> None:
    say(database, job, "one", "two", "three")
    first = admin.get(f"/jobs/{job}/log", params={"limit": 2}).json()
    rest = admin.get(f"/jobs/{job}/log", params={"limit": 2, "after": first["next"]}).json()
    assert [each["text"] for each in first["items"] + rest["items"]] == ["one", "two", "three"]
    assert rest["next"] is None
    assert admin.get("/jobs/99/log").status_code == 404


def test_lines_go_a_while_after_their_job_has_ended(
    make: Maker, database: Database, settings: Settings, job: int
) -> None:
    with database.write() as session:
        project = session.get_one(Job, job).project_id
        for days in (40, 10):
            ended = START - timedelta(days=days)
            row = Job(project_id=project, kind="finish", payload={}, state="done", created_at=ended, finished_at=ended)
            session.add(row)
            session.flush()
            job_lines.say(session, row.id, [Line(at=ended, text=str(each)) for each in range(3)])
    say(database, job, "still to come")
    for dry in (True, False):
        keeper = Keeper(database=database, blobs=make.blobs, settings=settings, clock=FakeClock(), dry=dry)
        went = [each.count for each in keeper.pieces() if each.kind == "lines of jobs' logs"]
        assert went == [3]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JobLine)) == 4


def test_jobs_come_newest_first_where_that_is_asked_for(make: Maker, database: Database, admin: TestClient) -> None:
    project = make.project()
    with database.write() as session:
        for _ in range(5):
            jobs.queue_job(session, project_id=project.id, kind="ask", now=START)
    path = f"/projects/{project.id}/jobs"
    page = admin.get(path, params={"order": "newest", "limit": 3}).json()
    rest = admin.get(path, params={"order": "newest", "limit": 3, "after": page["next"]}).json()
    assert [each["id"] for each in page["items"]] == [5, 4, 3]
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([2, 1], None)
