"""Reviewers see which workers there are and what they are at; of what is not theirs no more than that it is somebody's."""

from collections.abc import Callable
from datetime import timedelta

from starlette.testclient import TestClient

from service.db import Database
from service.store import jobs, workers
from service.tables import Annotator, Job, Membership
from tests.conftest import START
from tests.maker import Maker

Login = Callable[..., TestClient]


def at_work(database: Database, project: int, name: str) -> int:
    """A worker of this name, and the job that it is at."""
    with database.write() as session:
        host = name.partition(":")[0]
        workers.announce(session, name, {"smp:": "See /opt/secret."}, START, host=host, pid=1, queues="rounds,cpu")
        job = jobs.queue_job(session, project_id=project, kind="evaluate", now=START)
        jobs.claim_job(session, job.id, now=START, stale_after=timedelta(seconds=9), worker=name)
        session.get_one(Job, job.id).progress, session.get_one(Job, job.id).message = 0.4, "Image 4 of 10"
        return job.id


def test_who_reviews_a_project_sees_its_jobs_and_hides_those_of_others(
    make: Maker, database: Database, login: Login, admin: TestClient
) -> None:
    reviewer = login("annotator", "rea")
    mine, other = make.project("mine", open_to_all=False), make.project("hidden", open_to_all=False)
    with database.write() as session:
        rea = session.query(Annotator).filter_by(name="rea").one().id
        session.add(Membership(project_id=mine.id, annotator_id=rea, role="reviewer", created_at=START))
        session.add(Membership(project_id=other.id, annotator_id=rea, role="annotator", created_at=START))
    ids = [at_work(database, mine.id, "one:1:ab"), at_work(database, other.id, "two:1:cd")]
    shown = reviewer.get("/workers")
    first, second = shown.json()["items"]
    assert (first["host"], first["queues"], first["missing"], first["alive"]) == (
        "one",
        ["rounds", "cpu"],
        ["smp:"],
        True,
    )
    assert first["job"] == {
        "id": ids[0],
        "kind": "evaluate",
        "project_id": mine.id,
        "project": "mine",
        "progress": 0.4,
        "message": "Image 4 of 10",
    }
    assert {value for name, value in second["job"].items() if name != "project"} == {None}
    assert second["job"]["project"] == "another project"
    assert not any(word in shown.text for word in ("hidden", "secret"))
    assert [each["job"]["id"] for each in admin.get("/workers").json()["items"]] == ids


def test_a_worker_that_falls_silent_is_not_alive_and_one_whose_job_has_ended_is_at_nothing(
    make: Maker, database: Database, admin: TestClient, clock: Callable[[], object]
) -> None:
    job = at_work(database, make.project().id, "one:1:ab")
    with database.write() as session:
        session.get_one(Job, job).state = "done"
        workers.announce(session, "two", {}, START - timedelta(minutes=2))
    first, second = admin.get("/workers").json()["items"]
    assert (first["alive"], first["job"]) == (True, None)
    assert (second["alive"], second["queues"], second["host"]) == (False, ["rounds", "cpu", "gpu"], None)


def test_an_annotator_and_a_member_of_nothing_do_not_see_workers(client: TestClient, make: Maker) -> None:
    assert client.get("/workers").json()["error"]["code"] == "forbidden"
    make.project()  # in which everybody takes part, they as an annotator
    assert client.get("/workers").status_code == 403
