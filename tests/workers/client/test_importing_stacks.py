"""TIFFs of several pages, imported: refused until it is said what to take, then each page as an image, or the first."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from tests.workers.client.folders import CLASSES, kept_labels, names
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets.base import DatasetError


def stack(path: Path, pages: list[np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (Image.fromarray(page) for page in pages)
    first.save(path, save_all=True, append_images=rest)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two stacks of three pages with label maps, and an image of one page that is to be labelled."""
    folder = tmp_path / "slices"
    for number, name in enumerate(("a", "b")):
        stack(folder / "images" / f"{name}.tif", [picture(10 * number + page, 40, 40) for page in range(3)])
        stack(folder / "labels" / f"{name}.tif", [ids(10 * number + page, [0, 1], 40, 40) for page in range(3)])
    write(folder / "images" / "c.tif", picture(99, 40, 40))
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    (folder / "splits.json").write_text(json.dumps({"train": ["a"], "reward": ["b"], "pool": ["c"]}))
    return folder


def test_a_stack_is_refused_with_both_choices(
    run: Callable[..., int | None], admin: TestClient, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DatasetError, match="2 files cannot be taken"):
        run(root)
    said = " ".join(capsys.readouterr().out.split())
    assert "train/a.tif: It has several pages: take each as an image (--pages all), or the first alone" in said
    assert admin.get("/projects").json()["items"] == []


def test_all_pages_are_images_with_their_own_label_maps(
    run: Callable[..., int | None], admin: TestClient, database: Database, blobs: Blobs, root: Path
) -> None:
    run(root, pages="all")
    assert names(admin) == {
        **{f"a/page-000{page}.tif": "train" for page in (1, 2, 3)},
        **{f"b/page-000{page}.tif": "reward" for page in (1, 2, 3)},
        "c.tif": "pool",
    }
    data = (root / "images" / "a.tif").read_bytes()
    for image in admin.get("/projects/1/images", params={"split": "train"}).json()["items"]:
        page = image["reading"]["page"]
        assert image["name"] == f"a/page-000{page + 1}.tif"
        assert image["sha256"] == hashlib.sha256(data).hexdigest()
        assert admin.get(image["url"]).content == data
        with Image.open(io.BytesIO(admin.get(f"/images/{image['id']}/seen").content)) as seen:
            np.testing.assert_array_equal(np.asarray(seen), picture(page, 40, 40))
        np.testing.assert_array_equal(kept_labels(database, blobs, image["id"]), ids(page, [0, 1], 40, 40))


def test_other_values_of_pages_are_read_as_is_said(
    run: Callable[..., int | None], database: Database, blobs: Blobs, root: Path
) -> None:
    for name in ("a", "b"):
        stack(root / "labels" / f"{name}.tif", [ids(page, [0, 255], 40, 40) for page in range(3)])
    run(root, pages="all", label_reading="binary")
    np.testing.assert_array_equal(kept_labels(database, blobs, 2), ids(1, [0, 255], 40, 40) // 255)


def test_the_first_page_keeps_the_files_name(
    run: Callable[..., int | None], admin: TestClient, database: Database, blobs: Blobs, root: Path
) -> None:
    write(root / "labels" / "b.tif", ids(7, [0, 1], 40, 40))  # of one page, as is fitting
    run(root, pages="first")
    images = admin.get("/projects/1/images").json()["items"]
    assert {each["name"]: each["reading"] for each in images} == {
        "a.tif": {"page": 0},
        "b.tif": {"page": 0},
        "c.tif": {},
    }
    np.testing.assert_array_equal(kept_labels(database, blobs, 1), ids(0, [0, 1], 40, 40))
    np.testing.assert_array_equal(kept_labels(database, blobs, 2), ids(7, [0, 1], 40, 40))


def test_a_label_map_of_another_number_of_pages_is_refused(run: Callable[..., int | None], root: Path) -> None:
    stack(root / "labels" / "a.tif", [ids(page, [0, 1], 40, 40) for page in range(2)])
    write(root / "labels" / "b.tif", ids(7, [0, 1], 40, 40))
    with pytest.raises(
        DatasetError, match=r"labels/a\.tif has 2, .*images/a\.tif 3; .*b\.tif has 1, .*b\.tif 3\. Mend"
    ):
        run(root, pages="all")


def test_single_pages_may_be_listed(run: Callable[..., int | None], admin: TestClient, root: Path) -> None:
    listed = {"train": ["a/page-0001"], "reward": ["a/page-0003"], "pool": ["b", "c"]}
    (root / "splits.json").write_text(json.dumps(listed))
    run(root, pages="all")
    assert names(admin)["a/page-0003.tif"] == "reward"
    assert "a/page-0002.tif" not in names(admin)


def test_where_splits_are_drawn_the_pages_of_a_stack_stay_together(
    run: Callable[..., int | None], admin: TestClient, root: Path
) -> None:
    (root / "splits.json").unlink()
    with pytest.raises(DatasetError, match=r"2 labelled images are too few .*stay together, and count as one"):
        run(root, pages="all")
    for number in range(2, 9):
        pages = [picture(100 * number + page, 40, 40) for page in range(2)]
        stack(root / "images" / f"n{number}.tif", pages)
        stack(root / "labels" / f"n{number}.tif", [ids(100 * number + page, [0, 1], 40, 40) for page in range(2)])
    run(root, pages="all")
    found = names(admin)
    assert len(found) == 2 * 3 + 7 * 2 + 1
    of_stack: dict[str, set[str]] = {}
    for name, split in found.items():
        of_stack.setdefault(name.split("/")[0], set()).add(split)
    assert all(len(splits) == 1 for splits in of_stack.values())
    assert {split for splits in of_stack.values() for split in splits} == {"state", "train", "reward", "pool", "test"}


def test_pages_are_for_own_images(run: Callable[..., int | None]) -> None:
    with pytest.raises(DatasetError, match="streets has its own: leave them out"):
        run(None, dataset="streets", pages="all")
