"""Blobs in S3: what other processes do there is seen at once, what is away is said, and files may be read from there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import fsspec
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.backup import Backup, Restore
from service.blobs import Blobs
from service.db import Database
from service.far import BlobsAway
from service.keeping import Keeper
from service.removal import remove_due
from service.settings import Settings
from service.store.removals import GRACE
from service.tables import Label
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.s3 import others_client
from workers.client.sending import encode_rgb

PNG = encode_rgb(np.zeros((16, 16, 3), np.uint8))


@pytest.fixture
def blobs(s3_url: str) -> Blobs:
    """Instead of a folder."""
    return Blobs(s3_url)


@pytest.fixture
def annotated(admin: TestClient, client: TestClient, make: Maker) -> str:
    """The address of an image that came over the API, with a label map, and of which an annotator was given nothing."""
    project = make.project()
    sent = admin.post(
        f"/projects/{project.id}/images",
        files=[("image", ("a.png", PNG)), ("label_map", ("a.png", make.mask_png(16, 16)))],
        data={"split": "train"},
    )
    assert sent.status_code == 201, sent.text
    return f"/images/{sent.json()['items'][0]['image']['id']}/file"


def place(url: str, key: str) -> dict[str, str]:
    bucket, _, folder = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": f"{folder}/{key}"}


def test_what_another_process_writes_and_removes_is_seen_at_once(s3_url: str, blobs: Blobs) -> None:
    blobs.put("images/aa/one", b"one")
    assert [each.key for each in blobs.found()] == ["images/aa/one"]
    others_client().put_object(**place(s3_url, "images/aa/two"), Body=b"two")
    assert blobs.exists("images/aa/two")
    assert blobs.size("images/aa/two") == 3
    assert sorted(each.key for each in blobs.found()) == ["images/aa/one", "images/aa/two"]
    others_client().delete_object(**place(s3_url, "images/aa/one"))
    assert not blobs.exists("images/aa/one")
    blobs.put("images/aa/one", b"one")
    assert others_client().get_object(**place(s3_url, "images/aa/one"))["Body"].read() == b"one"


def test_a_folder_is_removed_whole_and_its_neighbours_stay(blobs: Blobs) -> None:
    for key in ("jobs/1/a", "jobs/1/b/c", "jobs/12/a"):
        blobs.put(key, b"x")
    blobs.delete_under("jobs/1")
    blobs.delete_under("jobs/1")
    assert [each.key for each in blobs.found()] == ["jobs/12/a"]


def test_a_store_that_is_away_is_said_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, s3_url: str, app: FastAPI, admin: TestClient, make: Maker
) -> None:
    project = make.project()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = app.state.blobs = Blobs(f"{s3_url}/away")
    with pytest.raises(BlobsAway):
        away.get("images/aa/one")
    answer = admin.post(f"/projects/{project.id}/images", files=[("image", ("a.png", PNG))], data={"split": "pool"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
    assert admin.get(f"/projects/{project.id}/images").json()["items"] == []
    ready = admin.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["blobs"]) == (503, "It does not answer.")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_bucket_that_is_not_there_is_named(s3_server: str, app: FastAPI, stranger: TestClient) -> None:
    app.state.blobs = Blobs("s3://nobody-made-this/blobs")
    ready = stranger.get("/readyz")
    assert ready.status_code == 503
    assert "nobody-made-this" in ready.json()["checks"]["blobs"]


def test_a_file_is_sent_through_the_api_unless_a_setting_says_otherwise(admin: TestClient, annotated: str) -> None:
    answer = admin.get(annotated, follow_redirects=False)
    assert (answer.status_code, answer.content) == (200, PNG)


def test_a_file_is_read_from_s3_by_whoever_may_see_it(
    app: FastAPI, settings: Settings, admin: TestClient, annotated: str
) -> None:
    app.state.settings = settings.model_copy(update={"signed_seconds": 60})
    answer = admin.get(annotated, follow_redirects=False)
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (307, b"", "no-store")
    where = answer.headers["location"]
    assert parse_qs(urlsplit(where).query)["X-Amz-Expires"] == ["60"]
    read = httpx.get(where)
    assert (read.status_code, read.content, read.headers["content-type"]) == (200, PNG, "image/png")
    by_head = admin.head(annotated, follow_redirects=False)
    assert by_head.status_code == 307
    assert httpx.head(by_head.headers["location"]).headers["content-length"] == str(len(PNG))
    # S3 takes a signature for one method alone.
    signature = [parse_qs(urlsplit(each).query)["X-Amz-Signature"] for each in (where, by_head.headers["location"])]
    assert signature[0] != signature[1]


def test_who_has_the_file_already_is_not_sent_anywhere(
    app: FastAPI, settings: Settings, admin: TestClient, annotated: str
) -> None:
    tag = admin.get(annotated).headers["etag"]
    app.state.settings = settings.model_copy(update={"signed_seconds": 60})
    assert admin.get(annotated, headers={"If-None-Match": tag}, follow_redirects=False).status_code == 304


def test_nobody_is_given_an_address_of_what_they_may_not_see(
    app: FastAPI, settings: Settings, client: TestClient, stranger: TestClient, annotated: str
) -> None:
    app.state.settings = settings.model_copy(update={"signed_seconds": 60})
    for caller, status in ((client, 403), (stranger, 401)):
        for method in ("GET", "HEAD"):
            answer = caller.request(method, annotated, follow_redirects=False)
            assert (answer.status_code, "location" in answer.headers) == (status, False)


def test_bytes_that_no_row_names_go_and_others_stay(
    database: Database, blobs: Blobs, settings: Settings, annotated: str, admin: TestClient
) -> None:
    blobs.put_content("images", b"an upload that was refused", ".png")
    before = {each.key for each in blobs.found()}
    clock = FakeClock(datetime.now(UTC))
    keeper = Keeper(database=database, blobs=blobs, settings=settings, clock=clock)
    for hours in (1, settings.stray_hours + 1):
        clock.now = datetime.now(UTC) + timedelta(hours=hours)
        list(keeper.pieces())
        remove_due(database, blobs, clock() + 2 * GRACE)
        gone = before - {each.key for each in blobs.found()}
        assert len(gone) == (hours > settings.stray_hours)
    assert admin.get(annotated).content == PNG


def test_a_backup_goes_from_s3_to_s3_and_back(
    database: Database, blobs: Blobs, annotated: str, tmp_path: Path, s3_url: str, clock: FakeClock
) -> None:
    made = Backup(database=database, blobs=blobs, to=f"{s3_url}-backup", clock=clock).run()
    assert made.manifest.missing == []
    assert made.copied == made.manifest.blobs == 2
    again = Backup(
        database=database, blobs=blobs, to=f"{s3_url}-backup", clock=lambda: clock() + timedelta(hours=1)
    ).run()
    assert again.copied == 0
    back, url = Blobs(f"{s3_url}-restored"), f"sqlite:///{tmp_path}/restored.db"
    Restore(source=f"{s3_url}-backup", url=url, blobs=back).run()
    assert {each.key for each in back.found()} == {each.key for each in blobs.found()}
    restored = Database(url)
    with restored.read() as session:
        assert session.query(Label).count() == 0
    restored.engine.dispose()


def test_a_url_that_nothing_installed_knows_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("service.far.url_to_fs", missing)
    with pytest.raises(ValueError, match=r"regionwise\[s3\]"):
        Blobs("s3://bucket/blobs")
