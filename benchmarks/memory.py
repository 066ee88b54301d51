"""Peak memory and seconds of one `ask` over a single large image, in a process of its own, by segmenter.

The image is a grey PNG, mostly of one colour, of some dozens of kilobytes; its network is not trained, which costs the same.

With `--windows` it is a TIFF of tiles, or an OME-Zarr, instead, which stays where it is and comes as windows.

    python benchmarks/memory.py [--height 7999] [--width 8000] [--segmenters fpn frozen]
    python benchmarks/memory.py --windows tiff --height 40000 --width 40000
    python benchmarks/memory.py --windows zarr --height 40000 --width 40000
"""

import argparse
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from sqlalchemy import select

from service import migrate
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import CAMVID
from service.domain.readings import Reading
from service.large_images import window_images
from service.pictures import look
from service.queue import RUN_JOB
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings
from service.store.checkpoints import NewCheckpoint, add_checkpoint
from service.store.images import NewImage, add_images
from service.store.projects import add_project
from service.store.rounds import advance
from service.tables import Job, Project, Region

SETTINGS = {
    "fpn": {"segmenter": "fpn", "learning": "pass", "encoder": "trained"},
    "frozen": {},
}
TILE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=7999)
    parser.add_argument("--width", type=int, default=8000)
    parser.add_argument("--segmenters", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--windows", choices=("tiff", "zarr"), help="as a file of tiles that is read in windows")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(_ask(options.measure)))
        return
    print("| segmenter | first ask, MiB | seconds | again, MiB | seconds | what it chose |\n|---|---|---|---|---|---|")
    for name in options.segmenters:
        with tempfile.TemporaryDirectory() as folder:
            _prepare(Path(folder), name, options.height, options.width, windows=options.windows)
            found = [_measured(Path(folder)) for _ in range(2)]
        cells = [f"{each['mib']:,.0f} | {each['seconds']:.0f}" for each in found]
        print(f"| {name} | {' | '.join(cells)} | {found[0]['digest']} |", flush=True)


def _measured(folder: Path) -> dict[str, float]:
    """What a process of its own says of its ask. The features that the first one keeps are there for the second."""
    with Database(_url(folder)).write() as session:
        project = session.scalars(select(Project)).one()
        advance(session, project, datetime.now(UTC))
    done = subprocess.run([sys.executable, __file__, "--measure", str(folder)], check=True, capture_output=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, database_url=_url(folder), threads=1, players=1)


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'regionwise.db'}"


def _prepare(folder: Path, name: str, height: int, width: int, *, windows: str | None) -> None:
    """A project with the image, and a network that was not trained."""
    from workers.jobs.delivery import Worker
    from workers.jobs.project import load_project
    from workers.training.checkpoints import save_segmenter

    migrate.upgrade(_url(folder))
    settings = _settings(folder)
    database, blobs = Database(_url(folder)), Blobs(settings.resolved_blob_url)
    now = datetime.now(UTC)
    chosen = ProjectSettings(**{"strategy": "entropy", "lookahead": True, "batch_size": 24, **SETTINGS[name]})
    cell = chosen.cell_height, chosen.cell_width
    if windows is not None:
        url = (large_tiff if windows == "tiff" else large_zarr)(folder, height, width)
        arrivals = window_images(f"large.{windows}", url, "pool", Reading(), cell)
    else:
        arrivals = [_whole(blobs, large_png(height, width), settings.max_image_pixels)]
    with database.write() as session:
        project = add_project(session, name="large", classes=CAMVID, settings=chosen, now=now, members="everyone")
        add_images(session, project.id, arrivals, now)
    worker = Worker(database=database, blobs=blobs, settings=settings, clock=lambda: datetime.now(UTC), device="cpu")
    loaded = load_project(worker, project.id)
    weights = blobs.put_content("checkpoints", save_segmenter(loaded.fresh_segmenter(), CAMVID, {}), ".safetensors")
    with database.write() as session:
        new = NewCheckpoint(project_id=project.id, kind="segmenter", blob_key=weights, description={}, job_id=None)
        add_checkpoint(session, new, now)
    database.engine.dispose()


def _whole(blobs: Blobs, data: bytes, most: int) -> NewImage:
    shape, key = look(data, max_pixels=most).shape, blobs.put_content("images", data, ".png")
    return NewImage(
        name="large.png",
        split="pool",
        height=shape.height,
        width=shape.width,
        media_type="image/png",
        digest=Path(key).stem,
        blob_key=key,
    )


def large_tiff(folder: Path, height: int, width: int) -> str:
    """The URL of a grey BigTIFF of deflated tiles, a few of which are lighter."""
    import tifffile

    count = -(-height // TILE) * -(-width // TILE)
    tiles = (np.full((TILE, TILE), 200 if place % 97 == 0 else 90, np.uint8) for place in range(count))
    tifffile.imwrite(
        folder / "large.tif",
        tiles,
        shape=(height, width),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="deflate",
        bigtiff=True,
        photometric="minisblack",
    )
    return (folder / "large.tif").as_uri()


def large_zarr(folder: Path, height: int, width: int) -> str:
    """The URL of an OME-Zarr of the same pixels."""
    import zarr

    group = zarr.open_group(str(folder / "large.zarr"), mode="w")
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    array = group.create_array("0", shape=(height, width), chunks=(TILE, TILE), dtype=np.uint8, fill_value=90)
    across = -(-width // TILE)
    for place in range(0, across * -(-height // TILE), 97):
        row, col = (TILE * each for each in divmod(place, across))
        array[row : row + TILE, col : col + TILE] = 200
    return (folder / "large.zarr").as_uri()


def large_png(height: int, width: int) -> bytes:
    """A grey image with a few rectangles."""
    pixels = np.full((height, width), 90, np.uint8)
    for place in range(12):
        row, col = place * height // 13, place * 7 % 13 * width // 13
        pixels[row : row + height // 20, col : col + width // 25] = 20 * place
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def _ask(folder: Path) -> dict[str, float | str]:
    """Run the ask that is queued."""
    from workers.app import make_app
    from workers.jobs.connecting import worker_of

    settings = _settings(folder)
    worker = worker_of(settings, Database(_url(folder)))
    with worker.database.read() as session:
        job = session.scalars(select(Job).where(Job.state == "queued", Job.kind == "ask")).one_or_none()
    if job is None:
        return {}
    start = time.perf_counter()
    make_app(settings, lambda: worker).tasks[RUN_JOB].apply(args=[job.id], throw=True)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    digest = hashlib.sha256()
    with worker.database.read() as session:
        for region in session.scalars(select(Region).order_by(Region.id)):
            digest.update(f"{region.cell} {region.score!r}".encode() + (region.prediction or b""))
    return {"mib": peak, "seconds": seconds, "digest": digest.hexdigest()[:12]}


if __name__ == "__main__":
    main()
