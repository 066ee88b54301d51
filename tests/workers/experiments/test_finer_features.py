"""Simulations whose labels choose how fine features are: stopped and gone on with, in records, and where all is labelled."""

from pathlib import Path
from typing import Any

import pytest

from service.domain.classes import ClassSet, LabelClass
from service.domain.methods import Method
from tests.workers.threads import Threads
from workers.datasets.base import Dataset
from workers.experiments.headroom import full_supervision
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, theta_0
from workers.experiments.trajectory import Trajectory
from workers.loop import lessons

CLASSES = ClassSet(
    classes=(LabelClass(id=0, name="ground", color=(0, 0, 0)), LabelClass(id=1, name="thread", color=(255, 0, 0))),
    ignore_id=255,
)
SPLITS = {"pool": 12, "train": 0, "state": 8, "reward": 2, "val": 2, "test": 2}


def experiment_of(**chosen: Any) -> Experiment:
    refit = {
        "first_steps": 200, "steps": 5, "judge_steps": 5, "theta0_steps": 200, "full_steps": 200, "lr": 1e-2, "window": 12
    }  # fmt: skip
    settings: dict[str, Any] = {
        "dataset": "folder", "segmenter": "efficientnet-lite0", "encoder": "frozen", "learning": "refit", "magnification": 1,
        "segmenter_width": 8, "cell_height": 48, "cell_width": 48, "batch_size": 16, "pool_size": 2, "sampling": "uniform",
        "theta0": "source", "source": {"images": 0}, "refit": refit, "stride": "labels",
    }  # fmt: skip
    # Blocks of 48 pixels would begin at a stride of 4 by themselves.
    return Experiment.model_validate(settings | chosen)


def bench_of(experiment: Experiment, out: Path, stop_after: int | None = None) -> Bench:
    heard = 0

    def report(done: float, text: str) -> None:
        nonlocal heard
        heard += 1
        if heard == stop_after:
            raise KeyboardInterrupt

    splits = {name: Threads(count, seed) for seed, (name, count) in enumerate(SPLITS.items())}
    data = Dataset(name="threads", classes=CLASSES, splits=splits)
    return Bench(experiment=experiment, dataset=data, cache=out / "cache", device="cpu", report=report)


def play(out: Path, budgets: list[int], stop_after: int | None = None, **chosen: Any) -> dict[str, Any]:
    bench = bench_of(experiment_of(**chosen), out, stop_after)
    return Trajectory(bench, method=Method(name="random"), seed=1, budgets=budgets, out=out).run()


def test_they_are_chosen_kept_over_a_stop_and_recorded(tmp_path: Path) -> None:
    straight = play(tmp_path / "straight", [16, 32])
    assert [entry["stride"] for entry in straight["budgets"].values()] == [2, 2]
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        play(stopped, [16, 32], stop_after=3)  # its first round is told, and put away
    assert play(stopped, [16, 32]) == straight
    later = tmp_path / "later"
    assert play(later, [16])["budgets"]["16"] == straight["budgets"]["16"]
    for state in later.rglob("*.state"):
        state.unlink()
    assert play(later, [16, 32]) == straight


def test_a_stride_that_is_given_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "finer", lambda *given: pytest.fail("It was compared with another."))
    record = play(tmp_path, [16], stride=4)
    assert "stride" not in record["budgets"]["16"]
    labels = experiment_of(stride="labels")
    assert labels.key("trajectory", "random", 0) != experiment_of(stride=4).key("trajectory", "random", 0)
    assert labels.loop(2).finer is False  # a policy's games


def test_theta_0_and_full_supervision_choose_too(tmp_path: Path) -> None:
    bench = bench_of(experiment_of(theta0="state"), tmp_path)
    assert theta_0(bench, 0).stride == theta_0(bench, 0).stride == 2  # made, and read from where it is kept
    fixed = bench_of(experiment_of(theta0="state", stride=4), tmp_path)
    assert theta_0(fixed, 0).stride == 4
    assert full_supervision(bench, 0)["miou"] > full_supervision(fixed, 0)["miou"]
