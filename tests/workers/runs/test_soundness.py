"""What is wrong with somebody's folder is said before a simulation begins, and how to go on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from service.domain.methods import Method
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets import open_dataset
from workers.experiments.presets import read_preset
from workers.runs.options import chosen_experiment
from workers.runs.soundness import splits_of
from workers.runs.works import headroom_works, policy_works, trajectory_works
from workers.simulate import app

CLASSES = {"classes": [{"id": 0, "name": "Wall", "color": [0, 0, 0]}, {"id": 1, "name": "Crack", "color": [9, 9, 9]}]}
NAMES = [f"{number:02d}" for number in range(10)]
Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cracks"
    for number, name in enumerate(NAMES):
        write(root / "images" / f"{name}.png", picture(number, 24, 32))
        write(root / "labels" / f"{name}.png", ids(number, [0, 0, 1], 24, 32))
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return root


def splits(root: Path, **changed: list[str]) -> None:
    listed = {"state": NAMES[:1], "train": NAMES[1:3], "reward": NAMES[3:4], "pool": NAMES[4:8], "test": NAMES[8:]}
    (root / "splits.json").write_text(json.dumps(listed | changed))


def recoded(root: Path, *, by: int) -> None:
    for path in (root / "labels").iterdir():
        write(path, np.asarray(Image.open(path)) * np.uint8(by))


def deepened(root: Path) -> None:
    for path in (root / "images").iterdir():
        write(path, np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 200)


def evaluated(root: Path, *options: str, start: str = "none") -> tuple[int, str]:
    cells = ("--set", "cell_height=8", "--set", "cell_width=8", "--set", "batch_size=2")
    quick = ("--set", "refit.first_steps=1", "--set", "refit.steps=1", "--set", "refit.judge_steps=1", "--jobs", "1")
    place = ("--preset", "folder", "--root", str(root), "--out", str(root.parent / "out"), "--start", start)
    played = ("evaluate", "--strategy", "random", "--budgets", "2")
    finished = CliRunner().invoke(app, [*place, *cells, *quick, *options, *played])
    return finished.exit_code, " ".join(finished.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("change", "start", "words"),
    [
        (lambda root: splits(root, test=[]), "none", "The split `test` of cracks has no image"),
        (lambda root: splits(root, pool=[]), "none", "The split `pool` of cracks has no image"),
        (lambda root: splits(root, state=[]), "state", "The split `state` of cracks has no image"),
        (
            lambda root: (root / "labels/05.png").unlink(),
            "none",
            "1 of the 4 images of the split `pool` have no label map: 05.",
        ),
        (lambda root: recoded(root, by=255), "none", "No label map holds Crack. If label maps hold other values"),
        (
            lambda root: write(root / "labels/02.png", ids(2, [0, 5], 24, 32)),
            "none",
            "The label map holds the unknown class id 5",
        ),
        (
            lambda root: write(root / "labels/09.png", ids(9, [0, 1], 8, 8)),
            "none",
            "The label map is 8 high and 8 wide; 24 high and 32 wide is expected.",
        ),
        (
            lambda root: recoded(root, by=5),
            "none",
            "g, 01.png, 02.png, 03.png, 04.png, and 5 more: The label map holds the unknown class id 5; known are",
        ),
        (lambda root: recoded(root, by=0), "none", "No label map holds Crack"),
        (deepened, "none", "It has more than 8 bits a pixel: `scale` says how they are brought to 0 to 255, minmax"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(folder: Path, change: Change, start: str, words: str) -> None:
    splits(folder)
    change(folder)
    code, said = evaluated(folder, start=start)
    assert (code > 0, words in said) == (True, True), said
    assert not list((folder.parent / "out").rglob("*.safetensors"))


def test_classes_that_are_asked_for_and_not_tested_are_told_of(folder: Path) -> None:
    splits(folder)
    for name in NAMES[8:]:
        write(folder / "labels" / f"{name}.png", ids(0, [0], 24, 32))
    code, said = evaluated(folder)
    assert (code, "Note: The pool holds Crack, and no label map of the split `test` does" in said) == (0, True), said


def test_test_images_without_a_labelled_pixel_are_refused_whatever_is_said(folder: Path) -> None:
    splits(folder)
    for name in NAMES[8:]:
        write(folder / "labels" / f"{name}.png", np.full((24, 32), 255, np.uint8))
    code, said = evaluated(folder, "--anyway")
    assert code == 1
    assert "No label map of the split `test` has a labelled pixel" in said


def test_a_class_that_nothing_is_may_be_meant_and_label_maps_are_looked_at_once(folder: Path) -> None:
    splits(folder)
    recoded(folder, by=0)
    assert evaluated(folder, "--anyway")[0] == 0
    assert evaluated(folder)[0] == 0


@pytest.mark.parametrize("said", [("--binary",), ("--map", "255=1")])
def test_label_maps_are_read_as_the_import_reads_them(folder: Path, said: tuple[str, ...]) -> None:
    splits(folder)
    recoded(folder, by=255)
    code, output = evaluated(folder, *said)
    assert code == 0, output
    (record,) = (folder.parent / "out" / "trajectories").glob("*.json")
    assert None not in json.loads(record.read_text())["budgets"]["2"]["iou_per_class"]


def test_only_of_own_folders_is_said_how_they_are_read(folder: Path) -> None:
    with pytest.raises(ValueError, match="is said of the data set folder"):
        open_dataset("camvid", folder, reading=read_preset("folder", "folder").reading.built())


def test_how_files_are_read_is_part_of_what_figures_depend_on() -> None:
    plain, binary = read_preset("folder", "folder"), read_preset("folder", "folder", ["reading.label_reading=binary"])
    strays = read_preset("folder", "folder", ["reading.ignore_strays=true"])
    method = Method(name="random")
    assert len({each.method_key(method, 0) for each in (plain, binary, strays)}) == 3
    assert len({each.key("source", 0) for each in (plain, binary, strays)}) == 3
    with pytest.raises(ValueError, match="not of camvid"):
        chosen_experiment("camvid", None, ["reading.label_reading=binary"], None)


def test_works_need_the_splits_that_they_look_at() -> None:
    none = read_preset("folder", "folder", ["theta0=source"])
    state = read_preset("folder", "folder")
    random = [Method(name="random")]
    assert splits_of(none, headroom_works(none, 1)) == ({"pool", "test"}, set())
    assert splits_of(state, headroom_works(state, 1)) == ({"pool", "test", "state"}, set())
    assert splits_of(none, trajectory_works(none, random, ["per-pool"], [0])) == ({"pool", "test"}, {"state", "reward"})
    assert splits_of(none, policy_works(["shipped"])) == (set(), set())
    assert splits_of(none, policy_works(["blend"])) == ({"train", "reward"}, {"state"})
    assert splits_of(none, policy_works(["paper"])) == ({"train", "reward", "state"}, set())


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root / "labels/05.png", ids(6, [0, 0, 1], 24, 32)),
        lambda root: splits(root, train=NAMES[1:2], reward=NAMES[2:4]),
        lambda root: (root / "classes.json").write_text(json.dumps(CLASSES).replace("Crack", "Gap")),
        lambda root: write(root / "images/07.png", picture(99, 24, 32)),
    ],
)
def test_what_was_played_on_other_data_is_not_gone_on_with(folder: Path, change: Change) -> None:
    splits(folder)
    assert evaluated(folder)[0] == 0
    assert evaluated(folder)[0] == 0  # the same data: goes on
    moved = folder.rename(folder.parent / "moved")
    assert evaluated(moved)[0] == 0
    change(moved)
    code, said = evaluated(moved)
    assert (code > 0, "holds what was played on other images, label maps, splits or classes" in said) == (True, True), (
        said
    )


def test_a_folder_whose_label_maps_were_wrong_goes_on_once_they_are_mended(folder: Path) -> None:
    splits(folder)
    recoded(folder, by=0)
    assert evaluated(folder)[0] > 0
    for number, name in enumerate(NAMES):
        write(folder / "labels" / f"{name}.png", ids(number, [0, 0, 1], 24, 32))
    code, said = evaluated(folder.rename(folder.parent / "mended"))
    assert code == 0, said


def test_headroom_tells_the_cost_of_the_splits_that_have_label_maps(folder: Path) -> None:
    splits(folder)
    (folder / "labels/01.png").unlink()  # of train, which this start knows nothing of
    quick = ("--set", "cell_height=8", "--set", "cell_width=8", "--set", "refit.full_steps=1", "--jobs", "1")
    place = ("--preset", "folder", "--root", str(folder), "--out", str(folder.parent / "out"), "--start", "none")
    finished = CliRunner().invoke(app, [*place, *quick, "headroom", "--full-seeds", "1"])
    assert finished.exit_code == 0, finished.output
    assert sorted(json.loads((folder.parent / "out/headroom.json").read_text())["labels"]) == [
        "pool",
        "reward",
        "state",
    ]
