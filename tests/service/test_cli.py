"""The command line: errors are sentences, tokens are shown once, the scripted annotator knows when to stop."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service import cli, server
from service.annotate import ScriptedAnnotator, TruthFolder
from service.client import ApiError, Client
from service.domain.masks import decode_png, encode_label_png
from tests.maker import Maker


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["regionwise", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.fixture
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    from service.settings import get_settings

    monkeypatch.setenv("REGIONWISE_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_a_taken_port_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_settings: None, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(monkeypatch, "demo", "--port", str(port)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: Port {port} of 127.0.0.1 cannot be used (Address already in use).")
    assert "Traceback" not in error
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_none_is_a_sentence() -> None:
    with pytest.raises(server.PortTaken, match="70000"):
        server.bind("127.0.0.1", 70000)


def test_migrate_and_user_add_print_what_they_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_settings: None
) -> None:
    assert run(monkeypatch, "migrate") == 0
    assert run(monkeypatch, "user", "add", "ada", "--role", "admin") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("rw_")
    assert run(monkeypatch, "user", "add", "ada") == 1
    assert "There is an annotator ada already" in capsys.readouterr().err


def test_a_worker_without_a_broker_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_settings: None
) -> None:
    assert run(monkeypatch, "worker") == 1
    assert "needs a broker" in capsys.readouterr().err


def test_a_server_that_is_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ApiError, match="does not answer"):
        Client(f"http://127.0.0.1:{port}", "rw_x", tries=2).call("GET", "/projects")


def test_an_oracle_folder_without_label_maps_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no PNG label maps"):
        TruthFolder(tmp_path)


REGION = {"x": 2, "y": 3, "width": 4, "height": 5}


def truth(folder: Path, *paths: str) -> np.ndarray:
    """Label maps that are all different."""
    label_map = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encode_label_png(label_map + np.uint8(number)))
    return label_map


def of(name: str, height: int = 12, width: int = 10) -> dict[str, object]:
    return {"name": name, "height": height, "width": width}


def test_the_truth_of_a_region_is_cut_from_the_images_label_map(tmp_path: Path) -> None:
    label_map = truth(tmp_path, "a.png")
    cut = TruthFolder(tmp_path).cut(of("street/a.jpg"), REGION)
    np.testing.assert_array_equal(decode_png(cut, max_pixels=100), label_map[3:8, 2:6])
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        TruthFolder(tmp_path).cut(of("b.png"), REGION)


def test_of_label_maps_of_one_name_each_image_has_its_own(tmp_path: Path) -> None:
    label_map = truth(tmp_path, "north/1.png", "south/1.PNG")
    for number, place in enumerate(("north", "south")):
        cut = TruthFolder(tmp_path).cut(of(f"{place}/1.jpg"), REGION)
        np.testing.assert_array_equal(decode_png(cut, max_pixels=100), label_map[3:8, 2:6] + number)
    with pytest.raises(FileNotFoundError, match=r"2 label maps 1\.png, and none at west/1\.png"):
        TruthFolder(tmp_path).cut(of("west/1.jpg"), REGION)


def test_a_label_map_of_another_size_is_not_cut(tmp_path: Path) -> None:
    truth(tmp_path, "a.png")
    with pytest.raises(ValueError, match=r"is 12 x 10 pixels .* 24 x 20"):
        TruthFolder(tmp_path).cut(of("a.png", 24, 20), REGION)


def test_settings_that_are_no_json_are_a_sentence_that_names_the_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_settings: None, tmp_path: Path
) -> None:
    given = ("folder", "--root", str(tmp_path), "--token", "rw_x", "--settings", "{budget: 3}")
    assert run(monkeypatch, "import", *given) == 1
    assert "Error: --settings takes JSON, such as" in capsys.readouterr().err


class AppClient(Client):
    """The client, over an application instead of a network."""

    def __init__(self, http: TestClient) -> None:
        self._http, self._tries = http, 1


def test_the_scripted_annotator_labels_until_nothing_is_left_or_its_limit(
    app: FastAPI, client: TestClient, make: Maker, tmp_path: Path
) -> None:
    project = make.project(lookahead=False)
    images = make.images(project, 2)
    make.round_(project, images, regions=6)
    for image in images:
        truth = np.full((image.height, image.width), 3, np.uint8)
        (tmp_path / image.name).write_bytes(encode_label_png(truth))
    annotator = ScriptedAnnotator(
        client=AppClient(client), truth=TruthFolder(tmp_path), project=project.id, at_once=4, limit=2
    )
    assert annotator.run() == 2
    annotator.limit = None
    assert annotator.run(wait=False) == 4
    regions = client.get(f"/projects/{project.id}").json()["regions"]
    assert regions["labelled"] == 6
