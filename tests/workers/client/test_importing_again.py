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


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("dry_run", [True, False])
def test_splits_that_are_told_are_those_of_the_project(
    run: Callable[..., int | None],
    admin: TestClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    dry_run: bool,
) -> None:
    root = folder(tmp_path / "cells")
    run(root)
    (root / "splits.json").write_text(json.dumps({"train": ["0", "4"], "reward": ["1", "2", "3"], "pool": ["5"]}))
    capsys.readouterr()
    run(root, into="cells", dry_run=dry_run)
    told = said(capsys)
    assert "Project cells: 6 images (train 2, pool 2, reward 2), 4 label maps" in told
    assert "train/4.png is in the split pool of the project, and stays there (1 more are like it)." in told
    assert {name for name, split in names(admin).items() if split == "pool"} == {"4.png", "5.png"}


def test_a_picture_of_the_project_is_not_added_to_another_split_under_another_name(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    run(folder(tmp_path / "cells"))
    more = folder(tmp_path / "more")
    for number in range(6):
        (more / "images" / f"{number}.png").unlink()
        (more / "labels" / f"{number}.png").unlink(missing_ok=True)
    (more / "images" / "new.png").write_bytes((tmp_path / "cells" / "images" / "0.png").read_bytes())
    (more / "splits.json").write_text(json.dumps({"pool": ["new"]}))
    for dry_run in (True, False):
        with pytest.raises(DatasetError, match=r"pool/new\.png and train/0\.png of the project"):
            run(more, into="cells", dry_run=dry_run)
    run(more, into="cells", anyway=True)
    assert names(admin)["new.png"] == "pool"


def test_a_picture_of_the_project_is_not_taken_again_under_another_name(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / "cells")
    run(root)
    for name, of in (("same", "4"), ("labelled", "0")):
        (root / "images" / f"{name}.png").write_bytes((root / "images" / f"{of}.png").read_bytes())
    (root / "labels" / "labelled.png").write_bytes((root / "labels" / "0.png").read_bytes())
    for number in range(5):
        (root / "images" / f"{number}.png").unlink()
        (root / "labels" / f"{number}.png").unlink(missing_ok=True)
    (root / "splits.json").write_text(json.dumps({"pool": ["5", "same"], "train": ["labelled"]}))
    run(root, into="cells")
    told = said(capsys)
    assert "pool/4.png of the project, pool/same.png" in told
    assert "train/0.png of the project, train/labelled.png" in told
    assert len(names(admin)) == 6
    run(root, into="cells", keep_twins=True)
    assert {"same.png", "labelled.png"} <= names(admin).keys()


def test_labels_of_a_picture_that_the_project_has_without_are_not_left_out_in_silence(
    run: Callable[..., int | None], tmp_path: Path
) -> None:
    root = folder(tmp_path / "cells")
    (root / "labels" / "0.png").rename(tmp_path / "0.png")
    run(root)
    (root / "images" / "0.png").rename(root / "images" / "new.png")
    (tmp_path / "0.png").rename(root / "labels" / "new.png")
    (root / "splits.json").write_text(json.dumps({**SPLITS, "train": ["new", "1"]}))
    with pytest.raises(DatasetError, match=r"train/new\.png is train/0\.png of the project"):
        run(root, into="cells")


def test_of_a_picture_twice_the_one_that_the_project_has_is_taken(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    root = folder(tmp_path / "cells")
    run(root)
    (root / "images" / "40.png").write_bytes((root / "images" / "4.png").read_bytes())
    (root / "images" / "30.png").write_bytes((root / "images" / "5.png").read_bytes())
    (root / "splits.json").write_text(json.dumps({**SPLITS, "pool": ["30", "4", "40", "5"]}))
    run(root, into="cells")
    assert len(names(admin)) == 6
