"""An installation of the service to be struck: its processes, servers, disks and proxies, and the project that is labelled."""

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from service import migrate
from service.auth import hash_token, new_token
from service.client import Client
from service.db import Database
from service.domain.classes import CAMVID
from service.domain.masks import encode_label_png
from service.store.annotators import add_annotator
from tests.chaos.clock import Clock
from tests.chaos.disk import Disk
from tests.chaos.options import Options
from tests.chaos.processes import Process, free_port, until
from tests.chaos.proxy import Proxy
from tests.chaos.servers import PostgreSQL, Redis
from workers.client.sending import encode_rgb
from workers.datasets.streets import Streets

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH, CELL = 48, 64, 16
_REGIONS = (HEIGHT // CELL) * (WIDTH // CELL)
_BATCH = 20  # images in an upload
PROJECT = {
    "cell_height": CELL,
    "cell_width": CELL,
    "batch_size": 24,
    "pool_size": 3,
    "strategy": "entropy",
    "segmenter": "fpn",
    "width": 4,
    "crop_height": 16,
    "crop_width": 16,
    "train_batch": 64,
    "learning_rate": 0.05,
    "lease_minutes": 2,
    "max_held": 4,
}
# Nothing that is asked of the service depends on these; with the usual ones a run takes longer.
_SETTINGS = {
    "REGIONWISE_DEVICE": "cpu",
    "REGIONWISE_HEARTBEAT_SECONDS": "1",
    "REGIONWISE_LOG_FORMAT": "text",
    # Jobs are killed far more often than elsewhere, one and the same many times in a row, too.
    "REGIONWISE_MAX_ATTEMPTS": "20",
    "REGIONWISE_MIN_FREE_BYTES": "65536",
    "REGIONWISE_RETRY_SECONDS": "4",
    "REGIONWISE_SLICE_SECONDS": "8",
    "REGIONWISE_STALE_SECONDS": "30",
    "REGIONWISE_SWEEP_SECONDS": "1",
    "REGIONWISE_THREADS": "1",
}


class Installation:
    """Everything of a run that may break. Its logs lie in `folder`."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.clock, self.disk = Clock(folder), Disk(folder / "data", mebibytes=256)
        self.database_disk: Disk | None = None
        self.postgresql: PostgreSQL | None = None
        self.redis: Redis | None = None
        self.url = f"sqlite:///{self.disk.folder / 'regionwise.db'}"
        broker = "memory://"
        if not options.embedded:
            self.database_disk = Disk(folder / "postgresql", mebibytes=256)
            self.postgresql, self.redis = PostgreSQL(folder, self.database_disk), Redis(folder)
            self.url, broker = self.postgresql.url, self.redis.url
        count = 1 if options.embedded else 2
        ports = [free_port() for _ in range(count)]
        self._environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "REGIONWISE_BROKER_URL": broker,
            "REGIONWISE_DATABASE_URL": self.url,
            "REGIONWISE_DATA_DIR": str(self.disk.folder),
            **_SETTINGS,
            **self.clock.environment,
        }
        self.apis = [
            self._own("serve", f"api-{i + 1}", "--port", str(port), "--verbose") for i, port in enumerate(ports)
        ]
        self.workers = [] if options.embedded else [self._own("worker", f"worker-{i + 1}") for i in range(2)]
        self.proxies = [Proxy(port, options.chance("proxy", i)) for i, port in enumerate(ports)]
        self._direct = [f"http://127.0.0.1:{port}" for port in ports]
        self.servers = [f"http://127.0.0.1:{proxy.port}" for proxy in self.proxies]
        self.tokens: dict[int, str] = {}
        self.admin_token, self.reviewer_token = new_token(), new_token()
        self.truth = Streets(self._images, options.seed, HEIGHT, WIDTH, "dusk")
        self.project = 0

    @property
    def _images(self) -> int:
        """As many as the labels need, and some more, for regions that are skipped."""
        return 2 + -(-self.options.regions * 11 // 10 // _REGIONS)

    def _own(self, command: str, name: str, *arguments: str) -> Process:
        line = [sys.executable, "-m", "service", command, *arguments]
        return Process(name, line, self.folder / f"{name}.log", env=self._environment)

    @property
    def processes(self) -> list[Process]:
        """All of them, what others need first."""
        servers = [each.process for each in (self.postgresql, self.redis) if each is not None]
        return [*servers, *self.apis, *self.workers]

    def start(self) -> None:
        """Start everything, and make the people and the project."""
        if self.postgresql is not None and self.redis is not None:
            self.postgresql.start()
            self.redis.process.start()
            self.postgresql.ready()
        migrate.upgrade(self.url)
        self._make_people()
        for each in self.processes:
            each.start()
        until(self.ready, "the service was ready")
        self.project = self._make_project()

    def ready(self) -> bool:
        """Whether every API says so; what has ended is started again."""
        self.tend()
        return all(self._says(server, "ready") for server in self._direct)

    def _says(self, server: str, status: str) -> bool:
        try:
            return bool(httpx.get(f"{server}/readyz", timeout=20).json()["status"] == status)
        except (httpx.HTTPError, ValueError):
            return False

    def tend(self) -> None:
        """Start again whatever has ended though nobody wanted it to."""
        for each in self.processes:
            each.tend()

    def _make_people(self) -> None:
        database, now = Database(self.url), datetime.now(UTC)
        with database.write() as session:
            add_annotator(session, name="admin", role="admin", token_hash=hash_token(self.admin_token), now=now)
            reviewer = hash_token(self.reviewer_token)
            add_annotator(session, name="reviewer", role="reviewer", token_hash=reviewer, now=now)
            for number in range(self.options.annotators):
                token = new_token()
                row = add_annotator(
                    session, name=f"annotator-{number}", role="annotator", token_hash=hash_token(token), now=now
                )
                self.tokens[row.id] = token
        database.engine.dispose()

    def _make_project(self) -> int:
        client = Client(self._direct[0], self.admin_token)
        body: dict[str, Any] = {
            "name": f"chaos {uuid.uuid4().hex[:8]}",
            "classes": "camvid",
            "settings": PROJECT | {"budget": self.options.regions, "seed": self.options.seed} | self.options.settings,
            "members": "everyone",
        }
        made: int = client.call("POST", "/projects", json=body)["id"]
        for first in range(0, self._images, _BATCH):
            self._upload(client, made, "pool", range(first, min(first + _BATCH, self._images)))
        self._upload(client, made, "reward", range(2))
        if "gold_share" in self.options.settings:
            self._upload(client, made, "train", range(4, 12))
        client.close()
        return made

    def _upload(self, client: Client, project: int, split: str, numbers: range) -> None:
        source = self.truth if split == "pool" else Streets(numbers.stop, self.options.seed + 1, HEIGHT, WIDTH, "dusk")
        files = []
        for number in numbers:
            name = f"{split}-{number}.png"
            files.append(("image", (name, encode_rgb(source.image(number)))))
            if split != "pool":
                ids = CAMVID.to_ids(source.label_map(number))
                files.append(("label_map", (name, encode_label_png(ids))))
        client.call("POST", f"/projects/{project}/images", files=files, data={"split": split})

    def stop(self) -> None:
        """Have all processes end as they are asked to, but for PostgreSQL, which is to be read."""
        for each in [*self.apis, *self.workers]:
            each.stop()

    def close(self) -> None:
        """Leave no process and no disk behind."""
        for proxy in self.proxies:
            proxy.close()
        for each in reversed(self.processes):
            each.close()
        for disk in filter(None, (self.disk, self.database_disk)):
            disk.close()


@contextmanager
def installed(options: Options) -> Iterator[Installation]:
    """An installation that runs. Its logs stay where something went wrong: the error's note says where."""
    folder = Path(tempfile.mkdtemp(prefix="regionwise-chaos-"))
    folder.chmod(0o755)  # PostgreSQL has a user of its own
    installation = Installation(options, folder)
    try:
        installation.start()
        yield installation
    except BaseException as error:
        error.add_note(f"Logs of all processes are in {folder}.")
        raise
    else:
        if not options.keep:
            for log in folder.glob("*.log"):
                log.unlink()
    finally:
        installation.close()
        if not any(folder.glob("*.log")):
            shutil.rmtree(folder)
