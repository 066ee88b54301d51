"""What is wrong with somebody's folder is said before a simulation begins, and how to go on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from service.domain.methods import Method
from tests.workers.datasets.pictures import ids, write
from tests.workers.runs.cracks import NAMES, cut_short, deepened, evaluated, recoded, splits
from workers.datasets import open_dataset
from workers.experiments.presets import read_preset
from workers.runs.options import chosen_experiment
from workers.runs.soundness import splits_of
from workers.runs.works import headroom_works, policy_works, trajectory_work, trajectory_works
from workers.simulate import app

Change = Callable[[Path], object]


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
        (
            lambda root: write(root / "images/06.png", np.zeros((6, 32), np.uint8)),
            "none",
            "Of the image 06: It is 6 high and 32 wide; networks need images of at least 8 x 8 pixels.",
        ),
        (lambda root: cut_short(root / "images/06.png"), "none", "ng: It is a PNG that is damaged or cut short."),
        (
            lambda root: deepened(root, NAMES[6:8]),
            "none",
            "png, 07.png: It has more than 8 bits a pixel: `scale` says how",
        ),
        (deepened, "none", "It has more than 8 bits a pixel: `scale` says how they are brought to 0 to 255, minmax"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(folder: Path, change: Change, start: str, words: str) -> None:
    splits(folder)
    change(folder)
    code, said = evaluated(folder, start=start)
    assert (code > 0, words in said) == (True, True), said
    assert not list((folder.parent / "out").rglob("*.safetensors"))


def test_a_reference_that_would_choose_at_random_is_refused(folder: Path) -> None:
    splits(folder, reward=[])
    code, said = evaluated(folder, strategy="influence")
    assert (code > 0, "The split `reward` of cracks has no image" in said) == (True, True), said


def test_classes_that_are_asked_for_and_not_tested_are_told_of(folder: Path) -> None:
    splits(folder)
    for name in NAMES[8:]:
        write(folder / "labels" / f"{name}.png", ids(0, [0], 24, 32))
    code, said = evaluated(folder)
    assert (code, "Note: The pool holds Crack, and no label map of the split `test` does" in said) == (0, True), said


def test_images_that_no_service_takes_are_told_of_and_played_on(folder: Path) -> None:
    splits(folder)
    write(folder / "images" / "06.png", np.zeros((8, 801, 3), np.uint8))
    write(folder / "labels" / "06.png", ids(6, [0, 1], 8, 801))
    code, said = evaluated(folder)
    assert (code, "Note: The longer side is more than 100 times the shorter one of 06: a simulation plays" in said) == (
        0,
        True,
    ), said


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
    for names, more in {
        ("entropy", "greedy-oracle", "learned:shipped", "learned:turns", "learned-untrained:blend"): set[str](),
        ("influence",): {"reward"},
        ("influence-oracle",): {"reward"},
        ("learned-untrained:paper",): {"state"},
        ("learned-untrained:regionwise", "influence"): {"state", "reward"},
    }.items():
        works = [trajectory_work(none, Method.parse(name), "per-pool", 0) for name in names]
        assert splits_of(none, works) == ({"pool", "test"} | more, {"state", "reward"} - more)
    works = trajectory_works(none, [Method.learned("regionwise")], ["per-pool"], [0])
    assert splits_of(none, works) == ({"pool", "test", "train", "reward", "state"}, set())
    assert splits_of(none, policy_works(["shipped"])) == (set(), set())
    assert splits_of(none, policy_works(["blend"])) == ({"train", "reward"}, {"state"})
    assert splits_of(none, policy_works(["paper"])) == ({"train", "reward", "state"}, set())


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
