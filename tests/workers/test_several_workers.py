"""Several workers at one database: projects side by side, one job of a project at a time, and to each worker its queues."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from service.queue import make_celery
from service.tables import Job
from tests.conftest import REDIS
from tests.workers.deployment import Deployment, until

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker"),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, own_database_url: str) -> Iterator[Deployment]:
    """An API and two workers."""
    deployment = Deployment(tmp_path_factory.mktemp("workers"), own_database_url, REGIONWISE_SLICE_SECONDS="0.2")
    deployment.forget()
    try:
        deployment.start("serve")
        deployment.start("worker", "one")
        deployment.start("worker", "other")
        yield deployment
    finally:
        deployment.close()


def running(deployment: Deployment) -> list[tuple[int, int]]:
    """Jobs that run at this moment: number and project."""
    with deployment.database.snapshot() as session:
        rows = session.execute(select(Job.id, Job.project_id).where(Job.state == "running"))
        return [(row[0], row[1]) for row in rows]


def test_each_answers_under_a_name_of_its_own(deployment: Deployment) -> None:
    control = make_celery(REDIS).control

    def names() -> set[str]:
        return {name for answer in control.ping(timeout=2) for name in answer}

    until(lambda: len(names()) == 2, "both workers answered")


def test_projects_go_on_side_by_side_and_a_project_has_one_job_at_a_time(deployment: Deployment) -> None:
    projects = [deployment.project(strategy="random", budget=8) for _ in range(2)]
    jobs = [deployment.train(project, max_epochs=60, patience=60) for project in projects]
    until(lambda: bool(running(deployment)), "a worker had a job")
    for project in projects:  # an ask beside the training of each
        deployment.client.call("GET", "/next-regions", params={"project": project})
    side_by_side = False

    def done() -> bool:
        nonlocal side_by_side
        now = running(deployment)
        at_once = [project for _, project in now]
        assert len(at_once) == len(set(at_once)), now
        side_by_side = side_by_side or len(at_once) > 1
        return all(deployment.job(each)["state"] == "done" for each in jobs)

    until(done, "both trainings were done")
    assert side_by_side
    assert all(deployment.ended(project, "ask") for project in projects)


def test_what_the_broker_forgot_goes_to_a_worker_that_takes_it(deployment: Deployment) -> None:
    for name in ("one", "other"):
        deployment.terminate(name)
    deployment.start("worker", "without a GPU", "--queues", "cpu,rounds")
    until(lambda: workers(deployment) == "ok", "the worker was known")
    project = deployment.project(strategy="random")
    job = deployment.train(project, max_epochs=1)
    assert "queue gpu, where pretrain waits" in workers(deployment)
    deployment.forget()
    with deployment.database.write() as session:  # as if half a minute had passed
        session.execute(update(Job).where(Job.id == job).values(sent_at=datetime.now(UTC) - timedelta(minutes=1)))
    until(lambda: sent_again(deployment, job), "the job was sent again")
    deployment.client.call("GET", "/next-regions", params={"project": project})
    until(lambda: deployment.ended(project, "ask"), "the other worker had chosen regions")
    assert deployment.job(job)["state"] == "queued"
    deployment.start("worker", "gpu alone", "--queues", "gpu")
    until(lambda: deployment.job(job)["state"] == "done", "the job was done")


def workers(deployment: Deployment) -> str:
    """What the service says of its workers."""
    said: str = deployment.client.call("GET", "/readyz")["checks"]["workers"]
    return said


def sent_again(deployment: Deployment, job: int) -> bool:
    time.sleep(0.1)
    with deployment.database.read() as session:
        sent_at = session.scalar(select(Job.sent_at).where(Job.id == job))
    return sent_at is not None and sent_at > datetime.now(UTC) - timedelta(seconds=30)
