"""A full disk, and bytes that are gone: said in a sentence, nothing kept by half, and all goes on once there is room."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from service import blobs as blob_module
from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.disks import is_full
from service.logs import JsonLine
from service.settings import Settings
from service.store import projects
from service.tables import Image, Label
from tests.conftest import FakeClock
from tests.maker import Maker


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "none", folder], check=False).returncode:
        pytest.skip("No disk can be mounted here.")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Write until nothing more fits."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return filler


def said(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def rows(database: Database, table: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def upload(client: TestClient, data: bytes, name: str = "a.png") -> Any:
    return client.post("/projects/1/images", files=[("image", (name, data))], data={"split": "pool"})


def test_sqlite_on_a_full_disk_goes_on_reading_and_writes_again_once_there_is_room(
    small_disk: Path, sqlite_template: Path, tmp_path: Path, clock: FakeClock
) -> None:
    shutil.copy(sqlite_template, small_disk / "test.db")
    database, blobs = Database(f"sqlite:///{small_disk}/test.db"), Blobs((tmp_path / "blobs").as_uri())
    make = Maker(database, blobs, clock)
    app = create_app(Settings(data_dir=tmp_path), database=database, blobs=blobs, clock=clock)
    headers = {"Authorization": f"Bearer {make.annotator('admin')}"}
    client = TestClient(app, headers=headers, raise_server_exceptions=False)
    project = make.project("before", batch_size=2)
    make.round_(project, make.images(project, 1), regions=2)
    (item,) = client.get("/next-regions").json()["items"]

    def label() -> Any:
        form = {"region_id": "1", "lease_token": item["lease_token"]}
        return client.post("/labels", data=form, files={"mask": ("m.png", make.mask_png(), "image/png")})

    filler = fill(small_disk)
    body = {"classes": "camvid"}
    for number in range(3):
        response = client.post("/projects", json={"name": f"during {number}", **body})
        assert said(response) == (507, "disk_full")
        assert "make room" in response.json()["error"]["message"]
        assert [each["name"] for each in client.get("/projects").json()["items"]] == ["before"]
        assert said(label()) == (507, "disk_full")
        assert client.get("/regions/1/label").status_code == 404
        assert client.get("/regions/1/crop").status_code == 200
    assert rows(database, Label) == 0
    filler.unlink()
    assert label().status_code == 201
    assert client.get("/regions/1/label").status_code == 200
    assert client.post("/projects", json={"name": "after", **body}).status_code == 201
    assert [each["name"] for each in client.get("/projects").json()["items"]] == ["before", "after"]
    database.engine.dispose()


def test_an_upload_to_a_full_disk_leaves_no_row_and_no_half_a_file(
    small_disk: Path, database: Database, tmp_path: Path, clock: FakeClock
) -> None:
    blobs = Blobs((small_disk / "blobs").as_uri())
    make = Maker(database, blobs, clock)
    client = TestClient(
        create_app(Settings(data_dir=tmp_path), database=database, blobs=blobs, clock=clock),
        headers={"Authorization": f"Bearer {make.annotator('admin')}"},
        raise_server_exceptions=False,
    )
    make.project()
    filler = fill(small_disk)
    picture = make.picture(300, 300)
    assert said(upload(client, picture)) == (507, "disk_full")
    assert rows(database, Image) == 0
    assert [each for each in (small_disk / "blobs").rglob("*") if each.is_file()] == []
    filler.unlink()
    assert upload(client, picture).status_code == 201
    assert client.get("/images/1/file").content == picture


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_of_several_images_none_is_kept_where_the_disk_fills_up_on_the_way(
    admin: TestClient, make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make.project()
    written: list[Path] = []

    def write(path: Path, data: bytes) -> None:
        if written:
            raise OSError(number, "no room")
        written.append(path)
        original(path, data)

    original = blob_module._write_durably
    monkeypatch.setattr(blob_module, "_write_durably", write)
    files = [("image", (f"{seed}.png", make.picture(40, 40, seed=seed))) for seed in range(3)]
    response = admin.post("/projects/1/images", files=files, data={"split": "pool"})
    assert said(response) == (507, "disk_full")
    assert (len(written), rows(database, Image)) == (1, 0)


def test_a_body_that_no_temporary_file_has_room_for_is_no_fault_of_the_caller(
    admin: TestClient, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.project()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("starlette.datastructures.UploadFile.write", full)
    assert said(upload(admin, make.picture(40, 40))) == (507, "disk_full")


def test_postgresql_says_that_its_disk_is_full(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file"))

    monkeypatch.setattr(projects, "add_project", full)
    assert said(admin.post("/projects", json={"name": "x", "classes": "camvid"})) == (507, "disk_full")


def test_files_that_cannot_be_read_for_another_reason_are_503(
    admin: TestClient, make: Maker, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    make.project()

    def forbidden(path: Path, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "secret place")

    monkeypatch.setattr(blob_module, "_write_durably", forbidden)
    response = upload(admin, make.picture(40, 40))
    assert said(response) == (503, "storage_unavailable")
    assert "secret" not in response.text
    assert rows(database, Image) == 0


@pytest.mark.parametrize(
    "path", ["/images/{image}/file", "/images/{image}/seen", "/regions/1/crop", "/regions/1/context"]
)
def test_an_image_whose_bytes_are_gone_is_named(admin: TestClient, make: Maker, blobs: Blobs, path: str) -> None:
    project = make.project()
    (image,) = make.images(project, 1)
    make.round_(project, [image], regions=1)
    blobs.delete(image.blob_key)
    response = admin.get(path.format(image=image.id))
    assert said(response) == (503, "blob_missing")
    error = response.json()["error"]
    assert image.name in error["message"]
    assert error["detail"] == {"image_id": image.id, "name": image.name, "key": image.blob_key}


def test_weights_that_are_gone_are_503(admin: TestClient, make: Maker, blobs: Blobs) -> None:
    checkpoint = make.checkpoint(make.project())
    blobs.delete(checkpoint.blob_key)
    response = admin.get(f"/checkpoints/{checkpoint.id}/file")
    assert said(response) == (503, "blob_missing")
    assert checkpoint.blob_key in response.json()["error"]["message"]


def test_what_is_full_is_found_behind_other_errors() -> None:
    inner = OSError(errno.ENOSPC, "no room")
    outer = ValueError("something else")
    outer.__cause__ = inner
    inner.__context__ = outer  # a ring must not keep anybody busy
    assert is_full(outer)
    assert not is_full(OSError(errno.EIO, "broken"))
    assert not is_full(ValueError("fine"))


def test_an_export_that_breaks_off_at_an_image_whose_bytes_are_gone_names_it_in_the_log(
    admin: TestClient, make: Maker, blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    project = make.project()
    (image,) = make.images(project, 1)
    make.round_(project, [image], regions=1, prediction=True)
    blobs.delete(image.blob_key)
    admin.get("/projects/1/export", params={"images": True, "predictions": True, "format": "png"})
    (record,) = [each for each in caplog.records if each.name == "service.access_log"]
    assert record.getMessage() == "GET /projects/1/export broke off"
    assert f"The bytes of the image {image.name} (image {image.id})" in JsonLine().format(record)
