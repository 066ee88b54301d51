"""The deployment: the API and a Celery worker as processes of their own, on a real broker, and what kills them."""

import base64
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from service.domain.masks import decode_png, encode_label_png
from service.tables import Job
from tests.conftest import REDIS
from tests.workers.deployment import Deployment, until
from workers.training.checkpoints import from_bytes

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker"),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, own_database_url: str) -> Iterator[Deployment]:
    """An API that runs; each test says whether a worker does."""
    deployment = Deployment(tmp_path_factory.mktemp("deployment"), own_database_url)
    deployment.forget()
    try:
        deployment.start("serve")
        yield deployment
    finally:
        deployment.close()


def test_an_accepted_label_outlives_the_api(deployment: Deployment) -> None:
    deployment.start("worker")
    client, project = deployment.client, deployment.project()
    given: list[dict[str, Any]] = []

    def ask() -> bool:
        given[:] = client.call("GET", "/next-regions", params={"project": project})["items"]
        return bool(given)

    until(ask, "a region was proposed")
    mask = encode_label_png(np.full((given[0]["height"], given[0]["width"]), 2, np.uint8))
    label = {
        "region_id": given[0]["id"],
        "lease_token": given[0]["lease_token"],
        "mask_png": base64.b64encode(mask).decode(),
    }
    assert client.call("POST", "/labels", json={"labels": [label]})["labels"][0]["created"]
    deployment.kill("serve")
    deployment.start("serve")
    kept = decode_png(client.content(f"/regions/{given[0]['id']}/label"), max_pixels=10_000)
    assert np.all(kept == 2)
    assert not client.call("POST", "/labels", json={"labels": [label]})["labels"][0]["created"]


def test_a_worker_of_its_own_asks_tells_and_finishes(deployment: Deployment) -> None:
    deployment.start("worker")
    project = deployment.project()
    assert deployment.annotator(project).run() == 4
    until(lambda: deployment.ended(project, "finish"), "the campaign was finished")
    round_ = deployment.client.call("GET", f"/projects/{project}/rounds")["items"][0]
    assert (round_["state"], round_["size"]) == ("told", 4)
    assert sum(round_["class_counts"].values()) > 0


def test_a_training_job_goes_on_after_its_worker_was_killed(deployment: Deployment) -> None:
    deployment.start("worker")
    project = deployment.project(budget=8)
    deployment.annotator(project, limit=4).run()
    until(lambda: deployment.ended(project, "tell"), "the round was told")
    job = deployment.train(project, max_epochs=300, patience=300, batch=4)
    saved = deployment.folder / "blobs" / "jobs" / str(job) / "theta_0.safetensors"
    far = 0.5 + 0.5 * 50 / 300  # the second half: there is no source domain

    def saved_epochs() -> int:
        return int(from_bytes(saved.read_bytes()).description["fit"]["epoch"]) if saved.exists() else 0

    def stopped_in_a_slice() -> bool:
        deployment.signal("worker", signal.SIGSTOP)
        row = deployment.job(job)  # a heartbeat behind what is saved
        if saved_epochs() >= 60 and row["state"] == "running" and row["progress"] > far:
            return True
        deployment.signal("worker", signal.SIGCONT)
        return False

    until(stopped_in_a_slice, "a part of the training was saved")
    deployment.kill("worker")
    progress = min(0.5 + 0.5 * saved_epochs() / 300, deployment.job(job)["progress"])
    assert progress > far
    deployment.start("worker")
    seen: list[dict[str, Any]] = []

    def done() -> bool:
        seen.append(deployment.job(job))
        return bool(seen[-1]["state"] == "done")

    until(done, "the next worker had finished the job")
    assert any(each["attempt"] == 2 for each in seen)
    assert min(each["progress"] for each in seen) > progress - 1e-6
    assert seen[-1]["result"]["epochs"] == 300
    assert seen[-1]["result"]["rounds_learned_from"] == 1


def test_jobs_that_the_broker_forgot_are_sent_again_and_rounds_go_first(deployment: Deployment) -> None:
    deployment.kill("worker")
    projects = [deployment.project() for _ in range(2)]
    training = deployment.train(projects[0], max_epochs=1)
    for project in projects:
        deployment.client.call("GET", "/next-regions", params={"project": project})
    deployment.forget()
    with deployment.database.write() as session:  # as if half a minute had passed
        session.execute(update(Job).values(sent_at=datetime.now(UTC) - timedelta(minutes=1)))
    deployment.start("worker")
    until(lambda: deployment.job(training)["state"] == "done", "the forgotten job was done")
    asks = [job for project in projects for job in deployment.jobs(project) if job["kind"] == "ask"]
    assert [each["state"] for each in asks] == ["done", "done"]
    began = datetime.fromisoformat(deployment.job(training)["started_at"])
    assert all(datetime.fromisoformat(each["finished_at"]) <= began for each in asks)
