"""A tiny world: images of coloured rectangles whose classes can be learned in a few steps."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from sqlalchemy import create_engine, make_url, select, text
from starlette.testclient import TestClient

from models.fit import TrainSettings
from service import migrate
from service.domain.classes import IGNORE, ClassSet, LabelClass
from service.domain.masks import encode_label_png
from service.queue import RUN_JOB
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings
from service.store.budget import grid_of
from service.store.checkpoints import NewCheckpoint, add_checkpoint
from service.store.images import NewImage, add_images
from service.tables import Job
from tests.conftest import POSTGRES, START
from tests.maker import Maker
from workers.app import make_app
from workers.client.sending import encode_rgb
from workers.datasets.base import ImageSource
from workers.jobs.delivery import Worker
from workers.loop.round import LoopSettings
from workers.training.building import Architecture

CLASSES = ClassSet(
    classes=(
        LabelClass(id=0, name="ground", color=(90, 90, 90)),
        LabelClass(id=1, name="box", color=(220, 40, 40)),
        LabelClass(id=2, name="pole", color=(40, 40, 220)),
    ),
    ignore_id=255,
)


class Rectangles:
    """An ImageSource: grey ground, red boxes, blue poles, and a strip that nobody labelled."""

    def __init__(self, count: int, seed: int = 0, size: tuple[int, int] = (48, 64)) -> None:
        rng = np.random.default_rng(seed)
        self._size = size
        self.images: list[NDArray[np.uint8]] = []
        self.labels: list[NDArray[np.uint8]] = []
        for _ in range(count):
            labels = np.zeros(size, np.uint8)
            for value in (1, 2, 1):
                row, col = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
                labels[row : row + 12, col : col + (12 if value == 1 else 4)] = value
            colours = np.array([each.color for each in CLASSES.classes], np.int64)[labels]
            noisy = np.clip(colours + rng.integers(-20, 20, (*size, 3)), 0, 255).astype(np.uint8)
            labels[:2] = IGNORE
            self.images.append(noisy)
            self.labels.append(labels)

    def __len__(self) -> int:
        return len(self.images)

    def name(self, number: int) -> str:
        return f"{number:03}"

    def size(self, number: int) -> tuple[int, int]:
        return self._size

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.images[number].tobytes()).hexdigest()

    def image(self, number: int) -> NDArray[np.uint8]:
        return self.images[number]

    def label_map(self, number: int) -> NDArray[np.uint8]:
        return self.labels[number]


@pytest.fixture
def loop_settings() -> LoopSettings:
    return LoopSettings(
        classes=3,
        cell_height=16,
        cell_width=16,
        batch_size=4,
        pool_size=3,
        train=TrainSettings(crop=(32, 32), batch=4, lr=0.05),
    )


SETTINGS = {
    "cell_height": 16,
    "cell_width": 16,
    "batch_size": 4,
    "pool_size": 3,
    "segmenter": "fpn",
    "width": 4,
    "crop_height": 32,
    "crop_width": 32,
    "train_batch": 4,
    "learning_rate": 0.05,
    "lookahead": False,
    "max_held": 4096,
}

FROZEN = {"segmenter": "efficientnet-lite0", "width": 8, "stride": 4, "magnification": 1.0, "refit_steps": 2}
"""Settings of a project whose head on a frozen encoder is small and soon fitted."""
ARCHITECTURE = Architecture(name="efficientnet-lite0", frozen=True, width=8, dropout=0.2, stride=4, magnification=1.0)
"""Such a project's."""


class World:
    """A project of rectangles in a real database, a worker's tasks, and an annotator who knows the truth."""

    def __init__(self, make: Maker, app: FastAPI, settings: Settings, **changes: Any) -> None:
        self.make, self.database, self.blobs = make, make.database, make.blobs
        self.project = make.project("rectangles", CLASSES, **{**SETTINGS, **changes})
        self.splits: dict[str, ImageSource] = {}
        database_url = make.database.engine.url.render_as_string(hide_password=False)
        self.settings = settings.model_copy(
            update={"database_url": database_url, "blob_url": (settings.data_dir / "blobs").as_uri(), "players": 1}
        )
        self.slice_seconds(600.0)
        self.client = TestClient(app, headers={"Authorization": f"Bearer {make.annotator('admin')}"})
        self._app = app

    def reviewer(self) -> TestClient:
        """A client of somebody who labels nothing."""
        return TestClient(self._app, headers={"Authorization": f"Bearer {self.make.annotator('reviewer')}"})

    def slice_seconds(self, seconds: float, players: int = 1) -> None:
        """From now on jobs yield this often, and a search's games are played by so many processes."""
        self.worker = Worker(
            database=self.database,
            blobs=self.blobs,
            settings=self.settings.model_copy(update={"slice_seconds": seconds, "players": players}),
            clock=lambda: datetime.now(UTC),
            device="cpu",
        )
        self.celery = make_app(self.settings, lambda: self.worker)

    def add(self, split: str, source: ImageSource, *, labelled: bool = True, first: int = 0) -> "World":
        """Upload a split's images, named by their numbers from `first` on."""
        self.splits[split] = source
        arrivals = []
        for number in range(len(source)):
            image_key = self.blobs.put_content("images", encode_rgb(source.image(number)), ".png")
            label_key = None
            if labelled:
                data = encode_label_png(CLASSES.to_ids(source.label_map(number)))
                label_key = self.blobs.put_content("label_maps", data, ".png")
            height, width = source.size(number)
            arrivals.append(
                NewImage(
                    name=f"{split}-{first + number:03}.png",
                    split=split,
                    height=height,
                    width=width,
                    media_type="image/png",
                    digest=image_key[-20:],
                    blob_key=image_key,
                    label_key=label_key,
                )
            )
        with self.database.write() as session:
            add_images(session, self.project.id, arrivals, START)
        return self

    def add_checkpoint(self, kind: str, data: bytes, *, job_id: int | None = None, **description: Any) -> int:
        """Store weights as a job would."""
        key = self.blobs.put_content("checkpoints", data, ".safetensors")
        with self.database.write() as session:
            new = NewCheckpoint(
                project_id=self.project.id, kind=kind, blob_key=key, description=description, job_id=job_id
            )
            return add_checkpoint(session, new, START).id

    def call(self, method: str, path: str, **request: Any) -> Any:
        """A call of the API that must succeed."""
        response = self.client.request(method, path, **request)
        assert response.is_success, response.text
        return response.json()

    def work(self) -> list[str]:
        """Run every queued job through the Celery task until none is left; returns their kinds in order."""
        done: list[str] = []
        while True:
            with self.database.read() as session:
                queued = select(Job).where(Job.state == "queued").order_by(Job.id)
                job = session.scalars(queued.limit(1)).first()
            if job is None:
                return done
            self.celery.tasks[RUN_JOB].apply(args=[job.id], throw=True)
            done.append(job.kind)

    def job(self, job_id: int) -> Job:
        """A job as it is now."""
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def label_all(self) -> list[tuple[str, int]]:
        """Take every open region and post its truth; returns (image name, region) in the order of the round."""
        truth, settings = self.splits["pool"], ProjectSettings.model_validate(self.project.settings)
        labelled = []
        given = self.call("GET", "/next-regions", params={"project": self.project.id, "count": 100})
        for region in given["items"]:
            name = self.call("GET", f"/images/{region['image_id']}")["name"]
            rows = slice(region["y"], region["y"] + region["height"])
            cols = slice(region["x"], region["x"] + region["width"])
            number = int(name.removesuffix(".png").rpartition("-")[2])
            mask = encode_label_png(np.ascontiguousarray(CLASSES.to_ids(truth.label_map(number))[rows, cols]))
            label = {
                "region_id": region["id"],
                "lease_token": region["lease_token"],
                "mask_png": base64.b64encode(mask).decode(),
                "seconds": 1.0,
            }
            self.call("POST", "/labels", json={"labels": [label]})
            box = [region[side] for side in ("y", "x", "height", "width")]
            grid = grid_of(*truth.size(number), settings)
            boxes = grid.boxes(np.arange(grid.regions)).tolist()
            labelled.append((name, boxes.index(box)))
        return labelled

    def rounds(self) -> list[dict[str, Any]]:
        """The rounds as the API shows them."""
        rounds: list[dict[str, Any]] = self.call("GET", f"/projects/{self.project.id}/rounds")["items"]
        return rounds


@pytest.fixture
def make_world(make: Maker, app: FastAPI, settings: Settings) -> Callable[..., World]:
    """Makes a World: make_world(budget=8)."""
    return lambda **changes: World(make, app, settings, **changes)


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
