"""What was played on other data is not gone on with, wherever the data and what is played lie."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.datasets.pictures import ids, picture, write
from tests.workers.runs.cracks import CLASSES, NAMES, evaluated, splits
from workers.experiments.presets import read_preset
from workers.runs.same_data import digest_of
from workers.runs.works import Run

Change = Callable[[Path], object]


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


@pytest.mark.parametrize("out", ["out", ".."])
def test_other_data_are_seen_where_what_is_played_lies_in_one_folder_with_them(folder: Path, out: str) -> None:
    splits(folder)
    assert evaluated(folder, out=out)[0] == 0
    write(folder / "images/07.png", picture(99, 24, 32))
    assert "holds what was played on other images" in evaluated(folder, out=out)[1]


@pytest.mark.parametrize("dataset", ["folder", "coco"])
def test_what_a_run_writes_is_no_part_of_the_data(folder: Path, dataset: str) -> None:
    experiment = read_preset("folder", dataset)

    def seen(out: Path) -> str:
        return digest_of(Run(experiment=experiment, root=folder, out=out))

    places = (folder.parent / "elsewhere", folder / "out", folder, folder.parent)
    (digest,) = {seen(out) for out in places}
    assert digest != hashlib.sha256().hexdigest()
    for name in ("cache/theta.safetensors", "trajectories/0.json", "data.json", "report.md"):
        for out in places:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / name).write_text(name)
    assert seen(folder / "out") == digest
    for name in ("cache/theta.safetensors", "trajectories/0.json", "data.json", "report.md"):
        (folder / name).write_text(name)
        (folder / "out" / name).unlink()
    assert seen(folder) == digest
    write(folder / "images/07.png", picture(99, 24, 32))
    assert seen(folder) != digest


def test_a_folder_of_which_no_file_was_looked_at_is_gone_on_with(folder: Path) -> None:
    splits(folder)
    (folder / "data.json").write_text(json.dumps({"data": hashlib.sha256().hexdigest()}))
    assert evaluated(folder, out=".")[0] == 0
    write(folder / "images/07.png", picture(99, 24, 32))
    assert evaluated(folder, out=".")[0] > 0
