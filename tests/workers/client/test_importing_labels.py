"""Label maps in folders: of other names and kinds, and those that match nothing."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.workers.client.folders import folder, names
from tests.workers.datasets.pictures import ids, write
from workers.client import planning
from workers.datasets.base import DatasetError


@pytest.mark.parametrize(("pattern", "name"), [("{stem}_mask", "{}_mask.png"), ("mask_{stem}", "mask_{}.PNG")])
def test_label_maps_of_other_names_are_guessed_and_read_when_said(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path, pattern: str, name: str
) -> None:
    folder(tmp_path)
    for number in range(4):
        path = tmp_path / "labels" / f"{number}.png"
        path.rename(path.with_name(name.format(number)))
    with pytest.raises(DatasetError, match=pattern.replace("{", r"\{")):
        run(tmp_path)
    run(tmp_path, labels=pattern)
    assert sum(each["has_label_map"] for each in admin.get("/projects/1/images").json()["items"]) == 4


def test_label_maps_without_an_image_are_named(run: Callable[..., int | None], tmp_path: Path) -> None:
    folder(tmp_path)
    write(tmp_path / "labels" / "nobody.png", ids(9, [0, 1], 40, 40))
    with pytest.raises(DatasetError, match=r"1 label maps in .* match no image: nobody"):
        run(tmp_path)
    assert run(tmp_path, strays=True) == 1


def test_what_is_no_label_map_is_named_and_two_of_one_image_are(run: Callable[..., int | None], tmp_path: Path) -> None:
    folder(tmp_path)
    write(tmp_path / "labels" / "0.jpg", ids(0, [0, 1], 40, 40))
    with pytest.raises(DatasetError, match=r"0\.jpg is no label map"):
        run(tmp_path)
    (tmp_path / "labels" / "0.jpg").unlink()
    np.save(tmp_path / "labels" / "0.npy", ids(0, [0, 1], 40, 40))
    with pytest.raises(DatasetError, match="are the label map 0"):
        run(tmp_path)


def test_label_maps_in_a_folder_of_another_name_are_not_passed_over(
    run: Callable[..., int | None], tmp_path: Path
) -> None:
    folder(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "masks")
    with pytest.raises(DatasetError, match="masks looks like one of label maps: name it labels"):
        run(tmp_path)
    with pytest.raises(
        DatasetError, match=r"reward/2\.png, or measured on it, as its label map is .1 more are like it"
    ):
        run(tmp_path, strays=True, anyway=True)  # images of that split are of use with label maps alone


def test_a_folder_of_labels_that_are_no_label_maps_is_not_passed_over(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    folder(tmp_path)
    for path in (tmp_path / "labels").iterdir():
        path.rename(path.with_suffix(".json"))
    with pytest.raises(
        DatasetError, match=r"labels holds no label map, but 0\.json and others: .* \(--ignore-strays\)"
    ):
        run(tmp_path)
    run(tmp_path, strays=True, splits=("pool",))
    assert set(names(admin)) == {"4.png", "5.png"}


def test_one_picture_with_two_label_maps_stops_it_unless_they_are_the_same(
    run: Callable[..., int | None], admin: TestClient, tmp_path: Path
) -> None:
    folder(tmp_path)
    (tmp_path / "images" / "1.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    with pytest.raises(
        DatasetError, match=r"1 pictures have other labels .*: train/1\.png is train/0\.png\..*--keep-dup"
    ):
        run(tmp_path)
    assert run(tmp_path, name="all", keep_twins=True) == 1
    assert run(tmp_path, name="first", anyway=True) == 2
    (tmp_path / "labels" / "1.png").write_bytes((tmp_path / "labels" / "0.png").read_bytes())
    assert run(tmp_path, name="once") == 3
    assert "1.png" in names(admin)
    assert "1.png" not in names(admin, 3)


def test_labels_are_held_against_each_other_only_where_a_picture_is_there_twice(
    run: Callable[..., int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path)
    digested = list[bytes]()

    def digest(data: bytes) -> Any:
        digested.append(data)
        return sha256(data)

    monkeypatch.setattr(planning, "hashlib", SimpleNamespace(sha256=digest))
    run(tmp_path, dry_run=True)
    assert digested == [(tmp_path / "images" / f"{number}.png").read_bytes() for number in range(6)]
