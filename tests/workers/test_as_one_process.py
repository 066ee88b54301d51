"""Two APIs, two workers, PostgreSQL, Redis and S3 together choose what one process with SQLite chooses, on real CamVid."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service import migrate
from service.annotate import ScriptedAnnotator, TruthFolder
from service.client import Client
from service.domain.classes import CAMVID
from service.domain.masks import encode_label_png
from service.tables import Image, Region
from tests.conftest import POSTGRES, REDIS
from tests.service.s3 import bucket, s3_server
from tests.workers.deployment import Deployment, until
from workers.client.sending import encode_rgb
from workers.datasets import open_dataset
from workers.datasets.base import ImageSource

ROUNDS, REGIONS = 5, 24
TAKEN = {"pool": 30, "state": 4, "reward": 10, "train": 10}
AT_ONCE = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.camvid,
    pytest.mark.redis,
    pytest.mark.postgres,
    pytest.mark.skipif(not (REDIS and POSTGRES), reason="needs PostgreSQL and Redis"),
    pytest.mark.skipif("CAMVID_ROOT" not in os.environ, reason="CAMVID_ROOT names no CamVid"),
]


def test_five_rounds_of_camvid_are_those_of_one_process(tmp_path: Path, own_database_url: str) -> None:
    sources = dict(open_dataset("camvid", os.environ["CAMVID_ROOT"]).splits)
    one_file = f"sqlite:///{tmp_path}/alone.db"
    migrate.upgrade(one_file)
    truth = tmp_path / "truth"
    truth.mkdir()
    for number in range(TAKEN["pool"]):
        (truth / f"pool-{number}.png").write_bytes(encode_label_png(CAMVID.to_ids(sources["pool"].label_map(number))))
    with embedded(tmp_path, one_file) as alone:
        expected = played(alone, [alone.client], sources, truth)
    with spread(tmp_path, own_database_url) as (deployment, clients):
        found = played(deployment, clients, sources, truth)
    assert [each["regions"] for each in found] == [each["regions"] for each in expected]
    assert [each["strategy"] for each in found] == [each["strategy"] for each in expected]
    assert [each["miou_after"] for each in found] == pytest.approx([each["miou_after"] for each in expected], abs=1e-6)


@contextmanager
def embedded(folder: Path, url: str) -> Iterator[Deployment]:
    """One process: the API with the worker inside, SQLite, files."""
    own = folder / "alone"
    own.mkdir()
    deployment = Deployment(own, url, REGIONWISE_BROKER_URL="memory://")
    try:
        deployment.start("serve")
        yield deployment
    finally:
        deployment.close()


@contextmanager
def spread(folder: Path, url: str) -> Iterator[tuple[Deployment, list[Client]]]:
    """Two APIs and two workers, which share nothing but PostgreSQL, Redis and S3."""
    own = folder / "spread"
    own.mkdir()
    with ExitStack() as stack:
        stack.enter_context(s3_server(own))
        deployment = Deployment(own, url, REGIONWISE_BLOB_URL=bucket())
        stack.callback(deployment.close)
        deployment.forget()
        deployment.start("serve")
        address = deployment.second_api()
        for name in ("one", "other"):
            deployment.start("worker", name)
        other = Client(address, deployment.token)
        stack.callback(other.close)
        yield deployment, [deployment.client, other]


def played(
    deployment: Deployment, clients: list[Client], sources: dict[str, ImageSource], truth: Path
) -> list[dict[str, Any]]:
    """Five rounds, labelled from the truth by an annotator at each API."""
    body = {
        "name": "camvid",
        "classes": "camvid",
        "settings": {
            "budget": ROUNDS * REGIONS,
            "batch_size": REGIONS,
            "seed": 3,
            "refit_steps": 40,
            "lookahead": False,
        },
    }
    project = deployment.client.call("POST", "/projects", json=body)["id"]
    for split, count in TAKEN.items():
        upload(deployment.client, project, split, sources[split], count)
    annotators = [ScriptedAnnotator(client=each, truth=TruthFolder(truth), project=project) for each in clients]
    threads = [threading.Thread(target=each.run) for each in annotators]
    for thread in threads:
        thread.start()

    def rounds() -> list[dict[str, Any]]:
        return sorted(deployment.client.pages(f"/projects/{project}/rounds"), key=lambda each: each["number"])

    until(lambda: sum(each["state"] == "told" for each in rounds()) == ROUNDS, "five rounds were learned from", 900)
    for thread in threads:
        thread.join(timeout=60)
    return [each | {"regions": regions_of(deployment, each["id"])} for each in rounds()]


def regions_of(deployment: Deployment, round_id: int) -> list[tuple[str, int]]:
    """The regions of a round: their images' names and their cells."""
    chosen = select(Image.name, Region.cell).join(Image, Region.image_id == Image.id).where(Region.round_id == round_id)
    with deployment.database.read() as session:
        return sorted((name, cell) for name, cell in session.execute(chosen))


def upload(client: Client, project: int, split: str, source: ImageSource, count: int) -> None:
    """So many images of a split, all but the pool's with their label maps."""
    for first in range(0, count, AT_ONCE):
        files = []
        for number in range(first, min(first + AT_ONCE, count)):
            name = f"{split}-{number}.png"
            files.append(("image", (name, encode_rgb(source.image(number)))))
            if split != "pool":
                files.append(("label_map", (name, encode_label_png(CAMVID.to_ids(source.label_map(number))))))
        client.call("POST", f"/projects/{project}/images", files=files, data={"split": split})
