"""How many regions a second one server process gives out and takes back labelled, by database, clients and pool size.

A pair is one GET /next-regions and one POST /labels with a real 80 x 90 mask as PNG. Rounds of 100 regions are opened by
this script as fast as they are labelled, two at a time, as a worker would.

    python benchmarks/pairs.py [--seconds 3] [--postgres postgresql+psycopg://postgres@127.0.0.1:5432/postgres]
"""

import argparse
import base64
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import create_engine, func, insert, make_url, select, text

from service import auth, migrate
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import CAMVID
from service.domain.masks import encode_label_png
from service.schemas.projects import ProjectSettings
from service.store.annotators import add_annotator
from service.store.projects import add_project
from service.tables import Image, ImageGroup, Region, Round

HEIGHT, WIDTH, CELL_HEIGHT, CELL_WIDTH, CELLS = 360, 480, 90, 80, 24
ROUND = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What clients measured: pairs a second, and milliseconds of a pair."""

    pairs: float
    p50: float
    p95: float


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument(
        "--postgres", default=os.environ.get("REGIONWISE_TEST_POSTGRES"), help="a server to use as well"
    )
    options = parser.parse_args()
    print("| database | images | clients | pairs/s | p50 ms | p95 ms |\n|---|---|---|---|---|---|")
    for kind in ("SQLite", "PostgreSQL") if options.postgres else ("SQLite",):
        for images in (100, 20_000):
            with tempfile.TemporaryDirectory() as folder, _database_url(kind, options.postgres, Path(folder)) as url:
                for clients, outcome in _measured(url, Path(folder), images, options.seconds):
                    numbers = f"{outcome.pairs:.0f} | {outcome.p50:.1f} | {outcome.p95:.1f}"
                    print(f"| {kind} | {images:,} | {clients} | {numbers} |", flush=True)


@contextlib.contextmanager
def _database_url(kind: str, server: str | None, folder: Path) -> Iterator[str]:
    """A migrated database that is gone afterwards."""
    if kind == "SQLite":
        url = f"sqlite:///{folder}/bench.db"
        migrate.upgrade(url)
        yield url
        return
    name = f"regionwise_bench_{uuid.uuid4().hex[:12]}"
    engine = create_engine(make_url(server or ""), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = make_url(server or "").set(database=name).render_as_string(hide_password=False)
        migrate.upgrade(url)
        yield url
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def _measured(url: str, folder: Path, images: int, seconds: float) -> Iterator[tuple[int, Outcome]]:
    database = Database(url)
    tokens = _fill(database, images)
    with _server(url, folder) as address, _rounds_kept_open(database):
        _run(address, tokens[:2], 0.5)  # warm up
        for clients in (1, 16):
            yield clients, _run(address, tokens[:clients], seconds)
    database.engine.dispose()


def _fill(database: Database, images: int) -> list[str]:
    """A project with this many images, as rows only, and 16 annotators; returns their tokens."""
    now = datetime.now(UTC)
    tokens = [auth.new_token() for _ in range(16)]
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
    prediction = encode_label_png(_masks(1)[0])
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


@contextlib.contextmanager
def _server(url: str, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    blobs = Blobs((folder / "blobs").as_uri())
    blobs.put("none", b"")
    environment = {
        **os.environ,
        "REGIONWISE_DATABASE_URL": url,
        "REGIONWISE_DATA_DIR": str(folder),
        "REGIONWISE_BROKER_URL": "memory://",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:create_app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", "--no-access-log"], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def _run(address: str, tokens: list[str], seconds: float) -> Outcome:
    until = time.perf_counter() + seconds
    times: list[list[float]] = [[] for _ in tokens]
    threads = [
        threading.Thread(target=_annotate, args=(address, token, until, times[place]))
        for place, token in enumerate(tokens)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = [each for one in times for each in one]
    cuts = statistics.quantiles(pairs, n=100)
    return Outcome(pairs=len(pairs) / seconds, p50=1000 * cuts[49], p95=1000 * cuts[94])


def _annotate(address: str, token: str, until: float, times: list[float]) -> None:
    masks = [base64.b64encode(encode_label_png(mask)).decode() for mask in _masks(8)]
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        while time.perf_counter() < until:
            start = time.perf_counter()
            items = client.get("/next-regions").raise_for_status().json()["items"]
            if not items:
                time.sleep(0.002)
                continue
            label = {
                "region_id": items[0]["id"],
                "lease_token": items[0]["lease_token"],
                "mask_png": masks[len(times) % len(masks)],
                "seconds": 1.0,
            }
            client.post("/labels", json={"labels": [label]}).raise_for_status()
            times.append(time.perf_counter() - start)


def _masks(count: int) -> list[np.ndarray]:
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
