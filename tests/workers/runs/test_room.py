"""How much disk a run's features take: what the data set needs, within what the disk has, or what somebody says."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from tests.workers.tiny import tiny_experiment
from workers.datasets import Dataset
from workers.experiments.stages import open_experiment_data
from workers.runs import perform as performing
from workers.runs.perform import perform
from workers.runs.room import feature_bound, features_needed
from workers.runs.works import Run, Work
from workers.training.feature_cache import FeatureCache

GIB = 1 << 30
FROZEN = ("encoder=frozen", "learning=refit", "segmenter=efficientnet-lite0")
Usage = namedtuple("Usage", ["total", "used", "free"])


class Sized:
    """Images of which nothing is known but their number and size."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self._count, self._size = count, (height, width)

    def __len__(self) -> int:
        return self._count

    def size(self, number: int) -> tuple[int, int]:
        return self._size


def dataset_of(*sources: Any) -> Dataset:
    return Dataset(name="sized", classes=None, splits=dict(enumerate(sources)))  # type: ignore[arg-type]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is free, which a test may set."""
    free = [1000 * GIB]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free[0] if path.exists() else -1))
    return free


@pytest.fixture
def experiment(tmp_path: Path) -> Any:
    return tiny_experiment(tmp_path, *FROZEN, "stride=8")


def test_what_is_needed_is_96_numbers_of_two_bytes_for_each_cell(experiment: Any) -> None:
    assert features_needed(experiment, dataset_of(Sized(3, 17, 32), Sized(1, 8, 8))) == 3 * (192 * 12 + 128) + 320


def test_where_f_is_trained_as_a_whole_no_features_are_kept(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    assert features_needed(experiment, open_experiment_data(experiment, None)) == 0


def test_the_bound_is_what_cityscapes_needs_where_that_is_more_than_20_gib(
    experiment: Any, disk: list[int], tmp_path: Path
) -> None:
    small, cityscapes = dataset_of(Sized(701, 360, 480)), dataset_of(Sized(2975, 1024, 2048), Sized(500, 1024, 2048))
    assert feature_bound(experiment, small, tmp_path / "out" / "not yet") == 20 * GIB
    needed = 3475 * (192 * 128 * 256 + 128)
    assert features_needed(experiment, cityscapes) == needed > 20 * GIB
    assert feature_bound(experiment, cityscapes, tmp_path) == int(1.2 * needed)


def test_of_a_disk_four_fifths_of_what_is_free_or_features_already(
    experiment: Any, disk: list[int], tmp_path: Path
) -> None:
    disk[0] = 10_000
    assert feature_bound(experiment, dataset_of(), tmp_path) == 8000
    (tmp_path / "0001.npy").write_bytes(bytes(5000))
    assert feature_bound(experiment, dataset_of(), tmp_path) == 12_000


@pytest.mark.parametrize(("said", "bound"), [(None, 20 * GIB), (123, 123)])
def test_a_run_keeps_as_much_as_it_is_told_or_as_suits(
    said: int | None, bound: int, disk: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[FeatureCache] = []
    monkeypatch.setattr(performing, "keep_features", kept.append)
    run = Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path / "out", feature_bytes=said)
    perform(run, Work(stage="clicks"), device="cpu", report=lambda done, text: None)
    assert [(each.folder, each._disk_bytes) for each in kept] == [(run.out / "cache" / "features", bound)]
