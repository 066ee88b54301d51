"""Lists of files, imported: images, label maps and splits as the CSV says, or all that is wrong with it, by line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.workers.client.folders import CLASSES, names
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets.base import DatasetError

GOOD = "image,label,split\nraw/0.png,gt/zero.png,train\nraw/1.png,gt/one.png,reward\nraw/2.png,,pool\nraw/3.png,,\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a list lies, with four images and two label maps of other names."""
    for number in range(4):
        write(tmp_path / "raw" / f"{number}.png", picture(number, 40, 40))
    for number, name in enumerate(("zero", "one")):
        write(tmp_path / "gt" / f"{name}.png", ids(number, [0, 1], 40, 40))
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    return tmp_path


def listed(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root / "plates.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("text", [GOOD, "\ufeff" + GOOD.replace(",", ";").replace("\n", "\r\n")])
def test_a_list_says_what_belongs_together(
    run: Callable[..., int | None], admin: TestClient, root: Path, text: str
) -> None:
    run(listed(root, text))
    (project,) = admin.get("/projects").json()["items"]
    assert project["name"] == "plates"
    images = admin.get("/projects/1/images").json()["items"]
    assert {each["name"]: (each["split"], each["has_label_map"]) for each in images} == {
        "raw/0.png": ("train", True),
        "raw/1.png": ("reward", True),
        "raw/2.png": ("pool", False),
        "raw/3.png": ("pool", False),  # what has no split is to be labelled
    }


def test_without_splits_they_are_drawn_and_without_labels_all_is_the_pool(
    run: Callable[..., int | None], admin: TestClient, root: Path
) -> None:
    run(listed(root, "image\n" + "".join(f"raw/{number}.png\n" for number in range(4))))
    assert set(names(admin).values()) == {"pool"}
    for number in range(12):
        write(root / "raw" / f"{number}.png", picture(number, 40, 40))
        write(root / "gt" / f"{number}.png", ids(number, [0, 1], 40, 40))
    run(listed(root, "label,image\n" + "".join(f"gt/{n}.png,raw/{n}.png\n" for n in range(12))), name="drawn")
    assert set(names(admin, 2).values()) == {"state", "train", "reward", "pool", "test"}


def test_classes_may_lie_elsewhere(run: Callable[..., int | None], root: Path, tmp_path: Path) -> None:
    (root / "classes.json").rename(root / "mine.json")
    with pytest.raises(DatasetError, match=r"no file .*classes\.json"):
        run(listed(root, GOOD))
    assert run(listed(root, GOOD), classes=root / "mine.json") == 1


def test_all_that_is_wrong_is_said_at_once_by_line(
    run: Callable[..., int | None], admin: TestClient, root: Path
) -> None:
    text = GOOD + "raw/0.png,,\nraw/9.png,,pool\nraw/1.png,gt/zero.png,attic\n../x.png,,\n/etc/a.png,,\n,gt/one.png,\n"
    write(root / "raw" / "2.jpg", picture(7, 40, 40))
    text += "raw/2.jpg,,,,\nraw/2.jpg,,\ngt,,\nraw/3.png,raw/2.jpg,\n"
    with pytest.raises(DatasetError) as raised:
        run(listed(root, text))
    said = str(raised.value)
    for line, what in (
        (6, "the image raw/0.png is in line 2 already"),
        (7, "there is no file raw/9.png"),
        (8, "there is no split attic, but state"),
        (8, "the image raw/1.png is in line 3 already"),
        (8, "the label map gt/zero.png is in line 2 already"),
        (9, "../x.png leads out of the list's folder"),
        (10, "/etc/a.png leads out"),
        (13, "the image named raw/2 is in line 4 already"),
        (14, "gt is no image"),
        (15, "raw/2.jpg is no label"),
    ):
        assert f"line {line}: {what}" in said, (line, what, said)
    assert "line 11 names no image" in said
    assert "line 12 has 5 fields, and there are 3 columns" in said
    assert admin.get("/projects").json()["items"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its heading is empty; columns are image, label and split"),
        ("image,mask\nraw/0.png,\n", "its heading is image, mask; columns are"),
        ("label,split\n", "columns are image"),
        ("image,image\n", "each once"),
        ("image,label\n\n", "names no image"),
        ('image\n"raw/0.png\n', "is no line of a CSV"),
    ],
)
def test_a_list_that_is_none_is_a_sentence(run: Callable[..., int | None], root: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        run(listed(root, text))


def test_text_of_another_kind_and_no_file_are_sentences(run: Callable[..., int | None], root: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read as text in UTF-8"):
        run(listed(root, "image\nä.png\n", encoding="latin-1"))
    with pytest.raises(DatasetError, match=r"no file .*none\.csv"):
        run(root / "none.csv")
