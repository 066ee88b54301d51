"""What an API and workers take of a machine and of PostgreSQL at rest, and what images and labels take of database and blobs.

A worker is three processes: one listens, one computes, one is Python's own. Memory is what a process has to itself (USS).

    python benchmarks/footprint.py --broker redis://127.0.0.1:6379/9 [--workers 2] [--images 16] [--postgres URL]
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from sqlalchemy import create_engine, make_url, text

from service import migrate
from service.annotate import ScriptedAnnotator, TruthFolder
from service.auth import hash_token, new_token
from service.blobs import Blobs
from service.client import Client
from service.db import Database
from service.domain.masks import encode_label_png
from service.server import terminated_as_interrupted
from service.store.annotators import add_annotator
from service.store.watched import database_bytes
from workers.client.sending import encode_rgb
from workers.datasets.streets import streets_dataset

MIB = 1 << 20
WAIT_SECONDS = 300


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--postgres", default="postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=16)
    chosen = parser.parse_args()
    with terminated_as_interrupted(), tempfile.TemporaryDirectory() as folder, own_database(chosen.postgres) as url:
        measure(Path(folder), url, chosen.broker, chosen.workers, chosen.images)


@contextlib.contextmanager
def own_database(postgres: str) -> Iterator[str]:
    """A migrated database that is dropped at the end."""
    name = f"regionwise_footprint_{uuid.uuid4().hex[:8]}"
    engine = create_engine(make_url(postgres), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    migrate.upgrade(url)
    try:
        yield url
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def measure(folder: Path, url: str, broker: str, workers: int, images: int) -> None:
    """Start everything, look at it at rest, then let regions be chosen and labelled, and look again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = new_token()
    database, blobs = Database(url), Blobs((folder / "blobs").as_uri())
    with database.write() as session:
        add_annotator(session, name="ada", role="admin", token_hash=hash_token(token), now=datetime.now(UTC))
    environment = os.environ | {
        "REGIONWISE_BROKER_URL": broker,
        "REGIONWISE_DATABASE_URL": url,
        "REGIONWISE_DATA_DIR": str(folder),
        "REGIONWISE_DEVICE": "cpu",
        "REGIONWISE_PORT": str(port),
    }
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "log").open("ab") as log:
        for command in ("serve", *["worker"] * workers):
            line = [sys.executable, "-m", "service", command]
            started.append(subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=folder))
    client = Client(f"http://127.0.0.1:{port}", token)
    try:
        until(lambda: f"regionwise_workers {workers}" in metrics(port, token))
        print(f"API at rest: {mib(started[0].pid)} MiB, {connections(database)} connections of all processes")
        for each in started[1:]:
            print(f"worker at rest: {mib(each.pid)} MiB in {1 + len(psutil.Process(each.pid).children())} processes")
        before = blobs.total_size() or 0
        project = upload(client, folder, images)
        print(f"an image of 480 x 360: {((blobs.total_size() or 0) - before) / images:,.0f} bytes of blobs")
        until(lambda: bool(client.call("GET", "/next-regions", params={"project": project})["items"]))
        before = rows_bytes(database)
        labelled = ScriptedAnnotator(client=client, truth=TruthFolder(folder / "truth"), project=project).run()
        print(
            f"a label of 80 x 90 pixels: {(rows_bytes(database) - before) / labelled:,.0f} bytes of rows ({labelled})"
        )
        print(f"after it: API {mib(started[0].pid)} MiB, {connections(database)} connections")
        for each in started[1:]:
            print(f"worker: {mib(each.pid)} MiB")
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait(timeout=120)
        client.close()
        database.engine.dispose()


def upload(client: Client, folder: Path, images: int) -> int:
    """A project of streets whose pool is asked for at random; their label maps are in the folder `truth`."""
    dataset = streets_dataset(seed=1, height=360, width=480, counts={"pool": images})
    settings = {"strategy": "random", "segmenter": "fpn", "width": 4, "batch_size": 64, "budget": 4 * images}
    body = {"name": "footprint", "classes": dataset.classes.to_json(), "settings": {**settings, "max_held": 64}}
    project: int = client.call("POST", "/projects", json=body)["id"]
    (folder / "truth").mkdir()
    source = dataset.splits["pool"]
    for number in range(len(source)):
        name = f"{source.name(number)}.png"
        ids = dataset.classes.to_ids(source.label_map(number))
        (folder / "truth" / name).write_bytes(encode_label_png(ids))
        files = [("image", (name, encode_rgb(source.image(number))))]
        client.call("POST", f"/projects/{project}/images", files=files, data={"split": "pool"})
    return project


def mib(pid: int) -> int:
    """What a process and its children have to themselves."""
    process = psutil.Process(pid)
    return round(sum(each.memory_full_info().uss for each in (process, *process.children(recursive=True))) / MIB)


def connections(database: Database) -> int:
    """Connections to the database, but for the one that asks."""
    asked = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    with database.engine.connect() as connection:
        return int(connection.execute(text(asked)).scalar_one())


def rows_bytes(database: Database) -> int:
    """What the database takes of its disk."""
    with database.read() as session:
        return database_bytes(session)


def metrics(port: int, token: str) -> str:
    """GET /metrics; empty while nobody answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {token}"}).text
    except httpx.TransportError:
        return ""


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"It took longer than {WAIT_SECONDS} seconds.")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
