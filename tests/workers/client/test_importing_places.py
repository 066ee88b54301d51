"""Data sets that are packed, or lie elsewhere, imported: unpacked or copied and removed, or left where they are."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.client import ApiError
from service.db import Database
from service.settings import Settings
from tests.workers.client.folders import CLASSES, SPLITS, folder, kept_labels, names
from tests.workers.client.test_importing_stacks import stack
from tests.workers.datasets.pictures import ids, picture, write
from workers.client import places
from workers.datasets.base import DatasetError

EXPECTED = {f"{number}.png": split for split, all_ in SPLITS.items() for number in all_}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; at the end none is left."""
    room = tmp_path / "temporary"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    yield room
    assert list(room.iterdir()) == []


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"reference_prefixes": ("memory://lab/", f"file://{tmp_path}/shared")})


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Callable[[Path, str], str]]:
    """A file system elsewhere: copies a file or folder there, and gives its URL."""
    files = fsspec.filesystem("memory")

    def put(path: Path, name: str) -> str:
        files.put(str(path), f"/lab/{name}", recursive=True)
        return f"memory://lab/{name}"

    yield put
    if files.exists("/lab"):
        files.rm("/lab", recursive=True)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
def test_an_archive_is_imported_as_the_folder_in_it(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, kind: str
) -> None:
    folder(tmp_path / "inner" / "membranes")
    archive = shutil.make_archive(str(tmp_path / "plates-7"), kind, tmp_path / "inner")
    run(Path(archive))
    (project,) = admin.get("/projects").json()["items"]
    assert project["name"] == "plates-7"
    assert names(admin) == EXPECTED


def test_an_archive_that_is_not_there_is_a_sentence(run: Callable[..., int | None], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no file .*none\.zip"):
        run(tmp_path / "none.zip")


def test_what_lies_elsewhere_is_copied_first(
    run: Callable[..., int | None],
    admin: TestClient,
    tmp_path: Path,
    lab: Callable[[Path, str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = folder(tmp_path / "cells")
    (root / "images" / ".hidden.png").write_bytes(b"no image")
    (root / "movie.mp4").write_bytes(b"not copied")
    url = lab(root, "cells")
    assert run(url) == 1
    assert admin.get("/projects").json()["items"][0]["name"] == "cells"
    assert names(admin) == EXPECTED
    assert "Copying memory://lab/cells: " in capsys.readouterr().err
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    assert run(lab(Path(archive), "packed.zip")) == 2
    assert names(admin, 2) == EXPECTED
    (root / "few.csv").write_text("image,label,split\nimages/0.png,labels/0.png,train\nimages/4.png,,pool\n")
    assert run(f"{lab(root, 'again')}/few.csv", anyway=True) == 3
    assert names(admin, 3) == {"images/0.png": "train", "images/4.png": "pool"}
    assert run(f"file://{root}", name="same") == 4


def test_what_cannot_be_read_is_named_where_it_lies_elsewhere_too(
    run: Callable[..., int | None], tmp_path: Path, lab: Callable[[Path, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "cells")
    (root / "images" / "6.heic").write_bytes(b"of a telephone")
    (root / "splits.json").write_text(json.dumps({**SPLITS, "pool": ["4", "5", "6"]}))
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(lab(root, "cells"))
    assert "pool/6.heic" in capsys.readouterr().out
    (root / "images" / "6.heic").unlink()
    (root / "splits.json").write_text(json.dumps(SPLITS))
    (root / "labels" / "3.png").rename(root / "labels" / "3.npz")
    with pytest.raises(DatasetError, match=r"3\.npz is no label map"):
        run(lab(root, "more"))


def test_what_is_no_picture_by_its_name_is_named_where_it_lies_elsewhere_too(
    run: Callable[..., int | None], tmp_path: Path, lab: Callable[[Path, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "cells")
    for place in ("images/scan", "images/film.mp4", "labels/0.geojson", "images/.hidden", "notes.docx"):
        (root / place).write_bytes(b"no picture")
    run(lab(root, "cells"), dry_run=True)
    told = " ".join(capsys.readouterr().out.split())
    assert "are left out: images/film.mp4 images/scan labels/0.geojson Regions" in told


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://lab/nothing", "no files of a data set under memory://lab/nothing"),
        ("memory://lab/nothing.zip", r"memory://lab/nothing\.zip cannot be read"),
        ("nosuch://lab/cells", "nosuch://lab/cells cannot be read: .*nosuch"),
    ],
)
def test_a_url_of_nothing_is_a_sentence(run: Callable[..., int | None], lab: Any, url: str, message: str) -> None:
    fsspec.filesystem("memory").pipe_file("/lab/x", b"")
    with pytest.raises(DatasetError, match=message):
        run(url)


def test_names_elsewhere_lead_nowhere_else(run: Callable[..., int | None], lab: Any) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/lab/bad/a.png", b"x")
    found = {"/lab/bad/../../out.png": {"size": 1, "type": "file"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(files), "find", lambda *_, **__: found)
        with pytest.raises(DatasetError, match="leads outside"):
            run("memory://lab/bad")


def test_what_does_not_fit_the_disk_is_not_copied(
    run: Callable[..., int | None], tmp_path: Path, lab: Callable[[Path, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "RESERVE", 1 << 60)
    with pytest.raises(DatasetError, match=r"there is room for 0 in .*: set TMPDIR"):
        run(lab(folder(tmp_path / "cells"), "cells"))


@pytest.mark.parametrize("where", ["memory", "file"])
def test_images_are_left_where_they_are_when_asked(
    run: Callable[..., int | None],
    admin: TestClient,
    database: Database,
    blobs: Blobs,
    tmp_path: Path,
    lab: Callable[[Path, str], str],
    where: str,
) -> None:
    root = folder(tmp_path / "shared" / "cells")
    url = f"file://{root}" if where == "file" else lab(root, "cells")
    assert run(url, reference=True) == 1
    assert names(admin) == EXPECTED
    assert not (tmp_path / "blobs" / "images").exists()
    for image in admin.get("/projects/1/images").json()["items"]:
        assert admin.get(image["url"]).content == (root / "images" / image["name"]).read_bytes()
        assert image["has_label_map"] == (image["split"] != "pool")
    assert (kept_labels(database, blobs, 1) == ids(0, [0, 1], 40, 40)).all()
    assert run(url, reference=True, into="cells") == 1


def test_pages_and_lists_are_left_where_they_are_too(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = tmp_path / "shared" / "set"
    stack(root / "raw" / "s.tif", [picture(page, 40, 40) for page in range(3)])
    stack(root / "gt" / "s.tif", [ids(page, [0, 1], 40, 40) for page in range(3)])
    write(root / "raw" / "p.png", picture(9, 40, 40))
    (root / "classes.json").write_text(json.dumps(CLASSES))
    (root / "list.csv").write_text("image,label,split\nraw/s.tif,gt/s.tif,train\nraw/p.png,,pool\n")
    assert run(f"file://{root}/list.csv", reference=True, pages="all", name="set") == 1
    images = admin.get("/projects/1/images").json()["items"]
    assert {each["name"]: each["reading"].get("page") for each in images} == {
        "raw/s/page-0001.tif": 0, "raw/s/page-0002.tif": 1, "raw/s/page-0003.tif": 2, "raw/p.png": None,
    }  # fmt: skip
    assert not (tmp_path / "blobs" / "images").exists()


def test_what_lies_at_no_url_cannot_be_referenced_and_nothing_is_sent(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = folder(tmp_path / "shared" / "cells")
    archive = shutil.make_archive(str(tmp_path / "shared" / "packed"), "zip", root)
    for place in (root, Path(archive), f"file://{archive}"):
        with pytest.raises(DatasetError, match="Only what lies at a URL can be referenced"):
            run(place, reference=True)
    with pytest.raises(DatasetError, match="Drawn images lie nowhere"):
        run(None, dataset="streets", reference=True, splits=("state",))
    assert admin.get("/projects").json()["items"] == []


def test_a_service_that_may_not_read_there_says_so(run: Callable[..., int | None], tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"is not below memory://lab/ or file://.*shared, where this service may read"):
        run(f"file://{folder(tmp_path / 'private')}", reference=True)
