"""A server of its own and an image of 64 million pixels: what people see of it, and what the process takes for that."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from service.blobs import Blobs
from service.db import Database
from service.store.images import NewImage, add_images
from tests.maker import Maker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from Linux's /proc"),
]
ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 7999, 8000
AT_ONCE, MOST_MIB = 24, 500


def picture() -> NDArray[np.uint8]:
    """Blocks of noise and a ramp, so that no two places are alike."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 40 + 1, WIDTH // 40 + 1, 3), dtype=np.uint8)
    pixels = np.repeat(np.repeat(noise, 40, 0), 40, 1)[:HEIGHT, :WIDTH]
    pixels[..., 0] = np.arange(WIDTH) % 251
    return pixels


@pytest.fixture
def server(tmp_path: Path, sqlite_template: Path) -> Iterator[tuple[httpx.Client, int, NDArray[np.uint8]]]:
    """A client of a server that holds one region more than AT_ONCE of the image; its process id, and the pixels."""
    shutil.copy(sqlite_template, tmp_path / "regionwise.db")
    database = Database(f"sqlite:///{tmp_path / 'regionwise.db'}", lambda jobs: None)
    blobs = Blobs((tmp_path / "blobs").as_uri())
    make = Maker(database, blobs, lambda: datetime.now(UTC))
    pixels, buffer = picture(), io.BytesIO()
    Picture.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    project, token = make.project(), make.annotator()
    key = blobs.put_content("images", buffer.getvalue(), ".png")
    arrival = NewImage(
        name="large.png",
        split="pool",
        height=HEIGHT,
        width=WIDTH,
        media_type="image/png",
        digest=Path(key).stem,
        blob_key=key,
    )
    with database.write() as session:
        (added,) = add_images(session, project.id, [arrival], datetime.now(UTC))
    make.round_(project, [added.image], regions=4 * AT_ONCE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "REGIONWISE_BROKER_URL": "redis://127.0.0.1:1/0",  # nobody listens there, and nothing is to be done
        "REGIONWISE_DATA_DIR": str(tmp_path),
        "REGIONWISE_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "service", "serve"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=120
    )
    try:
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            try:
                client.get("/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield client, process.pid, pixels
    finally:
        client.close()
        process.kill()
        process.wait()
        database.engine.dispose()


def mebibytes(process: int, what: str) -> float:
    return int(re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())[1]) / 1024  # type: ignore[index]


def test_many_contexts_of_a_large_image_at_once_are_right_and_take_less_than_500_mib(
    server: tuple[httpx.Client, int, NDArray[np.uint8]],
) -> None:
    client, process, pixels = server
    regions = [client.get(f"/regions/{number}").json() for number in range(1, 4 * AT_ONCE + 1, 4)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: client.get(f"/regions/{each['id']}/context?margin=100"), regions))
    peak = mebibytes(process, "VmHWM")
    for region, answer in zip(regions, answers, strict=True):
        assert answer.status_code == 200, answer.text
        rows = slice(max(0, region["y"] - 100), region["y"] + region["height"] + 100)
        cols = slice(max(0, region["x"] - 100), region["x"] + region["width"] + 100)
        with Picture.open(io.BytesIO(answer.content)) as found:
            np.testing.assert_array_equal(np.asarray(found), pixels[rows, cols])
    assert peak < MOST_MIB
