"""A round's tasks and the database: all is read at once, computed with nothing open, and written at once."""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models.segmenter import build
from service.db import Database
from service.store import rounds as round_store
from service.store.checkpoints import NewCheckpoint, record_checkpoint
from service.store.jobs import claim_job
from service.tables import Checkpoint, Event, Job
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.jobs.delivery import JobRun, Worker
from workers.jobs.rounds import ask, tell
from workers.jobs.saving import save_checkpoint
from workers.training.checkpoints import save_segmenter

POOL, STATE, REWARD = 6, 2, 3


class WatchedRun(JobRun):
    """A delivery that notes, whenever it says how far it is, how many connections are in use."""

    open_at_steps: list[int]

    def step(self, progress: float, message: str) -> None:
        self.open_at_steps.append(self.worker.database.engine.pool.checkedout())  # type: ignore[attr-defined]


def run_of(world: World, kind: str) -> WatchedRun:
    """A delivery of the queued job of this kind, without a heartbeat beside it."""
    with world.database.write() as session:
        job_id = session.scalars(select(Job.id).where(Job.kind == kind, Job.state == "queued")).one()
        job = claim_job(session, job_id, now=datetime.now(UTC), stale_after=timedelta(minutes=2))
        assert job is not None
        assert job.lock is not None
        assert job.started_at is not None
    worker = Worker(
        database=world.database,
        blobs=world.blobs,
        settings=world.settings,
        clock=lambda: datetime.now(UTC),
        device="cpu",
    )
    run = WatchedRun(
        worker=worker,
        job_id=job.id,
        project_id=job.project_id,
        kind=kind,
        payload=job.payload,
        lock=job.lock,
        tried_since=job.started_at,
        started=0.0,
    )
    run.open_at_steps = []
    return run


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(strategy="coreset")
    world.add("pool", Rectangles(POOL, 1), labelled=False).add("state", Rectangles(STATE, 2))
    world.add("reward", Rectangles(REWARD, 3))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    return world


def count_sessions(database: Database, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the sessions of each kind from now on."""
    opened: Counter[str] = Counter()

    def counted(kind: str, session: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def opening(**options: Any) -> Any:
            opened[kind] += 1
            with session(**options) as each:
                yield each

        return opening

    for kind in ("read", "snapshot", "write"):
        monkeypatch.setattr(database, kind, counted(kind, getattr(database, kind)))
    return opened


@pytest.mark.parametrize(
    # A tell locks its project's rounds for a moment, to know what its snapshot will have.
    ("kind", "task", "images", "writes"),
    [("ask", ask, POOL + STATE, 1), ("tell", tell, POOL + REWARD, 2)],
)
def test_a_task_takes_one_snapshot_computes_with_none_open_and_writes_once(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, task: Callable[..., Any], images: int, writes: int
) -> None:
    world.work()
    world.label_all()
    if kind == "ask":
        tell(run_of(world, "tell"))  # now the second round is to be proposed, and coreset looks at the first's labels
        with world.database.write() as session:  # a project has one job at a time
            session.execute(update(Job).where(Job.kind == "tell").values(state="done"))
    run = run_of(world, kind)
    opened = count_sessions(world.database, monkeypatch)
    task(run)
    assert (opened["snapshot"], opened["write"]) == (1, writes)
    assert opened["read"] <= images  # the row of each image that was looked at, once
    assert run.open_at_steps == [0]


def test_a_tell_that_dies_while_writing_leaves_no_segmenter_and_is_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.work()
    world.label_all()
    run = run_of(world, "tell")

    def dies(*_: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(round_store, "advance", dies)
        with pytest.raises(RuntimeError, match="power cut"):
            tell(run)
    assert checkpoints(world) == 1
    assert world.rounds()[0]["state"] == "labelled"
    tell(run)
    assert tell(run) == {"round": 1, "state": "told"}
    assert checkpoints(world) == 2


def checkpoints(world: World) -> int:
    with world.database.read() as session:
        return session.scalar(select(func.count()).select_from(Checkpoint)) or 0


def test_a_networks_bytes_are_stored_before_its_row_and_its_row_with_an_event(world: World) -> None:
    run = run_of(world, "ask")
    with world.database.read() as session:
        first = session.scalars(select(Checkpoint)).one()

    def write(session: Any, new: NewCheckpoint, now: datetime) -> Checkpoint:
        assert world.blobs.get(new.blob_key) == b"weights"
        return record_checkpoint(session, new, now)

    row = save_checkpoint(run, b"weights", kind="final", description={"regions": 4}, parent=first, write=write)
    assert (row.kind, row.description, row.parent_id, row.job_id) == ("final", {"regions": 4}, first.id, run.job_id)
    with world.database.read() as session:
        found = session.scalars(select(Event).where(Event.kind == "checkpoint_saved")).one()
    assert found.detail == {"checkpoint": "final", "job": run.job_id}


def test_a_round_says_what_its_candidates_were_predicted_to_hold(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="entropy", budget=8)
    world.add("pool", Rectangles(POOL, 1), labelled=False).add("state", Rectangles(STATE, 2))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    shares = world.rounds()[0]["pool_shares"]
    assert list(shares) == list(CLASSES.names)
    assert sum(shares.values()) == pytest.approx(1.0)
    progress = world.call("GET", f"/projects/{world.project.id}/progress")
    assert progress["pool"]["shares"] == pytest.approx(shares)


def test_a_round_that_nobody_looked_for_says_nothing_of_the_pool(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="entropy", budget=8)
    world.add("pool", Rectangles(POOL, 1), labelled=False)
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    assert world.rounds()[0]["pool_shares"] is None
