"""What a pool of a million images costs: rows imported a second, and a region given and a round drawn from it, to a thousand.

Images are rows alone, of 100 regions each: 10^8 regions by arithmetic. The quickest of each is compared, in turns, since others
use the machine too.

    PYTHONPATH=. python benchmarks/large_pool.py [--postgres postgresql+psycopg://postgres@127.0.0.1:5432/postgres] \\
        [--images 1000 1000000]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import insert, select, text

from benchmarks.pairs import database_url
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import CAMVID
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings
from service.store import leases
from service.store.annotators import add_annotator
from service.store.images import NewImage, add_images
from service.store.projects import add_project
from service.store.rounds import advance
from service.store.snapshots import ask_snapshot
from service.tables import ImageGroup, Project, Region, Round
from workers.jobs.delivery import Worker
from workers.jobs.project import project_of

SIDE, CELL, REGIONS = 640, 64, 100
LIMIT = 1.2
_SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < :count) "
    "SELECT n FROM series",
    "postgresql": "SELECT n FROM generate_series(0, :count - 1) AS series(n)",
}
_FILL = """
INSERT INTO images (project_id, group_id, ordinal, name, split, height, width, media_type, digest, blob_key, created_at)
SELECT :project, :group, n, 'image ' || n, 'pool', :side, :side, 'image/png', :digest, 'images/' || n, :now FROM ({series}) AS s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A database with a project of so many images."""

    images: int
    database: Database
    project_id: int
    annotator_id: int
    round_id: int
    worker: Worker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--postgres", default=os.environ.get("REGIONWISE_TEST_POSTGRES"), help="a server to use as well"
    )
    parser.add_argument("--images", type=int, nargs=2, default=[1_000, 1_000_000], help="sizes of the pools")
    parser.add_argument("--imported", type=int, default=20_000, help="rows that are imported to be counted")
    parser.add_argument("--runs", type=int, default=40, help="of each, after one that is not counted")
    options = parser.parse_args()
    for kind in ("SQLite", "PostgreSQL") if options.postgres else ("SQLite",):
        with ExitStack() as stack:
            pools = [stack.enter_context(_filled(kind, options.postgres, images)) for images in options.images]
            print(f"{kind}: {_imported(pools[0], options.imported):,.0f} rows imported a second")
            for what, work in (("a region is given", _given), ("a round is drawn", _drawn)):
                found = _quickest(pools, work, options.runs)
                ratio = found[1] / found[0]
                told = ", ".join(f"{1000 * each:.2f} ms of {p.images:,}" for each, p in zip(found, pools, strict=True))
                print(f"  {what}: {told}; ratio {ratio:.2f}, {'within' if ratio <= LIMIT else 'NOT within'} {LIMIT}")


def _filled(kind: str, server: str, images: int) -> "_Opened":
    return _Opened(kind, server, images)


class _Opened(ExitStack):
    """A filled database that is gone afterwards."""

    def __init__(self, kind: str, server: str, images: int) -> None:
        super().__init__()
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        database = Database(self.enter_context(database_url(kind, server, folder)))
        self.callback(database.engine.dispose)
        self._filled = _fill(database, folder, images)

    def __enter__(self) -> Filled:  # type: ignore[override]
        return self._filled


def _fill(database: Database, folder: Path, images: int) -> Filled:
    now = datetime.now(UTC)
    settings = ProjectSettings(cell_height=CELL, cell_width=CELL, pool_size=100, batch_size=100)
    with database.write() as session:
        annotator = add_annotator(session, name="ada", role="annotator", token_hash="0" * 64, now=now)
        project = add_project(session, name="large", classes=CAMVID, settings=settings, now=now, members="everyone")
        group = ImageGroup(project_id=project.id, split="pool", height=SIDE, width=SIDE, count=images)
        session.add(group)
        session.flush()
        dialect = session.get_bind().dialect.name
        values = {
            "project": project.id,
            "group": group.id,
            "side": SIDE,
            "digest": "0" * 64,
            "now": now,
            "count": images,
        }
        if dialect == "sqlite":
            values["now"] = now.strftime("%Y-%m-%d %H:%M:%S.%f")
        session.execute(text(_FILL.format(series=_SERIES[dialect])), values)
        _open_round(session, project, images, now)
        advance(session, project, now)
        session.flush()
        scoring = session.scalars(select(Round.id).where(Round.state == "scoring")).one()
    if dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    blobs = Blobs((folder / "blobs").as_uri())
    worker = Worker(
        database=database,
        blobs=blobs,
        settings=Settings(data_dir=folder),
        clock=lambda: datetime.now(UTC),
        device="cpu",
    )
    return Filled(
        images=images,
        database=database,
        project_id=project.id,
        annotator_id=annotator.id,
        round_id=scoring,
        worker=worker,
    )


def _open_round(session, project: Project, images: int, now: datetime) -> None:  # type: ignore[no-untyped-def]
    """A round of 100 regions that wait, one in each of as many images all over the pool."""
    round_ = Round(
        project_id=project.id, number=1, state="open", size=100, seconds={}, note="", created_at=now, opened_at=now
    )
    session.add(round_)
    session.flush()
    rows = [
        {
            "project_id": project.id,
            "round_id": round_.id,
            "image_id": 1 + place * (images // 100),
            "cell": 0,
            "number": place,
            "row": 0,
            "col": 0,
            "height": CELL,
            "width": CELL,
            "score": 1.0,
            "state": "open",
        }
        for place in range(100)
    ]
    session.execute(insert(Region), rows)


def _imported(pool: Filled, count: int) -> float:
    """Rows a second that arrive by the function that every import goes through, a thousand in a transaction."""
    now = datetime.now(UTC)
    arrivals = [
        NewImage(
            name=f"new/{place:07}.png",
            split="train",
            height=SIDE,
            width=SIDE,
            media_type="image/png",
            digest=f"{place:064x}",
            blob_key=f"s3://lab/new/{place:07}.png#{place:064x}",
        )
        for place in range(count)
    ]
    start = time.perf_counter()
    for first in range(0, count, 1000):
        with pool.database.write() as session:
            add_images(session, pool.project_id, arrivals[first : first + 1000], now)
    return count / (time.perf_counter() - start)


def _given(pool: Filled) -> None:
    """What GET /next-regions does in the database. The lease has run out when the next one is given."""
    with pool.database.write(durable=False, alone=pool.annotator_id) as session:
        now = datetime.now(UTC) + timedelta(hours=_given.calls)  # type: ignore[attr-defined]
        held = leases.claim(session, pool.project_id, pool.annotator_id, count=1, now=now, default_minutes=15)
    assert len(held) == 1


def _drawn(pool: Filled) -> None:
    """What an ask does before it looks at a picture: its snapshot, its candidates, and the rows of their images."""
    with pool.database.snapshot() as session:
        known = ask_snapshot(session, pool.round_id)
    project = project_of(pool.worker, known.project)
    images = project.images_of(known.pool)
    candidates = project.pool(images, known.proposed)
    drawn = candidates.sample(pools=100, size=100, by="images", rng=np.random.default_rng(0))
    images.expect(np.unique(candidates.locate(np.concatenate(drawn))[0]).tolist())


def _quickest(pools: list[Filled], work: Callable[[Filled], None], runs: int) -> list[float]:
    """Seconds of the quickest run with each pool."""
    best = [float("inf")] * len(pools)
    for run in range(runs + 1):
        for place, pool in enumerate(pools):
            _given.calls = run  # type: ignore[attr-defined]
            start = time.perf_counter()
            work(pool)
            if run:
                best[place] = min(best[place], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
