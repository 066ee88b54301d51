"""Images that stay where they are: only where the operator lets them, checked as uploads are, and never silently other ones."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image as Picture
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.removal import remove_due
from service.settings import Settings
from service.store import images as store
from service.tables import Project
from tests.conftest import START
from tests.maker import Maker

FORM = {"split": "pool"}

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


@pytest.fixture
def lab() -> Iterator[Callable[[str, bytes], str]]:
    """A file system elsewhere: puts a file there, and gives its URL."""
    files = fsspec.filesystem("memory")

    def put(path: str, data: bytes) -> str:
        files.pipe_file(f"/lab/{path}", data)
        return f"memory://lab/{path}"

    yield put
    files.rm("/lab", recursive=True)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    allowed = ("memory://lab", f"file://{tmp_path}/shared/")
    return settings.model_copy(update={"reference_prefixes": allowed})


@pytest.fixture(autouse=True)
def project(make: Maker) -> None:
    make.project()


def refer(client: TestClient, *images: tuple[str, str], labels: tuple[tuple[str, bytes], ...] = (), **form: Any) -> Any:
    names, urls = [name for name, _ in images], [url for _, url in images]
    files = [("label_map", each) for each in labels]
    return client.post("/projects/1/images/references", data={**FORM, "name": names, "url": urls, **form}, files=files)


def test_an_image_is_read_from_where_it_is(
    admin: TestClient, client: TestClient, make: Maker, lab: Callable[[str, bytes], str], database: Database
) -> None:
    data = make.picture(60, 50, format="JPEG")
    url = lab("a/0001.jpg", data)
    response = refer(admin, ("a/0001.jpg", url), labels=(("a/0001.png", make.mask_png(60, 50, 4)),), split="train")
    assert response.status_code == 201, response.text
    image = response.json()["items"][0]["image"]
    assert (image["name"], image["sha256"], image["has_label_map"]) == (
        "a/0001.jpg",
        hashlib.sha256(data).hexdigest(),
        True,
    )
    assert client.get(image["url"]).content == data
    assert client.get(f"/images/{image['id']}/seen").content == data
    with database.read() as session:
        assert store.get_image(session, 1).blob_key == f"{url}#{image['sha256']}"
    assert refer(admin, ("a/0001.jpg", url), split="train").status_code == 200


def test_nothing_of_the_bytes_is_kept(admin: TestClient, make: Maker, lab: Any, tmp_path: Path) -> None:
    assert refer(admin, ("a.png", lab("a.png", make.picture(60, 50)))).status_code == 201
    assert not (tmp_path / "blobs").exists()


def test_pages_and_deep_pixels_are_read_as_is_said(admin: TestClient, lab: Any) -> None:
    pages = [Picture.fromarray(np.full((40, 40), value, np.uint8)) for value in (10, 200)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    url = lab("stack.tif", buffer.getvalue())
    assert refer(admin, ("stack.tif", url)).json()["error"]["code"] == "several_pages"
    image = refer(admin, ("stack/page-0002.tif", url), page="1").json()["items"][0]["image"]
    with Picture.open(io.BytesIO(admin.get(f"/images/{image['id']}/seen").content)) as seen:
        assert seen.getextrema() == (200, 200)


def test_a_file_that_was_changed_or_lost_is_an_error_where_it_is_read(admin: TestClient, make: Maker, lab: Any) -> None:
    url = lab("a.png", make.picture(60, 50, seed=1))
    refer(admin, ("a.png", url))
    lab("a.png", make.picture(60, 50, seed=2))
    for path in ("/images/1/file", "/images/1/seen"):
        response = admin.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "reference_changed")
        assert response.json()["error"]["message"].startswith(
            "The file a.png, which stays elsewhere, is another one than"
        )
        assert url not in response.text  # annotators are not told where a lab keeps its files
    fsspec.filesystem("memory").rm("/lab/a.png")
    lab("other.png", b"")
    response = admin.get("/images/1/file")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "reference_lost")
    assert "a.png, which cannot be read now" in response.json()["error"]["message"]


def test_crops_and_exports_read_it_too(admin: TestClient, make: Maker, lab: Any, database: Database) -> None:
    data = make.picture(120, 120)
    refer(admin, ("ä.png", lab("ä.png", data)))
    with database.read() as session:
        image, project = store.get_image(session, 1), session.get_one(Project, 1)
    (region,) = make.round_(project, [image], regions=1, prediction=True)
    crop = admin.get(f"/regions/{region.id}/crop")
    assert crop.status_code == 200
    with Picture.open(io.BytesIO(data)) as whole, Picture.open(io.BytesIO(crop.content)) as part:
        box = (region.col, region.row, region.col + region.width, region.row + region.height)
        np.testing.assert_array_equal(np.asarray(part), np.asarray(whole.crop(box).convert("RGB")))
    response = admin.get("/projects/1/export", params={"format": "png", "images": True, "predictions": True})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.read("images/ä.png") == data


@pytest.mark.parametrize(
    "url",
    [
        "memory://labs/a.png",
        "memory://lab",
        "memory://lab/",
        "memory://lab/../secret/a.png",
        "memory://lab/./a.png",
        "memory://lab//a.png",
        "memory://lab/%2e%2e/a.png",
        "memory://lab\\..\\a.png",
        "memory://lab/a\n.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "simplecache::memory://lab/a.png",
        "zip://a.png::memory://lab/a.zip",
        "memory://lab/x::file:///etc/passwd",
        "http://127.0.0.1/lab/a.png",
    ],
)
def test_what_is_not_below_an_allowed_prefix_is_refused(admin: TestClient, make: Maker, lab: Any, url: str) -> None:
    good = lab("a.png", make.picture(60, 50))
    response = refer(admin, ("good.png", good), ("bad.png", url))
    assert (response.status_code, response.json()["error"]["code"]) == (422, "reference_not_allowed")
    assert admin.get("/projects/1/images").json()["items"] == []


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (None, 422, "reference_unreadable"),
        (b"no image", 422, "not_an_image"),
        (b"x" * 2_000_001, 413, "too_large"),
        (Maker.picture(60, 50, mode="I;16"), 422, "needs_scale"),
    ],
)
def test_what_is_no_fitting_image_is_refused_and_nothing_is_added(
    admin: TestClient, make: Maker, lab: Any, data: bytes | None, status: int, code: str
) -> None:
    good = lab("a.png", make.picture(60, 50))
    bad = "memory://lab/bad.png" if data is None else lab("bad.png", data)
    response = refer(admin, ("good.png", good), ("bad.png", bad))
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "bad.png" in response.json()["error"]["message"]
    assert admin.get("/projects/1/images").json()["items"] == []


def test_forms_that_do_not_fit_are_422_and_others_may_not(
    admin: TestClient, client: TestClient, make: Maker, lab: Any
) -> None:
    url = lab("a.png", make.picture(60, 50))
    path = "/projects/1/images/references"
    for form in (
        {**FORM, "name": ["a.png", "b.png"], "url": [url]},
        {**FORM, "name": ["a.png"]},
        {**FORM, "name": ["../a.png"], "url": [url]},
        {**FORM, "name": ["a.png"], "url": [url + "x" * 190]},
        {**FORM, "name": ["a.png"] * 65, "url": [url] * 65},
        {**FORM, "name": ["a.png"] * 2, "url": [url] * 2},
        {"split": "attic", "name": ["a.png"], "url": [url]},
    ):
        assert admin.post(path, data=form).status_code == 422, form
    form = {**FORM, "name": ["a.png"], "url": [url]}
    assert client.post(path, data=form).status_code == 403
    assert admin.post(path.replace("1", "9"), data=form).status_code == 404


def test_a_folder_and_what_never_ends_are_no_files(admin: TestClient, tmp_path: Path) -> None:
    (tmp_path / "shared" / "inner").mkdir(parents=True)
    (tmp_path / "shared" / "zero").symlink_to("/dev/zero")
    for name in ("inner", "zero"):
        response = refer(admin, ("a.png", f"file://{tmp_path}/shared/{name}"))
        assert (response.status_code, response.json()["error"]["code"]) == (422, "reference_unreadable")


def test_a_service_takes_none_unless_it_is_told_so(make: Maker, database: Database, blobs: Blobs, lab: Any) -> None:
    app = create_app(Settings(), database=database, blobs=blobs)
    admin = TestClient(app, headers={"Authorization": f"Bearer {make.annotator('admin', 'chief')}"})
    response = refer(admin, ("a.png", lab("a.png", make.picture(60, 50))))
    assert (response.status_code, response.json()["error"]["code"]) == (422, "reference_not_allowed")
    assert "takes no references" in response.json()["error"]["message"]


@pytest.mark.parametrize("prefix", ["/data", "s3://", "bucket"])
def test_a_prefix_that_is_none_is_a_mistake_of_the_settings(prefix: str) -> None:
    with pytest.raises(ValidationError, match="no URL with a bucket or folder in it"):
        Settings(reference_prefixes=(prefix,))


def test_to_delete_an_image_leaves_its_file_where_it_is(
    admin: TestClient, make: Maker, lab: Any, database: Database, blobs: Blobs
) -> None:
    data = make.picture(60, 50)
    url = lab("a.png", data)
    refer(admin, ("a.png", url))
    assert admin.delete("/images/1", params={"confirm": "a.png"}).status_code == 200
    assert remove_due(database, blobs, START + timedelta(days=365)) > 0
    assert fsspec.filesystem("memory").cat("/lab/a.png") == data
    assert refer(admin, ("a.png", url)).status_code == 201


@pytest.mark.parametrize("how", ["reference", "upload"])
def test_what_encoders_saw_of_a_deleted_image_goes_too_unless_it_is_somebody_elses(
    how: str, admin: TestClient, make: Maker, lab: Any, database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    other, digests = make.project("other"), []
    for name, seed, projects in (("a.png", 1, (1,)), ("shared.png", 2, (1, other.id))):
        data = make.picture(60, 50, seed=seed)
        digests.append(hashlib.sha256(data).hexdigest())
        url = lab(name, data)
        for project in projects:
            if how == "upload":
                form = {"data": FORM, "files": {"image": (name, data)}}
                assert admin.post(f"/projects/{project}/images", **form).status_code == 201
            else:
                form = {"data": {**FORM, "name": [name], "url": [url]}}
                assert admin.post(f"/projects/{project}/images/references", **form).status_code == 201
    kept = [tmp_path / "features" / sight / each[:2] / f"{each}.npy" for each in digests for sight in ("eye", "other")]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"seen")
    for number, name in ((1, "a.png"), (2, "shared.png")):
        assert admin.delete(f"/images/{number}", params={"confirm": name}).status_code == 200
    assert remove_due(database, blobs, START + timedelta(days=1), tmp_path / "features") == 2
    assert [path.exists() for path in kept] == [False, False, True, True]
