"""What goes with time and what stays: weights of rounds, leases, events, states of jobs, bytes that no row names."""

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from service.db import Database
from service.keeping import Keeper
from service.removal import remove_due
from service.settings import Settings
from service.store import events, job_orders
from service.store import jobs as jobs_store
from service.store.removals import GRACE
from service.tables import Annotator, BlobRemoval, Checkpoint, Event, EventArchive, Job, Lease, Project, Region, Round
from tests.conftest import START, FakeClock
from tests.maker import Maker


class Keeping:
    """A keeper, and a look at what it took."""

    def __init__(self, make: Maker, settings: Settings, clock: FakeClock) -> None:
        self.make, self.settings, self.clock = make, settings, clock

    def went(self, *, dry: bool = False) -> dict[str, int]:
        """How much of each kind goes, of those of which something does; bytes are removed after a while."""
        keeper = Keeper(
            database=self.make.database, blobs=self.make.blobs, settings=self.settings, clock=self.clock, dry=dry
        )
        counts: dict[str, int] = {}
        for each in keeper.pieces():
            counts[each.kind] = counts.get(each.kind, 0) + each.count
        self.clock.advance(seconds=GRACE.total_seconds())
        remove_due(self.make.database, self.make.blobs, self.clock())
        return {kind: count for kind, count in counts.items() if count}


@pytest.fixture
def keeping(make: Maker, settings: Settings, clock: FakeClock) -> Keeping:
    return Keeping(make, settings, clock)


def told(make: Maker, project: Project, count: int) -> list[Checkpoint]:
    """Segmenters of so many rounds, of which the second measures best."""
    made = [make.checkpoint(project, "segmenter", f"{project.id}-{number}".encode()) for number in range(count)]
    with make.database.write() as session:
        for number, each in enumerate(made, start=1):
            miou = 0.9 if number == 2 else 0.5
            figures: dict[str, Any] = {"result_checkpoint_id": each.id, "miou_after": miou, "created_at": START}
            session.add(Round(project_id=project.id, number=number, state="told", size=1, **figures))
    return made


def kept(make: Maker) -> set[int]:
    """Checkpoints whose weights are there; the row of any other says that they are not."""
    with make.database.read() as session:
        rows = session.scalars(select(Checkpoint)).all()
    there = {each.id for each in rows if make.blobs.exists(each.blob_key)}
    assert there == {each.id for each in rows if each.weights_gone_at is None}
    return there


def aged(tmp_path: Path, key: str, *, hours: float = 25) -> Path:
    """A file of the blobs that came so long before START."""
    path = tmp_path / "blobs" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(b"something")
    moment = START.timestamp() - 3600 * hours
    os.utime(path, (moment, moment))
    return path


def test_weights_of_old_rounds_go_but_for_the_newest_and_the_best(
    make: Maker, keeping: Keeping, admin: TestClient
) -> None:
    made = told(make, make.project(keep_segmenters=2), 6)
    others = [make.checkpoint(make.project("other"), "segmenter", b"of no round"), make.checkpoint(make.project("x"))]
    assert keeping.went(dry=True) == {"weights of old rounds": 3}
    assert len(kept(make)) == 8
    assert keeping.went() == {"weights of old rounds": 3}
    assert kept(make) == {made[1].id, made[4].id, made[5].id, *(each.id for each in others)}
    assert keeping.went() == {}
    gone = admin.get(f"/checkpoints/{made[0].id}/file")
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "weights_gone")
    assert admin.get(f"/checkpoints/{made[1].id}/file").status_code == 200
    listed = admin.get("/projects/1/checkpoints").json()["items"]
    assert [each["weights_gone_at"] is None for each in listed] == [False, True, False, False, True, True]


def test_weights_that_something_needs_stay(make: Maker, keeping: Keeping, database: Database) -> None:
    project = make.project(keep_segmenters=1)
    made = told(make, project, 7)
    make.checkpoint(project, "segmenter", b"1-0")  # the same bytes as the first, in a row that is kept
    (region,) = make.round_(project, make.images(project, 1), regions=1, number=8)
    with database.write() as session:
        session.execute(update(Region).where(Region.id == region.id).values(prediction_checkpoint_id=made[2].id))
        session.execute(update(Round).where(Round.number == 8).values(checkpoint_id=made[3].id))
        session.execute(
            update(Checkpoint).where(Checkpoint.id > made[4].id).values(created_at=START + timedelta(hours=2))
        )
        job = jobs_store.queue_job(session, project_id=project.id, kind="finish", now=START).id
    with database.write() as session:
        assert jobs_store.claim_job(session, job, now=START + timedelta(hours=1), stale_after=timedelta(hours=1))
    assert keeping.went() == {"weights of old rounds": 1}  # the row says so, but its bytes are another's too
    with database.read() as session:
        rows = session.scalars(select(Checkpoint).order_by(Checkpoint.id)).all()
    assert [each.weights_gone_at is None for each in rows] == [False, True, True, True, True, True, True, True]
    assert all(make.blobs.exists(each.blob_key) for each in rows)
    with database.write() as session:
        jobs_store.cancel_job(session, session.get_one(Job, job), now=START)
    assert keeping.went() == {"weights of old rounds": 3}


def test_without_a_number_all_weights_stay(make: Maker, keeping: Keeping) -> None:
    told(make, make.project(keep_segmenters=None), 15)
    assert keeping.went() == {}
    told(make, make.project("by default"), 15)
    assert keeping.went() == {"weights of old rounds": 4}


def test_old_bytes_without_a_row_go_and_new_ones_stay(make: Maker, keeping: Keeping, tmp_path: Path) -> None:
    named = make.images(make.project(), 1)[0].blob_key
    aged(tmp_path, named)
    stray = aged(tmp_path, f"images/ab/{'a' * 64}.png")
    half = aged(tmp_path, f"images/ab/.{'a' * 64}.png.{'0' * 32}")
    new = aged(tmp_path, f"images/ac/{'b' * 64}.png", hours=23)
    writing = aged(tmp_path, f"images/ac/.{'b' * 64}.png.{'0' * 32}", hours=23)
    foreign = aged(tmp_path, "somebody/elses.png")
    assert keeping.went(dry=True) == {"half written files": 1, "bytes that no row names": 1}
    assert stray.exists()
    assert half.exists()
    assert keeping.went() == {"half written files": 1, "bytes that no row names": 1}
    assert [each.exists() for each in (stray, half, new, writing, foreign)] == [False, False, True, True, True]
    assert make.blobs.exists(named)


def test_bytes_that_are_named_between_the_look_and_the_removal_stay(
    make: Maker, keeping: Keeping, admin: TestClient, tmp_path: Path, database: Database
) -> None:
    project, data = make.project(), make.picture(32, 32)
    key = make.blobs.put_content("images", data, ".png")
    aged(tmp_path, key)
    keeper = Keeper(database=database, blobs=make.blobs, settings=keeping.settings, clock=keeping.clock)
    list(keeper.pieces())
    with database.read() as session:
        assert session.scalars(select(BlobRemoval.key)).all() == [key]
    sent = admin.post(f"/projects/{project.id}/images", data={"split": "pool"}, files={"image": ("a.png", data)})
    assert sent.status_code == 201
    keeping.clock.advance(hours=1)
    remove_due(database, make.blobs, keeping.clock())
    assert make.blobs.get(key) == data


def test_bytes_that_are_put_again_count_as_new(make: Maker, keeping: Keeping, tmp_path: Path) -> None:
    aged(tmp_path, make.blobs.put_content("images", b"picture", ".png"))
    make.blobs.put_content("images", b"picture", ".png")
    assert keeping.went() == {}


def test_states_go_of_jobs_that_have_ended_and_stay_of_those_that_may_go_on(
    make: Maker, keeping: Keeping, database: Database, tmp_path: Path
) -> None:
    project = make.project()
    long_ago, lately = START - timedelta(days=31), START - timedelta(days=1)
    ended = {
        1: ("done", lately),
        2: ("failed", lately),
        3: ("cancelled", long_ago),
        4: ("queued", None),
        5: ("done", START),
    }
    with database.write() as session:
        for id, (state, at) in ended.items():
            session.add(
                Job(
                    id=id,
                    project_id=project.id,
                    kind="evaluate" if state == "queued" else "finish",
                    payload={},
                    state=state,
                    finished_at=at,
                    created_at=long_ago,
                )
            )
    files = {id: aged(tmp_path, f"jobs/{id}/fit.safetensors", hours=48) for id in (*ended, 77)}
    keeper = Keeper(database=database, blobs=make.blobs, settings=keeping.settings, clock=keeping.clock)
    list(keeper.pieces())
    with database.write() as session:  # one is tried again before its state is removed
        job_orders.retry_job(session, 3, now=START)
    keeping.clock.advance(hours=0.5)
    remove_due(database, make.blobs, keeping.clock())
    assert [id for id, each in files.items() if each.exists()] == [2, 3, 4, 5]


def test_leases_go_a_while_after_they_ended(make: Maker, keeping: Keeping, database: Database) -> None:
    project = make.project()
    make.annotator(name="ada")
    (region,) = make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        ada = session.scalars(select(Annotator.id).where(Annotator.name == "ada")).one()
        for days in (40, 31, 29, None):
            ended = None if days is None else START - timedelta(days=days)
            made = START - timedelta(days=50)
            session.add(Lease(region_id=region.id, annotator_id=ada, created_at=made, expires_at=made, ended_at=ended))
    assert keeping.went(dry=True) == {"ended leases": 2}
    assert keeping.went() == {"ended leases": 2}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Lease)) == 2


def test_whole_months_of_old_events_move_to_archives_and_no_other_leaves(
    make: Maker, keeping: Keeping, database: Database
) -> None:
    ago = [timedelta(days=days) for days in (460, 430, 430, 366, 360, 0)]
    with database.write() as session:
        for each in ago:
            events.record(session, now=START - each, kind="happened", project_id=7, days=each.days)
            session.flush()
    assert keeping.went(dry=True) == {"events to the archive": 3}
    assert keeping.went() == {"events to the archive": 3}
    with database.read() as session:
        left = [each.detail["days"] for each in session.scalars(select(Event).order_by(Event.id))]
        archives = session.scalars(select(EventArchive).order_by(EventArchive.id)).all()
    assert left == [366, 360, 0]  # the month that is old in part alone waits for its end
    lines = [
        json.loads(line) for each in archives for line in gzip.decompress(make.blobs.get(each.blob_key)).splitlines()
    ]
    assert [each.blob_key.rsplit("/", 2)[0] for each in archives] == ["events/2024-10", "events/2024-11"]
    assert [(each["id"], each["detail"]) for each in lines] == [
        (1, {"days": 460}),
        (2, {"days": 430}),
        (3, {"days": 430}),
    ]
    assert keeping.went() == {}


def test_a_step_goes_on_where_the_last_one_stopped_and_rests_when_all_was_seen(
    make: Maker, keeping: Keeping, database: Database, tmp_path: Path
) -> None:
    stray = aged(tmp_path, f"images/ab/{'a' * 64}.png")
    keeper = Keeper(database=database, blobs=make.blobs, settings=keeping.settings, clock=keeping.clock)

    def noted() -> int:
        with database.read() as session:
            return session.scalar(select(func.count()).select_from(BlobRemoval)) or 0

    steps = 0
    while not noted():
        keeper.step(seconds=0)
        steps += 1
        assert steps < 20
    assert steps > 1
    keeper.step()
    keeping.clock.advance(hours=1)
    remove_due(database, make.blobs, keeping.clock())
    assert not stray.exists()
    aged(tmp_path, f"images/ab/{'a' * 64}.png")
    keeper.step()
    assert noted() == 0
    keeping.clock.advance(hours=6)
    keeper.step()
    assert noted() == 1


def test_several_processes_at_once_take_everything_once(
    make: Maker, keeping: Keeping, database: Database, tmp_path: Path
) -> None:
    told(make, make.project(keep_segmenters=1), 6)
    stray = aged(tmp_path, f"images/ab/{'a' * 64}.png")
    with database.write() as session:
        for days in range(400, 500):
            events.record(session, now=START - timedelta(days=900 - days), kind="happened", days=days)
            session.flush()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keeping.went(), range(4)))
    assert not stray.exists()
    assert len(kept(make)) == 2
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 0
        archives = session.scalars(select(EventArchive).order_by(EventArchive.first_id)).all()
    lines = [line for each in archives for line in gzip.decompress(make.blobs.get(each.blob_key)).splitlines()]
    assert [json.loads(each)["detail"]["days"] for each in lines] == list(range(400, 500))


def test_there_is_nothing_to_keep_where_there_are_no_blobs_yet(keeping: Keeping) -> None:
    assert keeping.went() == {}
