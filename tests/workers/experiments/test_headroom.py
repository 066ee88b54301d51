"""The headroom: full supervision learns from every region, and says when a pool cannot tell methods apart."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.experiments import headroom as module
from workers.experiments.headroom import full_supervision, headroom, headroom_table
from workers.experiments.stages import Bench
from workers.training.convergence import Material


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return tiny_bench(tiny_experiment(tmp_path), tmp_path)


def refuse(done: float, text: str) -> None:
    raise AssertionError(f"made again: {text}")


def trained_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def note(bench: Bench, segmenter: object, material: Material, **named: Any) -> None:
        seen.update(images=material.source, examples=material.examples, **named)

    monkeypatch.setattr(module, "train_and_keep", note)
    full_supervision(bench, 0)
    return seen


def test_full_supervision_sees_d_t_and_d_v_where_theta_0_knows_d_t(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = trained_on(bench, monkeypatch)
    assert len(seen["images"]) == 3 + 6
    assert len(seen["examples"]) == (3 + 6) * 12
    last = seen["examples"][-1]
    assert (last.image, last.box) == (8, (32, 48, 16, 16))
    assert (seen["images"].label_map(8) == bench.split("pool").label_map(5)).all()
    assert (seen["images"].label_map(2) == bench.split("train").label_map(2)).all()


def test_it_sees_d_v_alone_where_theta_0_does_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other = bench.experiment.model_copy(update={"theta0": "source"})
    assert len(trained_on(replace(bench, experiment=other), monkeypatch)["examples"]) == 6 * 12


def test_each_seed_is_made_once_and_seeds_differ(bench: Bench) -> None:
    first, second = full_supervision(bench, 0), full_supervision(bench, 1)
    assert first["iou_per_class"] != second["iou_per_class"]
    assert full_supervision(replace(bench, report=refuse), 0) == first


def test_the_record_holds_both_ends_the_spread_and_what_labels_cost(bench: Bench, tmp_path: Path) -> None:
    record = headroom(bench, [0, 1], tmp_path)
    assert json.loads((tmp_path / "headroom.json").read_text()) == record
    assert (record["theta0"], record["cell_height"], record["height"], record["width"]) == ("dt", 16, 48, 64)
    assert record["full"]["miou"] == [full_supervision(bench, seed)["miou"] for seed in (0, 1)]
    assert record["std"] == pytest.approx(stdev(record["full"]["miou"]))
    assert record["full"]["regions"] == record["labels"]["pool"]["regions"] == 72
    assert {split: labels["regions"] for split, labels in record["labels"].items()} == {
        "train": 36, "reward": 24, "state": 24, "pool": 72
    }  # fmt: skip
    assert record["labels"]["pool"]["pixels"] <= 6 * 48 * 64
    assert len(record["theta_0"]["iou_per_class"]) == len(record["classes"]) == 11


def test_the_spread_of_random_counts_where_it_is_larger(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "trajectories"
    folder.mkdir()
    experiment = bench.experiment.model_dump(mode="json", exclude={"policies"})
    for seed, miou in enumerate((0.1, 0.5)):
        budgets = {"8": {"miou": 0.3}, "12": {"miou": miou}}
        for name, settings in (("same", experiment), ("other", {})):
            played = {"method": "random", "group": "main", "experiment": settings, "budgets": budgets}
            (folder / f"{name}-{seed}.json").write_text(json.dumps(played))
    record = headroom(bench, [0, 1], tmp_path)
    assert record["std"] == pytest.approx(0.4 / 2**0.5)
    assert record["informative"] is False


@pytest.mark.parametrize(("full", "informative"), [([0.5, 0.52], True), ([0.31, 0.33], False)])
def test_a_pool_without_headroom_is_called_uninformative(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: list[float], informative: bool
) -> None:
    # A std of 0.0141: 5 of them are 0.07 points of mIoU, in [0, 1].
    ious = [0.3] * 11
    monkeypatch.setattr(module, "_tested", lambda bench, segmenter: {"miou": 0.3, "iou_per_class": ious})
    monkeypatch.setattr(module, "full_supervision", lambda bench, seed: {"miou": full[seed], "iou_per_class": ious})
    record = headroom(bench, [0, 1], tmp_path)
    assert record["informative"] is informative
    assert ("uninformative: full supervision lies 2.00 points" in headroom_table(record)) is not informative


def test_full_supervision_that_brings_nothing_is_uninformative_however_little_seeds_spread(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = {"miou": 1.0, "iou_per_class": [1.0] * 11}
    monkeypatch.setattr(module, "_tested", lambda bench, segmenter: tested)
    monkeypatch.setattr(module, "full_supervision", lambda bench, seed: tested)
    record = headroom(bench, [0, 1], tmp_path)
    assert record["informative"] is False
    assert "not above it at all; this pool cannot tell methods apart" in headroom_table(record)


def test_of_one_seed_the_spread_is_not_known(bench: Bench, tmp_path: Path) -> None:
    record = headroom(bench, [0], tmp_path)
    assert record["std"] is None
    assert record["informative"] is None
    assert "unknown, of one seed" in headroom_table(record)
    record["classes"][0] = "Sky|Cloud"
    assert "| mIoU | Sky\\|Cloud |" in headroom_table(record)
