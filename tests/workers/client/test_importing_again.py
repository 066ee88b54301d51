"""Folders whose splits are drawn, and that are imported again when they have grown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.workers.client.folders import CLASSES, SPLITS, folder, names
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets.base import DatasetError


def drawn_folder(root: Path, images: int = 12) -> Path:
    folder(root)
    (root / "splits.json").unlink()
    for number in range(images):
        write(root / "images" / f"{number}.png", picture(number, 40, 40))
        write(root / "labels" / f"{number}.png", ids(number, [0, 1], 40, 40))
    return root


def test_where_splits_are_drawn_bad_label_maps_are_listed_too(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    drawn_folder(tmp_path)
    for number in range(6):
        (tmp_path / "labels" / f"{number}.png").write_bytes(b"junk")
    run(tmp_path, skip_bad=True, splits=("train", "state", "reward", "test"))
    kept = {int(name.partition(".")[0]) for name in names(admin)}
    assert kept
    assert kept <= set(range(6, 12))


def test_a_folder_that_has_grown_is_added_to_and_no_image_changes_its_split(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = drawn_folder(tmp_path / "cells")
    run(root)
    before = names(admin)
    drawn_folder(root, 20)
    run(root, into="cells")
    after = names(admin)
    assert len(after) == 20
    assert {name: after[name] for name in before} == before


def test_what_an_earlier_version_made_of_a_file_is_not_added_beside_it(
    run: Callable[..., int | None], tmp_path: Path
) -> None:
    root = folder(tmp_path / "cells")
    run(root)
    (root / "images" / "4.png").unlink()
    write(root / "images" / "4.jpg", picture(44, 40, 40))
    with pytest.raises(DatasetError, match=r"has 4\.png, which an earlier version .* made of 4\.jpg"):
        run(root, into="cells")


def test_what_an_earlier_version_made_of_a_file_is_known_by_its_folders(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = folder(tmp_path / "cells")
    run(root)  # as far as an import that was broken off came
    pool = [*SPLITS["pool"], "cam1/0", "cam2/1"]
    (root / "splits.json").write_text(json.dumps({**SPLITS, "pool": pool}))
    write(root / "images" / "cam1" / "0.png", picture(50, 40, 40))
    write(root / "images" / "cam2" / "1.jpg", picture(51, 40, 40))
    run(root, into="cells")
    assert {"0.png", "cam1/0.png", "cam2/1.jpg"} <= names(admin).keys()
    (root / "images" / "cam1" / "0.png").unlink()
    write(root / "images" / "cam1" / "0.jpg", picture(52, 40, 40))
    with pytest.raises(DatasetError, match=r"has cam1/0\.png, which an earlier version .* made of cam1/0\.jpg"):
        run(root, into="cells")


def test_blanks_around_the_names_of_classes_are_none_of_theirs(run: Callable[..., int | None], tmp_path: Path) -> None:
    first, second = CLASSES["classes"]
    root = folder(tmp_path / "cells", {**CLASSES, "classes": [first, {**second, "name": " Cell "}]})
    assert run(root) == 1
    assert run(root, into="cells") == 1
