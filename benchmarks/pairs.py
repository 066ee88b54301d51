"""How many regions a second one server process gives out and takes back labelled, by database, clients and pool size.

A pair is one GET /next-regions and one POST /labels with a real 80 x 90 mask as PNG. Rounds of 100 regions are opened by
this script as fast as they are labelled, two at a time, as a worker would.

    python benchmarks/pairs.py [--seconds 3] [--postgres postgresql+psycopg://postgres@127.0.0.1:5432/postgres]
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from sqlalchemy import create_engine, func, insert, make_url, select, text

from service import auth, migrate
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import CAMVID
from service.domain.masks import encode_label_png
from service.schemas.project_settings import ProjectSettings
from service.store.annotators import add_annotator
from service.store.projects import add_project
from service.tables import Image, ImageGroup, Region, Round

HEIGHT, WIDTH, CELL_HEIGHT, CELL_WIDTH, CELLS = 360, 480, 90, 80, 24
ROUND = 100
CLIENTS = (1, 8, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What clients measured: pairs a second, and milliseconds of a pair; `cpu` of the server's processor."""

    pairs: float
    cpu: float
    p50: float
    p95: float
    p99: float


def outcome(pairs: list[float], seconds: float, cpu_seconds: float) -> Outcome:
    """Of the seconds that each pair took."""
    cuts = [1000 * cut for cut in statistics.quantiles(pairs, n=100)]
    cpu = 1000 * cpu_seconds / len(pairs)
    return Outcome(pairs=len(pairs) / seconds, cpu=cpu, p50=cuts[49], p95=cuts[94], p99=cuts[98])


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--postgres", default=os.environ.get("REGIONWISE_TEST_POSTGRES"), help="a server to use as well"
    )
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 1_000_000], help="sizes of the pool")
    options = parser.parse_args()
    print(
        "| database | images | clients | pairs/s | CPU ms | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|---|---|---|"
    )
    for kind in ("SQLite", "PostgreSQL") if options.postgres else ("SQLite",):
        for images in options.images:
            with tempfile.TemporaryDirectory() as folder, database_url(kind, options.postgres, Path(folder)) as url:
                for clients, outcome in measured(url, Path(folder), images, options.seconds):
                    milliseconds = (outcome.cpu, outcome.p50, outcome.p95, outcome.p99)
                    numbers = " | ".join([f"{outcome.pairs:.0f}", *(f"{each:.1f}" for each in milliseconds)])
                    print(f"| {kind} | {images:,} | {clients} | {numbers} |", flush=True)


@contextlib.contextmanager
def database_url(kind: str, server: str | None, folder: Path, *, empty: bool = False) -> Iterator[str]:
    """A database that is gone afterwards, migrated or `empty`."""
    if kind == "SQLite":
        url = f"sqlite:///{folder}/bench.db"
        if not empty:
            migrate.upgrade(url)
        yield url
        return
    name = f"regionwise_bench_{uuid.uuid4().hex[:12]}"
    engine = create_engine(make_url(server or ""), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = make_url(server or "").set(database=name).render_as_string(hide_password=False)
        if not empty:
            migrate.upgrade(url)
        yield url
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def measured(
    url: str, folder: Path, images: int, seconds: float, numbers: Sequence[int] = CLIENTS
) -> Iterator[tuple[int, Outcome]]:
    """What so many clients measure of a server of this database, filled here."""
    database = Database(url)
    tokens = _fill(database, images)
    with _server(url, folder) as server, _rounds_kept_open(database):
        _run(server, tokens[:2], 0.5)  # warm up
        for clients in numbers:
            yield clients, _run(server, tokens[:clients], seconds)
    database.engine.dispose()


def _fill(database: Database, images: int) -> list[str]:
    """A project with this many images, as rows only, and annotators; returns their tokens."""
    now = datetime.now(UTC)
    tokens = [auth.new_token() for _ in range(max(CLIENTS))]
    with database.write() as session:
        for place, token in enumerate(tokens):
            add_annotator(session, name=f"client {place}", role="annotator", token_hash=auth.hash_token(token), now=now)
        project = add_project(
            session, name="bench", classes=CAMVID, settings=ProjectSettings(), now=now, members="everyone"
        )
        group = ImageGroup(project_id=project.id, split="pool", height=HEIGHT, width=WIDTH, count=images)
        session.add(group)
        session.flush()
        rows = [
            {
                "project_id": project.id,
                "group_id": group.id,
                "ordinal": place,
                "name": f"{place:06}.png",
                "split": "pool",
                "height": HEIGHT,
                "width": WIDTH,
                "media_type": "image/png",
                "digest": "0" * 64,
                "blob_key": "images/none.png",
                "created_at": now,
            }
            for place in range(images)
        ]
        session.execute(insert(Image), rows)
    return tokens


@contextlib.contextmanager
def _rounds_kept_open(database: Database) -> Iterator[None]:
    """Opens a round whenever fewer than two are open, as a worker would."""
    stopped = threading.Event()
    opened = 0

    def keep() -> None:
        nonlocal opened
        while not stopped.is_set():
            with database.read() as session:
                open_now = session.scalar(select(func.count()).select_from(Round).where(Round.state == "open")) or 0
            if open_now < 2:
                _open_round(database, opened)
                opened += 1
            else:
                stopped.wait(0.01)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _open_round(database: Database, opened: int) -> None:
    now = datetime.now(UTC)
    prediction = encode_label_png(made_masks(1)[0])
    with database.write() as session:
        number = (session.scalar(select(func.max(Round.number))) or 0) + 1
        first = session.scalar(select(func.min(Image.id))) or 1
        count = session.scalar(select(func.max(Image.id))) or 1
        round_ = Round(
            project_id=1, number=number, state="open", size=ROUND, seconds={}, note="", created_at=now, opened_at=now
        )
        session.add(round_)
        session.flush()
        rows = []
        for place in range(opened * ROUND, (opened + 1) * ROUND):
            # Beyond the pool's cells they come again under other numbers: only the images must exist.
            lap, within = divmod(place, CELLS * (count - first + 1))
            image, cell = first + within // CELLS, within % CELLS + CELLS * lap
            box = {"row": 0, "col": 0, "height": CELL_HEIGHT, "width": CELL_WIDTH}
            ids = {"project_id": 1, "round_id": round_.id, "image_id": image, "cell": cell, "number": place}
            rows.append({**ids, **box, "score": -float(place), "state": "open", "prediction": prediction})
        session.execute(insert(Region), rows)


@dataclass(frozen=True, slots=True)
class Server:
    """A server's process and where it listens."""

    process: psutil.Process
    port: int

    def cpu_seconds(self) -> float:
        """Processor time of the process so far; of a database's server nothing."""
        times = self.process.cpu_times()
        return times.user + times.system


@contextlib.contextmanager
def _server(url: str, folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Blobs((folder / "blobs").as_uri()).put("none", b"")
    own = {"REGIONWISE_DATABASE_URL": url, "REGIONWISE_DATA_DIR": str(folder), "REGIONWISE_BROKER_URL": "memory://"}
    command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:create_app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", "--no-access-log"], env=os.environ | own)
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        yield Server(psutil.Process(process.pid), port)
    finally:
        process.terminate()
        process.wait()


def _run(server: "Server", tokens: list[str], seconds: float) -> Outcome:
    """Clients in a process of their own, so that they share cores with the server but not its interpreter's lock."""
    before = server.cpu_seconds()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        pairs = apart.submit(_annotate_together, server.port, tokens, seconds).result()
    return outcome(pairs, seconds, server.cpu_seconds() - before)


def _annotate_together(port: int, tokens: list[str], seconds: float) -> list[float]:
    """One thread for each token; returns the seconds of each pair."""
    until = time.perf_counter() + seconds
    bodies = [base64.b64encode(encode_label_png(mask)).decode() for mask in made_masks(8)]
    with ThreadPoolExecutor(len(tokens)) as threads:
        waiting = [threads.submit(_annotate, port, token, until, bodies) for token in tokens]
        return [seconds for each in waiting for seconds in each.result()]


def _annotate(port: int, token: str, until: float, bodies: list[str]) -> list[float]:
    times: list[float] = []
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.perf_counter() < until:
        start = time.perf_counter()
        items = _asked(client, "GET", "/next-regions", token)["items"]
        if not items:
            time.sleep(0.002)
            continue
        mask = bodies[len(times) % len(bodies)]
        label = {"region_id": items[0]["id"], "lease_token": items[0]["lease_token"], "mask_png": mask, "seconds": 1.0}
        _asked(client, "POST", "/labels", token, json.dumps({"labels": [label]}))
        times.append(time.perf_counter() - start)
    client.close()
    return times


def _asked(client: http.client.HTTPConnection, method: str, path: str, token: str, body: str | None = None) -> Any:
    client.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    response = client.getresponse()
    content = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
    return json.loads(content)


def made_masks(count: int) -> list[np.ndarray]:
    """Label maps of a few blobs of classes, about as large as people's when encoded."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:CELL_HEIGHT, :CELL_WIDTH]
    masks = []
    for _ in range(count):
        centres = rng.uniform(0, 90, (12, 2))
        wobble = rng.normal(0, 4, (CELL_HEIGHT, CELL_WIDTH))
        distances = np.stack([(rows - row) ** 2 + (cols - col) ** 2 for row, col in centres]) + 40 * wobble
        masks.append((distances.argmin(axis=0) % len(CAMVID)).astype(np.uint8))
    return masks


if __name__ == "__main__":
    main()
