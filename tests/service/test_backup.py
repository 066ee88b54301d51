"""Backups: what was accepted before one is in it, whole, on either kind of database, and what stands in the way of a restore."""

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from service import migrate
from service.backup import Backup, Restore
from service.backup.place import Manifest, opened, pack
from service.blobs import Blobs
from service.db import Database
from service.engines import make_engine
from service.removal import remove_due
from service.store import copying, removals
from service.store.jobs import queue_job
from service.store.removals import GRACE
from service.tables import BlobRemoval, Image, Job, Label
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.labelled import exported, make_labelled


@pytest.fixture
def target(empty_url: str) -> str:
    """The URL of a database that is not there yet, or empty."""
    return empty_url


def rows_of(url: str) -> list[Any]:
    engine = make_engine(url)
    with engine.connect() as connection:
        lines = list(copying.written(connection))
    engine.dispose()
    # Tables that do not name each other may come in any order.
    found: dict[str, list[Any]] = {}
    for each in map(json.loads, lines):
        if isinstance(each, dict):
            table = found.setdefault(each["table"], [sorted(each["columns"])])
            names = each["columns"]
        else:
            table.append(sorted(zip(names, map(_value, each), strict=True)))
    return sorted(found.items())


def _value(value: Any) -> Any:
    structured = isinstance(value, str) and value.startswith(("[", "{"))
    return json.dumps(json.loads(value), sort_keys=True) if structured else value


def restored(tmp_path: Path, source: str, target: str, **more: Any) -> Blobs:
    blobs = Blobs((tmp_path / "restored").as_uri())
    Restore(source=source, url=target, blobs=blobs, **more).run()
    return blobs


@pytest.mark.parametrize("suffix", ["", ".tar", " für #1?", " für #1?.tar"])
def test_a_backup_comes_back_in_either_kind_of_database(
    admin: TestClient, make: Maker, database: Database, clock: FakeClock, tmp_path: Path, target: str, suffix: str
) -> None:
    labelled = make_labelled(make, admin)
    gone = make.project("gone")
    assert admin.delete(f"/projects/{gone.id}", params={"confirm": "gone"}).status_code == 200
    to = f"{tmp_path}/backup{suffix}"
    made = Backup(database=database, blobs=make.blobs, to=to, clock=clock).run()
    assert (made.copied, made.manifest.blobs, made.manifest.missing) == (5, 5, [])
    assert Path(to).exists()
    blobs = restored(tmp_path, to, target)
    assert rows_of(target) == rows_of(database.engine.url.render_as_string(hide_password=False))
    other = Database(target)
    with other.snapshot() as session:
        for key in copying.named_bytes(session):
            assert blobs.get(key) == make.blobs.get(key)
    # Numbers go on where they were: that of the deleted project is not given again.
    assert Maker(other, blobs, clock).project("next").id == gone.id + 1
    other.engine.dispose()
    assert exported(admin, labelled.project).testzip() is None


def test_a_job_that_ran_meanwhile_is_queued_again_and_says_why(
    make: Maker, database: Database, clock: FakeClock, tmp_path: Path, target: str
) -> None:
    project = make.project()
    with database.write() as session:
        for state in ("running", "done"):
            job = queue_job(session, project_id=project.id, kind="pretrain", now=clock.now, key=state)
            job.state, job.lock, job.worker, job.attempt = state, "here", "one", 1
    Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    restored(tmp_path, str(tmp_path / "b"), target)
    other = Database(target)
    with other.read() as session:
        ran, done = session.scalars(select(Job).order_by(Job.id))
    assert (ran.state, ran.lock, ran.sent_at, ran.error) == (
        "queued",
        None,
        None,
        "The backup was taken while it ran.",
    )
    assert (done.state, done.error) == ("done", None)
    other.engine.dispose()


def test_a_second_backup_copies_only_what_is_new(
    admin: TestClient, make: Maker, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    make.images(make.project("first"), 2)
    first = Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    clock.advance(seconds=1)
    make.checkpoint(make.project("second"), data=b"new")
    second = Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    assert (first.copied, second.copied, second.manifest.blobs) == (1, 1, 2)
    blobs = restored(tmp_path, str(tmp_path / "b"), f"sqlite:///{tmp_path}/old.db", name=first.manifest.name)
    assert len(list(blobs.found())) == 1


def test_labels_that_were_accepted_before_a_backup_are_in_it_while_others_come(
    make: Maker, login: Callable[..., TestClient], database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    project = make.project()
    regions = make.round_(project, make.images(project, 15), regions=60)
    mask = base64.b64encode(make.mask_png()).decode()
    accepted, refused = list[int](), list[str]()
    enough = threading.Event()

    def annotate(client: TestClient) -> None:
        while len(accepted) < len(regions):
            given = client.get("/next-regions", params={"project": project.id, "count": 1}).json()["items"]
            for each in given:
                label = {"region_id": each["id"], "lease_token": each["lease_token"], "mask_png": mask}
                answer = client.post("/labels", json={"labels": [label]})
                if answer.status_code not in (200, 201):
                    refused.append(answer.text)
                accepted.append(each["id"])
            if len(accepted) > 6:
                enough.set()

    threads = [threading.Thread(target=annotate, args=(login("annotator", f"a{n}"),)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert enough.wait(30), refused
    before = set(accepted)
    Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    for thread in threads:
        thread.join(60)
    assert not refused
    assert len(accepted) == len(regions)
    restored(tmp_path, str(tmp_path / "b"), f"sqlite:///{tmp_path}/other.db")
    other = Database(f"sqlite:///{tmp_path}/other.db")
    with other.read() as session:
        labels = session.scalars(select(Label.region_id)).all()
        done = {id for (id,) in session.execute(text("SELECT id FROM regions WHERE state = 'labelled'"))}
        told = session.execute(text("SELECT count(*) FROM events WHERE kind = 'region_labelled'")).scalar()
    other.engine.dispose()
    assert before <= set(labels) == done
    assert told == len(labels)


def test_nothing_is_removed_while_a_backup_copies(
    admin: TestClient, make: Maker, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    make.images(make.project("first"), 1)
    removed: list[int] = []

    def told(done: int, total: int) -> None:
        if not removed:  # the rows are copied, the bytes not yet: the project goes, and a while goes by
            assert admin.delete("/projects/1", params={"confirm": "first"}).status_code == 200
            clock.advance(seconds=GRACE.total_seconds())
            removed.append(remove_due(database, make.blobs, clock()))

    made = Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock, told=told).run()
    assert (removed, made.copied) == ([0], 1)
    assert remove_due(database, make.blobs, clock()) == 1
    with database.read() as session:
        assert not removals.held(session, clock())
        assert session.scalars(select(BlobRemoval)).all() == []


def test_a_database_that_holds_something_is_refused_unless_it_is_named(
    make: Maker, database: Database, clock: FakeClock, tmp_path: Path, target: str
) -> None:
    make.project("kept")
    Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    migrate.upgrade(target)
    there = Database(target)
    Maker(there, make.blobs, clock).project("there")
    name = Path(there.engine.url.database or "").name
    with pytest.raises(ValueError, match=f"holds 1 projects.*--force {name}"):
        restored(tmp_path, str(tmp_path / "b"), target)
    with pytest.raises(ValueError, match="--force names other"):
        restored(tmp_path, str(tmp_path / "b"), target, force="other")
    there.engine.dispose()
    restored(tmp_path, str(tmp_path / "b"), target, force=name)
    assert (
        dict(rows_of(target))["projects"][1:]
        == dict(rows_of(str(database.engine.url.render_as_string(False))))["projects"][1:]
    )


def test_damaged_bytes_and_lost_ones_are_told(
    make: Maker, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    images = make.images(make.project("first"), 1)
    make.checkpoint(make.project("second"), data=b"weights")
    with database.read() as session:
        image = session.get_one(Image, images[0].id).blob_key
    to = tmp_path / "b"
    Backup(database=database, blobs=make.blobs, to=str(to), clock=clock).run()
    target = f"sqlite:///{tmp_path}/other.db"
    (to / "blobs" / image).write_bytes(b"other")
    with pytest.raises(ValueError, match="is damaged"):
        restored(tmp_path, str(to), target)
    assert not migrate.exists(target)
    rows = next(to.glob("*/rows-0001.jsonl.gz"))
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"rows-0001.*is damaged"):
        restored(tmp_path, str(to), target)
    make.blobs.delete(image)
    made = Backup(database=database, blobs=make.blobs, to=str(tmp_path / "c"), clock=clock).run()
    assert made.manifest.missing == [image]


def test_a_place_without_a_backup_and_one_of_a_later_release_are_told(
    make: Maker, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path}/other.db"
    with pytest.raises(ValueError, match="no backup that was completed"):
        restored(tmp_path, str(tmp_path), target)
    made = Backup(database=database, blobs=make.blobs, to=str(tmp_path / "b"), clock=clock).run()
    path = tmp_path / "b" / made.manifest.name / "backup.json"
    path.write_text(path.read_text().replace(f'"{made.manifest.revision}"', '"9999"'))
    with pytest.raises(ValueError, match="schema 9999 this release does not know"):
        restored(tmp_path, str(tmp_path / "b"), target)


def test_a_backup_of_an_earlier_schema_is_brought_to_this_one(make: Maker, clock: FakeClock, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/early.db"
    migrate.upgrade(url, "0005")
    with make_engine(url).execution_options(write=True).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO projects (name, classes, settings, active, created_at) VALUES ('a', '{}', '{}', 1, :now)"
            ),
            {"now": "2026-01-01 00:00:00.000000"},
        )
    place = opened(str(tmp_path / "b"))
    with make_engine(url).connect() as connection:
        manifest = Manifest(
            name="early",
            release="0.0.1",
            revision="0005",
            made_at=clock().isoformat(),
            database="sqlite",
            rows=copying.row_counts(connection),
            numbers=copying.numbers_given(connection),
            row_parts=pack(copying.written(connection), "early/rows", place),
            key_parts=pack([], "early/blobs", place),
            blobs=0,
        )
    place.replace("early/backup.json", manifest.to_bytes())
    target = f"sqlite:///{tmp_path}/other.db"
    restored(tmp_path, str(tmp_path / "b"), target, name="early")
    with make_engine(target).connect() as connection:
        assert migrate.current(connection) == migrate.head()
        assert connection.execute(
            text("SELECT name, weights_gone_at FROM projects LEFT JOIN checkpoints ON 1=1")
        ).one() == ("a", None)
