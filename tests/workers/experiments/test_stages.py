"""The stages before a trajectory: what cannot be trained is told in a sentence."""

from pathlib import Path

import pytest

from tests.workers.conftest import CLASSES, Rectangles
from tests.workers.tiny import tiny_experiment
from workers.datasets import Dataset
from workers.experiments.stages import Bench, theta_pre


def bench_of_three_classes(tmp_path: Path, *overrides: str) -> Bench:
    return Bench(
        experiment=tiny_experiment(tmp_path, *overrides),
        dataset=Dataset(name="rectangles", classes=CLASSES, splits={"train": Rectangles(2)}),
        cache=tmp_path / "cache",
        device="cpu",
        report=lambda done, text: None,
    )


def test_streets_teach_no_data_set_of_fewer_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"streets of 11 classes, and rectangles has 3: set source\.images to 0"):
        theta_pre(bench_of_three_classes(tmp_path), 0)


def test_without_streets_any_data_set_starts_from_fresh_weights(tmp_path: Path) -> None:
    assert theta_pre(bench_of_three_classes(tmp_path, "source.images=0"), 0).classes == 3
