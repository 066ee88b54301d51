"""The deployment: the API and a Celery worker as processes of their own, on a real broker, and what kills them."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from sqlalchemy import create_engine, make_url, text, update

from service import migrate
from service.annotate import ScriptedAnnotator, TruthFolder
from service.auth import hash_token, new_token
from service.client import Client
from service.db import Database
from service.domain.masks import decode_png, encode_label_png
from service.queue import QUICK_QUEUE, TRAINING_QUEUE
from service.store.annotators import add_annotator
from service.tables import Job
from tests.conftest import POSTGRES, REDIS
from tests.workers.conftest import CLASSES, SETTINGS, Rectangles
from workers.client.sending import encode_rgb
from workers.training.checkpoints import from_bytes

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker"),
]

ROOT = Path(__file__).parents[2]
TRUTH = Rectangles(4, 1)


class Deployment:
    """The two processes, as a compose file starts them, and an admin who calls them."""

    def __init__(self, folder: Path, database_url: str, **changes: str) -> None:
        """`changes`: other settings of its processes, by their variables' names."""
        self.folder = folder
        self.broker = redis.Redis.from_url(REDIS)
        self.database = Database(database_url)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self._environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "REGIONWISE_BROKER_URL": REDIS,
            "REGIONWISE_DATA_DIR": str(folder),
            "REGIONWISE_DATABASE_URL": database_url,
            "REGIONWISE_DEVICE": "cpu",
            "REGIONWISE_HEARTBEAT_SECONDS": "0.5",
            "REGIONWISE_PORT": port,
            "REGIONWISE_SLICE_SECONDS": "1",
            "REGIONWISE_STALE_SECONDS": "4",
            "REGIONWISE_SWEEP_SECONDS": "0.5",
            **changes,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.token = new_token()
        with self.database.write() as session:
            now = datetime.now(UTC)
            add_annotator(session, name=uuid.uuid4().hex, role="admin", token_hash=hash_token(self.token), now=now)
        self._server = f"http://127.0.0.1:{port}"
        self.client = Client(self._server, self.token)

    def start(self, command: str, name: str | None = None) -> None:
        """Start `serve`, and wait until it is ready, or `worker`, unless it runs; `name` tells several apart."""
        name = name or command
        if name in self._processes:
            return
        with (self.folder / f"{command}.log").open("ab") as log:
            # In a group of its own: a worker dies with its pool process.
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "service", command],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if command == "serve":
            until(self._ready, "the API was ready")

    def signal(self, command: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children, if it runs."""
        if command in self._processes:
            os.killpg(self._processes[command].pid, number)

    def group(self, name: str) -> int:
        """The number of a process, and of the group that its children are in."""
        return self._processes[name].pid

    def kill(self, command: str) -> None:
        """End a process that has no say in it."""
        self.signal(command, signal.SIGKILL)
        if command in self._processes:
            self._processes.pop(command).wait()

    def terminate(self, name: str, *, to_all: bool = False) -> int:
        """Ask a process to end, alone or `to_all` of its group as service managers do; returns its status."""
        process = self._processes.pop(name)
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGTERM)
        return process.wait(timeout=60)

    def forget(self) -> None:
        """Have the broker forget every job; what else is in it stays."""
        self.broker.delete(QUICK_QUEUE, TRAINING_QUEUE, "unacked", "unacked_index")

    def close(self) -> None:
        """Leave nothing behind."""
        for name in list(self._processes):
            self.kill(name)
        self.client.close()
        self.forget()
        self.broker.close()
        self.database.engine.dispose()

    def project(self, **changes: Any) -> int:
        """A project whose pool is TRUTH, uploaded over HTTP."""
        body = {
            "name": uuid.uuid4().hex,
            "classes": CLASSES.to_json(),
            "settings": {**SETTINGS, "strategy": "entropy", "budget": 4, **changes},
        }
        made: int = self.client.call("POST", "/projects", json=body)["id"]
        self._upload(made, "pool", TRUTH, labelled=False)
        self._upload(made, "train", Rectangles(4, 4), labelled=True)
        return made

    def annotator(self, project: int, limit: int | None = None) -> ScriptedAnnotator:
        """Somebody who knows the truth."""
        truth = self.folder / "truth"
        truth.mkdir(exist_ok=True)
        for number in range(len(TRUTH)):
            (truth / f"pool-{number}.png").write_bytes(encode_label_png(CLASSES.to_ids(TRUTH.label_map(number))))
        return ScriptedAnnotator(client=self.client, truth=TruthFolder(truth), project=project, limit=limit)

    def train(self, project: int, **settings: Any) -> int:
        """Queue a pretrain job on the labelled images alone; returns its number."""
        body = {"kind": "pretrain", "settings": {"source": "none", **settings}}
        made: int = self.client.call("POST", f"/projects/{project}/jobs", json=body)["id"]
        return made

    def job(self, job_id: int) -> dict[str, Any]:
        """A job as the API shows it."""
        shown: dict[str, Any] = self.client.call("GET", f"/jobs/{job_id}")
        return shown

    def jobs(self, project: int) -> list[dict[str, Any]]:
        """A project's jobs, oldest first."""
        return list(self.client.pages(f"/projects/{project}/jobs"))

    def ended(self, project: int, kind: str) -> bool:
        """Whether a job of this kind is done."""
        return any(each["kind"] == kind and each["state"] == "done" for each in self.jobs(project))

    def _upload(self, project: int, split: str, source: Rectangles, *, labelled: bool) -> None:
        files = []
        for number in range(len(source)):
            name = f"{split}-{number}.png"
            files.append(("image", (name, encode_rgb(source.image(number)))))
            if labelled:
                files.append(("label_map", (name, encode_label_png(CLASSES.to_ids(source.label_map(number))))))
        self.client.call("POST", f"/projects/{project}/images", files=files, data={"split": split})

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self._server}/readyz").is_success
        except httpx.TransportError:
            return False


def until(true: Callable[[], bool], what: str, seconds: float = 240.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{seconds} seconds passed before {what}."
        time.sleep(0.05)


@pytest.fixture(scope="module")
def own_database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database that no other test clears: in PostgreSQL where there is one, else a file."""
    if POSTGRES is None:
        url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'deployment.db'}"
        migrate.upgrade(url)
        yield url
        return
    name = f"regionwise_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(make_url(POSTGRES), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    migrate.upgrade(url)
    yield url
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


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
