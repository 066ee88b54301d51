"""The demo project: synthetic streets to label, with the jobs that teach it to choose already queued."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from service.blobs import Blobs
from service.db import Database
from service.domain.masks import encode_label_png
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings
from service.store.images import NewImage, add_images
from service.store.jobs import queue_job
from service.store.projects import add_project
from service.store.rounds import advance
from service.tables import Project
from workers.client.sending import encode_rgb
from workers.datasets.base import Dataset
from workers.datasets.streets import streets_dataset

NAME = "Synthetic streets"
COUNTS = {"state": 4, "train": 24, "reward": 12, "pool": 60}
# A shorter first fit than is the default: within a minute predictions look like streets.
SETTINGS = ProjectSettings(batch_size=12, pool_size=6, budget=240, refit_steps=50)
PRETRAIN: dict[str, Any] = {}


def make_demo(settings: Settings) -> None:
    """Make the demo project unless it is there. All of it appears at once, or nothing."""
    database = Database(settings.resolved_database_url)
    try:
        with database.read() as session:
            if session.scalar(select(Project.id).where(Project.name == NAME)) is not None:
                return
        dataset = streets_dataset(seed=7, height=360, width=480, counts=COUNTS)
        blobs = Blobs(settings.resolved_blob_url)
        arrivals = [image for split in COUNTS for image in _images(dataset, split, blobs)]
        now = datetime.now(UTC)
        with database.write() as session:
            project = add_project(
                session, name=NAME, classes=dataset.classes, settings=SETTINGS, now=now, members="everyone"
            )
            add_images(session, project.id, arrivals, now)
            advance(session, project, now)
            queue_job(session, project_id=project.id, kind="pretrain", payload=PRETRAIN, now=now)
    finally:
        database.engine.dispose()


def _images(dataset: Dataset, split: str, blobs: Blobs) -> list[NewImage]:
    source = dataset.splits[split]
    arrivals = []
    for number in range(len(source)):
        pixels = source.image(number)
        data = encode_rgb(pixels)
        key = blobs.put_content("images", data, ".png")
        label_key = None
        if split != "pool":
            ids = dataset.classes.to_ids(source.label_map(number))
            label_key = blobs.put_content("label_maps", encode_label_png(ids, dataset.classes.palette()), ".png")
        arrivals.append(
            NewImage(
                name=f"{source.name(number)}.png",
                split=split,
                height=pixels.shape[0],
                width=pixels.shape[1],
                media_type="image/png",
                digest=key.rpartition("/")[2].removesuffix(".png"),
                blob_key=key,
                label_key=label_key,
            )
        )
    return arrivals
