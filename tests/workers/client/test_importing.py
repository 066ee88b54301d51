"""Folders as labs have them, imported through the API: the right pixels, ids and names, or a sentence and nothing sent."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.client import ApiError
from service.db import Database
from service.domain.classes import CAMVID
from tests.maker import Maker
from tests.service.test_cli import AppClient
from tests.workers.client.folders import CLASSES, SPLITS, folder, kept_labels, names
from tests.workers.datasets.pictures import ids, picture, write
from workers.client.importing import complete_project
from workers.datasets.base import DatasetError


def test_what_is_kept_is_what_is_there(
    run: Callable[..., int | None], admin: TestClient, database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    root = folder(tmp_path / "membranes")
    assert run(root) == 1
    (project,) = admin.get("/projects").json()["items"]
    assert project["name"] == "membranes"
    assert names(admin) == {f"{number}.png": split for split, all_ in SPLITS.items() for number in all_}
    for image in admin.get("/projects/1/images").json()["items"]:
        data = (root / "images" / image["name"]).read_bytes()
        assert image["sha256"] == hashlib.sha256(data).hexdigest()
        assert admin.get(image["url"]).content == data
        assert image["has_label_map"] == (image["split"] != "pool")
        if image["has_label_map"]:
            number = int(image["name"][0])
            np.testing.assert_array_equal(kept_labels(database, blobs, image["id"]), ids(number, [0, 1], 40, 40))


def test_regions_suit_the_images_unless_they_are_said(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "membranes")
    run(root, dry_run=True)
    assert "Regions of 10 x 10 pixels, as suits the images;" in capsys.readouterr().out
    run(root)
    run(root, name="said", settings={"cell_height": 20})
    cells = [each["settings"] for each in admin.get("/projects").json()["items"]]
    assert [(each["cell_height"], each["cell_width"]) for each in cells] == [(10, 10), (20, 80)]


def test_classes_are_the_folders_own_though_their_names_are_a_presets(
    run: Callable[..., int | None], admin: TestClient, database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    own = CAMVID.to_json()
    for each in own["classes"]:
        each["id"] += 20
        each["color"] = [255 - part for part in each["color"]]
    own["ignore_id"] = 0
    folder(tmp_path, own, values=(20, 22))
    run(tmp_path, name="own", anyway=True)
    (project,) = admin.get("/projects").json()["items"]
    assert (project["classes"], project["ignore_id"]) == ([{**each, "was": []} for each in own["classes"]], 0)
    np.testing.assert_array_equal(kept_labels(database, blobs, 1), ids(0, [20, 22], 40, 40))


def test_folders_are_part_of_names(run: Callable[..., int | None], admin: TestClient, tmp_path: Path) -> None:
    for place in ("north", "south"):
        write(tmp_path / "images" / place / "001.png", picture(len(place), 40, 40))
        write(tmp_path / "images" / place / "002.jpg", picture(7 + len(place[0]), 40, 40))
        write(tmp_path / "labels" / place / "002.png", ids(1, [0, 1], 40, 40))
    (tmp_path / "images" / "south" / "001.png").write_bytes((tmp_path / "images" / "north" / "001.png").read_bytes())
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    listed = {"pool": ["north/001", "south/001"], "train": ["north/002"], "reward": ["south/002"]}
    (tmp_path / "splits.json").write_text(json.dumps(listed))
    run(tmp_path, keep_twins=True, anyway=True)
    assert set(names(admin)) == {"north/001.png", "south/001.png", "north/002.jpg", "south/002.jpg"}


def test_what_is_hidden_or_a_thumbnail_of_the_system_is_no_image(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    folder(tmp_path)
    for place in (".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/._0.png", ".hidden.png", "Thumbs.db"):
        path = tmp_path / "images" / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((tmp_path / "images" / "0.png").read_bytes())
    run(tmp_path)
    assert len(names(admin)) == 6


def test_masks_of_0_and_255_stop_the_import_and_one_word_mends_it(
    run: Callable[..., int | None], admin: TestClient, database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    folder(tmp_path, values=(0, 255))
    with pytest.raises(DatasetError, match=r"No label map holds Cell\..*--binary"):
        run(tmp_path)
    assert admin.get("/projects").json()["items"] == []
    run(tmp_path, label_reading="binary")
    np.testing.assert_array_equal(kept_labels(database, blobs, 1), ids(0, [0, 255], 40, 40) // 255)


def test_by_a_map_too(run: Callable[..., int | None], database: Database, blobs: Blobs, tmp_path: Path) -> None:
    folder(tmp_path, {**CLASSES, "ignore_id": 9}, values=(0, 255))
    with pytest.raises(DatasetError, match="4 files cannot be taken"):
        run(tmp_path)
    run(tmp_path, label_reading="255=1")
    np.testing.assert_array_equal(kept_labels(database, blobs, 1), ids(0, [0, 255], 40, 40) // 255)


def test_images_to_measure_on_need_labelled_pixels(run: Callable[..., int | None], tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "labels" / "2.png").unlink()
    with pytest.raises(DatasetError, match=r"reward/2\.png has no label map, and is to be measured on\."):
        run(tmp_path)
    for number in (2, 3):
        write(tmp_path / "labels" / f"{number}.png", np.full((40, 40), 255, np.uint8))
    with pytest.raises(DatasetError, match=r"reward/2\.png has a label map without a labelled pixel, and 1 more\."):
        run(tmp_path)
    with pytest.raises(DatasetError, match=r"Nothing can be learned from reward/2\.png, or measured on it, .*1 more"):
        run(tmp_path, anyway=True)


@pytest.mark.parametrize("sides", [(7, 40), (8, 801)])
def test_an_image_that_is_too_small_or_too_long_is_named(
    run: Callable[..., int | None], tmp_path: Path, sides: tuple[int, int]
) -> None:
    folder(tmp_path)
    write(tmp_path / "images" / "5.png", np.zeros((*sides, 3), np.uint8))
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(tmp_path)
    assert run(tmp_path, skip_bad=True) == 1


def test_where_most_is_ignored_it_stops(run: Callable[..., int | None], tmp_path: Path) -> None:
    folder(tmp_path, values=(0, 255))
    write(tmp_path / "labels" / "0.png", ids(0, [1, 255, 255, 255, 255], 40, 40))
    for number in (1, 2, 3):
        write(tmp_path / "labels" / f"{number}.png", ids(0, [0, 255, 255, 255], 40, 40))
    with pytest.raises(DatasetError, match="are ignored, more than 50%"):
        run(tmp_path)
    assert run(tmp_path, most_ignored=0.9) == 1


def test_bad_files_are_listed_and_nothing_is_sent_unless_it_goes_on_without(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "5.png").write_bytes(b"not an image")
    write(tmp_path / "labels" / "1.png", ids(1, [0, 77], 40, 40))
    with pytest.raises(DatasetError, match="2 files cannot be taken"):
        run(tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert "pool/5.png: It is not a PNG" in said
    assert "unknown class id 77" in said
    assert admin.get("/projects").json()["items"] == []
    run(tmp_path, skip_bad=True)
    assert set(names(admin)) == {"0.png", "2.png", "3.png", "4.png"}


def test_a_dry_run_says_all_and_sends_nothing(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder(tmp_path / "cells"), dry_run=True) is None
    said = " ".join(capsys.readouterr().out.split())
    assert "Project cells: 6 images (train 2, reward 2, pool 2), 4 label maps" in said
    assert "nothing was sent" in said
    assert admin.get("/projects").json()["items"] == []


def test_one_picture_under_two_names_is_sent_once_and_in_two_splits_not_at_all(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "5.png").write_bytes((tmp_path / "images" / "4.png").read_bytes())
    run(tmp_path, name="twins")
    assert "5.png" not in names(admin)
    run(tmp_path, name="both", keep_twins=True)
    assert "5.png" in names(admin, 2)
    (tmp_path / "images" / "5.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    with pytest.raises(DatasetError, match=r"train/0\.png and pool/5\.png"):
        run(tmp_path, name="leaks")


def test_a_project_that_is_there_is_added_to_only_when_asked_and_only_where_it_fits(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = folder(tmp_path / "cells")
    run(root, settings={"budget": 100})
    with pytest.raises(DatasetError, match="--into 'cells'"):
        run(root)
    assert run(root, into="cells") == 1
    with pytest.raises(DatasetError, match="other settings: budget 100"):
        run(root, into="cells", settings={"budget": 5})
    other = json.loads(json.dumps(CLASSES))
    other["classes"][1]["color"] = [0, 255, 0]
    (root / "classes.json").write_text(json.dumps(other))
    with pytest.raises(DatasetError, match="other classes"):
        run(root, into="cells")
    with pytest.raises(DatasetError, match="no project 'nobody'"):
        run(root, into="nobody")
    assert len(admin.get("/projects").json()["items"]) == 1


def test_an_import_that_was_broken_off_is_gone_on_with(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, calls = folder(tmp_path / "cells"), 0
    call = AppClient.call

    def failing(self: AppClient, method: str, path: str, **request: Any) -> Any:
        nonlocal calls
        calls += method == "POST" and path.endswith("/images")
        if method == "POST" and path.endswith("/images") and calls == 2:
            raise ApiError(0, "unreachable", "gone")
        return call(self, method, path, **request)

    monkeypatch.setattr(AppClient, "call", failing)
    with pytest.raises(ApiError):
        run(root)
    assert len(names(admin)) == 2
    run(root, into="cells")
    assert len(names(admin)) == 6


def test_streets_are_drawn_and_completed(app: FastAPI, make: Maker, admin: TestClient) -> None:
    client = AppClient(TestClient(app, headers={"Authorization": f"Bearer {make.annotator('admin')}"}))
    counts = {"state": 1, "train": 1, "reward": 1, "pool": 2, "test": 0}
    options = {"height": 90, "width": 80, "counts": counts}
    for _ in range(2):
        assert complete_project(client, "streets", None, "streets", {}, options) == 1
    assert len(names(admin)) == 5


def test_of_the_same_picture_twice_the_one_with_a_label_map_is_sent(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "1.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    (tmp_path / "labels" / "0.png").unlink()
    run(tmp_path)
    images = admin.get("/projects/1/images").json()["items"]
    assert {each["name"]: each["has_label_map"] for each in images if each["split"] == "train"} == {"1.png": True}
    assert "3 label maps" in " ".join(capsys.readouterr().out.split())


def test_a_drive_in_a_name_is_a_folder(run: Callable[..., int | None], admin: TestClient, tmp_path: Path) -> None:
    folder(tmp_path)
    for place in ("images", "labels"):
        (tmp_path / place / "0.png").rename(tmp_path / place / "C:\\0.png")
    (tmp_path / "splits.json").write_text(json.dumps({**SPLITS, "train": ["C:\\0", "1"]}))
    run(tmp_path)
    images = {each["name"]: each["has_label_map"] for each in admin.get("/projects/1/images").json()["items"]}
    assert images["C:/0.png"]


def test_files_that_are_no_images_by_their_names_are_told_and_pictures_of_other_kinds_stop_it(
    run: Callable[..., int | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "scan").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    run(tmp_path, dry_run=True)
    assert "are left out" in capsys.readouterr().out
    (tmp_path / "images" / "9.gif").write_bytes(b"GIF89a")
    (tmp_path / "splits.json").write_text(json.dumps({**SPLITS, "pool": ["4", "5", "9"]}))
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(tmp_path)


def test_names_that_the_service_would_refuse_are_said_before_anything_is_sent(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "4.png").rename(tmp_path / "images" / 'q"4.png')
    (tmp_path / "splits.json").write_text(json.dumps({**SPLITS, "pool": ['q"4', "5"]}))
    with pytest.raises(DatasetError, match="1 files cannot be taken"):
        run(tmp_path)
    assert admin.get("/projects").json()["items"] == []


def test_settings_are_an_object(run: Callable[..., int | None], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--settings takes a JSON object"):
        run(folder(tmp_path), settings=[])
