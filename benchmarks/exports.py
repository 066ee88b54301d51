"""Time to an export's first byte, time of all of it and the memory that it takes, of a project of many labels.

Run: PYTHONPATH=. python benchmarks/exports.py [--labels 3800] [--others 10000] [--postgres URL]
"""

import argparse
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, insert, make_url, select, text

from service import migrate
from service.blobs import Blobs
from service.db import Database
from service.domain.masks import encode_label_png
from service.export import Exporter
from service.schemas.export import ExportFormat, ExportQuery
from service.tables import Annotator, Label, Project, Region
from tests.conftest import FakeClock
from tests.maker import Maker

HEIGHT, WIDTH, CELLS = 360, 480, 24  # CamVid's images, and their regions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=3800, help="labelled regions of the project")
    parser.add_argument("--others", type=int, default=10_000, help="labelled regions of another project")
    parser.add_argument("--format", default=None, help="a format of exports; none: label maps")
    parser.add_argument("--postgres", help="the URL of a server on which a database is made and dropped; none: SQLite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _database(given.postgres, Path(folder)) as url:
        migrate.upgrade(url)
        database, blobs = Database(url), Blobs((Path(folder) / "blobs").as_uri())
        project = _filled(Maker(database, blobs, FakeClock()), "measured", given.labels)
        _filled(Maker(database, blobs, FakeClock()), "another", given.others)
        _export(database, blobs, project, given.format)
        database.engine.dispose()


@contextmanager
def _database(server: str | None, folder: Path) -> Iterator[str]:
    if server is None:
        yield f"sqlite:///{folder}/bench.db"
        return
    name = f"regionwise_bench_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def _filled(make: Maker, name: str, labels: int) -> Project:
    """A project with so many labelled regions, each labelled once."""
    make.annotator(name=name)
    project = make.project(name)
    images = make.images(project, -(-labels // CELLS), height=HEIGHT, width=WIDTH)
    regions = make.round_(project, images, regions=labels)
    chance = np.random.default_rng(0)
    mask = encode_label_png(np.kron(chance.integers(0, 11, (9, 8)), np.ones((10, 10))).astype(np.uint8))
    with make.database.write() as session:
        (by,) = session.scalars(select(Annotator.id).where(Annotator.name == name))
        more: dict[str, Any] = {"annotator_id": by, "version": 1, "mask": mask, "digest": "", "class_counts": []}
        rows = [{"region_id": each.id, "created_at": make.clock(), **more} for each in regions]
        session.execute(insert(Label), rows)
        session.query(Region).filter_by(project_id=project.id).update({"state": "labelled"})
    return project


def _export(database: Database, blobs: Blobs, project: Project, format: ExportFormat | None) -> None:
    def pieces() -> Iterator[bytes]:
        wanted = ExportQuery(format=format)
        return Exporter.of(project, wanted, database=database, blobs=blobs, now=FakeClock()()).pieces()

    began = time.perf_counter()
    left = pieces()
    size, first = len(next(left)), time.perf_counter() - began
    size += sum(len(each) for each in left)
    whole = time.perf_counter() - began
    tracemalloc.start()
    for _ in pieces():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    print(f"first byte after {1000 * first:.0f} ms, {size:,} bytes in {whole:.2f} s, peak {peak / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
