"""`regionwise export`: what it asks for, what it writes, and what it says when it cannot."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from service.client import ApiError, Client
from service.commands import connection
from tests.maker import Maker
from tests.service.labelled import make_labelled
from tests.service.test_cli import AppClient, run


@pytest.fixture
def connected(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command talks to the application."""
    monkeypatch.setenv("REGIONWISE_TOKEN", "rw_x")
    monkeypatch.setattr(connection, "Client", lambda server, token, tries, timeout: AppClient(admin))


@pytest.mark.usefixtures("connected")
def test_the_command_writes_the_zip_that_it_is_asked_for(
    admin: TestClient, make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_labelled(make, admin)
    to = tmp_path / "mine.zip"
    options = ("--format", "coco-panoptic", "--images", "--only", "complete", "--predictions")
    assert run(monkeypatch, "export", str(world.project.id), "--to", str(to), *options) == 0
    said = capsys.readouterr()
    assert f"{to.stat().st_size:,} bytes" in said.out
    assert said.err.startswith("Exporting: 0 MB, in ")
    manifest = json.loads(zipfile.ZipFile(to).read("manifest.json"))
    assert (manifest["format"], manifest["only"]) == ("coco-panoptic", "complete")
    (image,) = manifest["images"]
    assert (image["file"], image["predicted"]) == ("images/a.png", [])
    assert list(tmp_path.glob(".mine*")) == []


@pytest.mark.usefixtures("connected")
def test_an_unknown_format_is_refused_before_anything_is_written(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "mine.zip"
    assert run(monkeypatch, "export", str(make.project().id), "--to", str(to), "--format", "yolo") == 2
    assert "'yolo' is not one of" in capsys.readouterr().err
    assert not to.exists()


@pytest.mark.usefixtures("connected")
def test_a_refusal_of_the_service_is_a_sentence_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "mine.zip"
    to.write_bytes(b"older")
    assert run(monkeypatch, "export", "99", "--to", str(to)) == 1
    assert "There is no project 99" in capsys.readouterr().err
    assert to.read_bytes() == b"older"
    assert list(tmp_path.glob(".mine*")) == []


def test_what_is_no_file_in_a_folder_that_is_there_is_said_before_anything_is_asked_for(tmp_path: Path) -> None:
    client = Client("http://127.0.0.1:1", "rw_x", tries=1)
    with pytest.raises(ValueError, match=r"is a folder: name the file to write in it, such as .*/export\.zip\."):
        client.download("/projects/1/export", tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder .*/exports to write mine\.zip to"):
        client.download("/projects/1/export", tmp_path / "exports" / "mine.zip")


class BrokenOff(httpx.SyncByteStream):
    """The start of a response, and then nothing."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"PK"
        raise httpx.RemoteProtocolError("peer closed connection")


def test_a_download_that_breaks_off_is_a_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    to = tmp_path / "mine.zip"
    to.write_bytes(b"older")
    client = Client("http://127.0.0.1:1", "rw_x", tries=2)
    client._http = httpx.Client(
        base_url="http://127.0.0.1:1",
        transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=BrokenOff())),
    )
    with pytest.raises(ApiError, match="broke off after 2 bytes"):
        client.download("/projects/1/export", to)
    assert to.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [to]
