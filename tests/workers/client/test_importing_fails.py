"""Imports that fail: a dry run says so before, and no empty project is left behind."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.client import ApiError, Client
from tests.maker import Maker
from tests.service.test_cli import AppClient
from tests.workers.client.folders import SPLITS, folder, names
from tests.workers.datasets.pictures import ids, picture, write
from workers.client.importing import import_dataset
from workers.client.limits import limits_of
from workers.datasets.base import DatasetError

Run = Callable[..., int | None]
BOTH = pytest.mark.parametrize("dry_run", [True, False])


def projects(admin: TestClient) -> list[str]:
    return [each["name"] for each in admin.get("/projects").json()["items"]]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def failing_at(monkeypatch: pytest.MonkeyPatch, upload: int, error: BaseException) -> None:
    """The so many-th upload of images fails."""
    call, calls = AppClient.call, 0

    def failing(self: AppClient, method: str, path: str, **request: Any) -> Any:
        nonlocal calls
        calls += method == "POST" and path.endswith("/images")
        if method == "POST" and path.endswith("/images") and calls == upload:
            raise error
        return call(self, method, path, **request)

    monkeypatch.setattr(AppClient, "call", failing)


@pytest.mark.parametrize("error", [ApiError(507, "disk_full", "full"), KeyboardInterrupt()])
def test_a_project_of_which_nothing_was_taken_is_not_left_behind(
    run: Run,
    admin: TestClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    failing_at(monkeypatch, 1, error)
    with pytest.raises(type(error)):
        run(folder(tmp_path / "cells"))
    assert projects(admin) == []
    assert "No image of it was taken, and the project 'cells' is not kept." in said(capsys)
    assert run(tmp_path / "cells") == 2


def test_one_that_has_images_stays_and_it_is_said_how_to_go_on(
    run: Run, admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_at(monkeypatch, 2, ApiError(507, "disk_full", "full"))
    with pytest.raises(ApiError):
        run(folder(tmp_path / "cells"))
    assert len(names(admin)) == 2
    assert "is there, number 1: the same command goes on with --into 'cells'." in said(capsys)


def test_a_project_that_was_there_before_stays_whatever_fails(
    run: Run, admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "cells")
    run(root)
    for image in admin.get("/projects/1/images").json()["items"]:
        admin.delete(f"/images/{image['id']}", params={"confirm": image["name"]})
    failing_at(monkeypatch, 1, ApiError(507, "disk_full", "full"))
    with pytest.raises(ApiError):
        run(root, into="cells")
    assert projects(admin) == ["cells"]


@BOTH
def test_settings_and_names_that_no_project_has(run: Run, admin: TestClient, tmp_path: Path, dry_run: bool) -> None:
    with pytest.raises((DatasetError, ApiError), match=r"settings\.budgett"):
        run(folder(tmp_path / "cells"), settings={"budgett": 3}, dry_run=dry_run)
    with pytest.raises((DatasetError, ApiError), match="name: "):
        run(tmp_path / "cells", name="n" * 500, dry_run=dry_run)
    assert projects(admin) == []


@BOTH
def test_a_name_that_is_taken(run: Run, tmp_path: Path, dry_run: bool) -> None:
    run(folder(tmp_path / "cells"))
    with pytest.raises(DatasetError, match="There is a project 'cells' already"):
        run(tmp_path / "cells", dry_run=dry_run)


@BOTH
def test_a_caller_who_may_not(app: FastAPI, make: Maker, run: Run, tmp_path: Path, dry_run: bool) -> None:
    run(folder(tmp_path / "cells"))
    token = make.annotator("annotator", "ada")
    client = AppClient(TestClient(app, headers={"Authorization": f"Bearer {token}"}))
    given = {"dataset": "folder", "root": tmp_path / "cells", "dry_run": dry_run}
    with pytest.raises(DatasetError, match="that of ada, and it takes an admin to make a project"):
        import_dataset(client, **given, name="mine")


@BOTH
def test_files_that_the_project_has_otherwise(
    run: Run, tmp_path: Path, dry_run: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "cells")
    (root / "labels" / "0.png").unlink()
    run(root)
    write(root / "labels" / "0.png", ids(0, [0, 1], 40, 40))
    write(root / "images" / "4.png", picture(44, 40, 40))
    with pytest.raises(DatasetError, match="2 files cannot be taken"):
        run(root, into="cells", dry_run=dry_run)
    told = said(capsys)
    assert "pool/4.png: The project has another picture of this name: rename the file" in told
    assert "train/0.png: The project has it without a label map" in told


def test_a_dry_run_goes_on_without_a_service_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}", "", tries=1)
    given = {"dataset": "folder", "root": folder(tmp_path / "cells")}
    assert import_dataset(client, **given, dry_run=True) is None
    told = said(capsys)
    assert "The service was not asked what it has, and what it takes: http://127.0.0.1" in told
    assert "Project cells: 6 images" in told
    with pytest.raises(ApiError, match="does not answer"):
        import_dataset(client, **given)


def test_a_dry_run_goes_on_without_a_token(app: FastAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "cells")
    (root / "splits.json").write_text(json.dumps(SPLITS))
    assert import_dataset(AppClient(TestClient(app)), dataset="folder", root=root, dry_run=True) is None
    assert "The service was not asked what it has" in said(capsys)


@BOTH
def test_what_is_larger_than_this_service_takes(
    run: Run, admin: TestClient, tmp_path: Path, dry_run: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is set to 2,000,000 bytes, 1,000,000 pixels and requests of 4,000,000 bytes."""
    root = folder(tmp_path / "cells")
    write(root / "images" / "4.png", picture(4, 1000, 700))  # of noise, which is not packed
    write(root / "images" / "5.png", np.zeros((1000, 1001, 3), np.uint8))
    with pytest.raises(DatasetError, match="2 files cannot be taken"):
        run(root, dry_run=dry_run)
    told = said(capsys)
    assert re.search(r"pool/4\.png: 4\.png holds 2,1\d\d,\d{3} bytes; the service takes 2,000,000\.", told)
    assert "pool/5.png: It is 1000 high and 1001 wide; 1,000,000 pixels is the limit." in told
    assert projects(admin) == []


def test_requests_hold_what_this_service_takes_at_once(run: Run, admin: TestClient, tmp_path: Path) -> None:
    root = folder(tmp_path / "cells")
    for number in range(4, 9):
        write(root / "images" / f"{number}.png", picture(number, 500, 800))  # 1.2 MB each
    (root / "splits.json").write_text(json.dumps({**SPLITS, "pool": ["4", "5", "6", "7", "8"]}))
    run(root)
    assert len(names(admin)) == 9


def test_a_service_of_a_release_that_does_not_say_takes_what_is_not_set_otherwise() -> None:
    class Before(Client):
        def call(self, method: str, path: str, **request: Any) -> Any:
            raise ApiError(404, "not_found", f"There is nothing at {path}.")

    limits = limits_of(Before("http://127.0.0.1:1", ""))
    assert (limits.image_bytes, limits.image_pixels, limits.request_bytes) == (64 << 20, 64_000_000, 512 << 20)
    assert not limits.said
