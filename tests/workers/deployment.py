"""The API and Celery workers as processes of their own, started and killed by tests."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import redis

from service.annotate import ScriptedAnnotator, TruthFolder
from service.auth import hash_token, new_token
from service.client import Client
from service.db import Database
from service.domain.masks import encode_label_png
from service.queue import NAMES
from service.store.annotators import add_annotator
from tests.conftest import REDIS
from tests.workers.conftest import CLASSES, SETTINGS, Rectangles
from workers.client.sending import encode_rgb

ROOT = Path(__file__).parents[2]
TRUTH = Rectangles(4, 1)


class Campaigner:
    """What an admin does over HTTP to have a campaign: a project of TRUTH, an annotator who knows it, jobs."""

    folder: Path
    client: Client

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


class Deployment(Campaigner):
    """The two processes, as a compose file starts them, and an admin who calls them."""

    def __init__(self, folder: Path, database_url: str, **changes: str) -> None:
        """`changes`: other settings of its processes, by their variables' names."""
        self.folder = folder
        self.broker = redis.Redis.from_url(REDIS) if REDIS else None
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

    def start(self, command: str, name: str | None = None, *options: str) -> None:
        """Start `serve`, and wait until it is ready, or `worker`, unless it runs; `name` tells several apart."""
        name = name or command
        if name in self._processes:
            return
        with (self.folder / f"{command}.log").open("ab") as log:
            # In a group of its own: a worker dies with its pool process.
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "service", command, *options],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if command == "serve":
            until(self._ready, "the API was ready")

    def second_api(self) -> str:
        """Start another API beside the first, and wait until it is ready; returns its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.start("serve", "second API", "--port", port)
        address = f"http://127.0.0.1:{port}"
        until(lambda: self._ready(address), "the second API was ready")
        return address

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
        if self.broker is not None:
            self.broker.delete(*NAMES.values(), "unacked", "unacked_index")

    def close(self) -> None:
        """Leave nothing behind."""
        for name in list(self._processes):
            self.kill(name)
        self.client.close()
        self.forget()
        if self.broker is not None:
            self.broker.close()
        self.database.engine.dispose()

    def _ready(self, address: str | None = None) -> bool:
        try:
            return httpx.get(f"{address or self._server}/readyz").is_success
        except httpx.TransportError:
            return False


def until(true: Callable[[], bool], what: str, seconds: float = 240.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{seconds} seconds passed before {what}."
        time.sleep(0.05)
