"""The presets: the paper's are docs/method.md 7 to 9 to the number, and Cityscapes' runs on images in its layout."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.domain.methods import Method
from workers.datasets.files import published_splits
from workers.experiments.presets import read_preset
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, open_experiment_data
from workers.experiments.trajectory import Trajectory
from workers.policy.building import dqn_settings


@pytest.mark.parametrize(
    ("dataset", "shape", "training"),
    [
        ("camvid", ((360, 480), (90, 80), 24, 1920), (100, 480, 600, 1e-3)),
        ("cityscapes", ((1024, 2048), (128, 128), 256, 30720), (50, 3840, 3200, 1e-4)),
    ],
)
def test_the_papers_policy_is_trained_as_in_section_7(
    dataset: str, shape: tuple[Any, ...], training: tuple[int, int, int, float]
) -> None:
    experiment = read_preset("paper", dataset)
    size, cell = (experiment.height, experiment.width), (experiment.cell_height, experiment.cell_width)
    assert (size, cell, experiment.batch_size, experiment.budget) == shape
    episodes, budget, capacity, lr = training
    policy = experiment.policy("paper")
    assert (policy.episodes, policy.budget, policy.pool_size, policy.capacity) == (episodes, budget, 20, capacity)
    assert (policy.batch, policy.gamma, policy.sync_every, policy.epsilon_rounds) == (16, 0.999, 5, 10.0)
    assert (policy.optimizer, policy.lr, policy.loss, policy.n_step) == ("sgd", lr, "huber", 1)
    assert (policy.network, policy.sources, policy.updates_per_round) == ("paper", ("own",), 1)
    assert (policy.twin, policy.standardise, policy.prioritised_alpha, policy.clip) == (False, False, 0.0, None)
    dqn = dqn_settings(policy)
    assert (dqn.momentum, dqn.weight_decay) == (0.95, 1e-3)


@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [
        ("camvid", {"learned:paper": 10, "entropy": 10, "bald": 10, "random": 50, "learned-untrained:paper": 10}),
        (
            "cityscapes",
            {"learned:paper": 100, "entropy": 200, "bald": 200, "random": 500, "learned-untrained:paper": 100},
        ),
    ],
)
def test_candidate_pools_at_evaluation_are_as_in_section_7(dataset: str, sizes: dict[str, int]) -> None:
    experiment = read_preset("paper", dataset)
    assert {method: experiment.loop(11, Method.parse(method)).pool_size for method in sizes} == sizes


@pytest.mark.parametrize(
    ("dataset", "crop", "batch", "lr", "patience"),
    [("camvid", (224, 224), 32, 1e-3, 150), ("cityscapes", (256, 512), 16, 1e-4, 60)],
)
def test_the_segmenter_is_trained_as_in_sections_8_and_9(
    dataset: str, crop: tuple[int, int], batch: int, lr: float, patience: int
) -> None:
    experiment = read_preset("paper", dataset)
    assert experiment.theta0 == "dt"
    assert experiment.reward_images is None
    for training in (experiment.round, experiment.theta0_training, experiment.converge):
        assert ((training.crop_height, training.crop_width), training.batch, training.lr) == (crop, batch, lr)
        assert (training.momentum, training.weight_decay, training.clip) == (0.95, 1e-4, 4.0)
        assert training.optimizer == "sgd"
    for convergence in (experiment.theta0_training, experiment.converge):
        assert (convergence.patience, convergence.max_epochs, convergence.evaluate_every) == (patience, 1000, 1)
        assert convergence.steps == 0


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Every image of the authors' splits, and two to test on, as one small picture under many names."""
    root, rng = tmp_path / "cityscapes", np.random.default_rng(3)
    root.mkdir()
    ids = np.repeat(rng.choice(np.array([7, 11, 21, 23, 26], np.uint8), (2, 4)), 8, axis=0).repeat(8, axis=1)
    Image.fromarray(ids).save(root / "labels.png")
    Image.fromarray(np.stack([ids * 9, ids * 5, 255 - ids * 7], axis=-1)).save(root / "image.png")
    train = {name for names in published_splits("cityscapes").values() for name in names}
    for folder, names in (("train", train), ("val", {"munster_000001_000019", "lindau_000000_000019"})):
        for name in names:
            for file, below, ending in (
                ("image.png", "leftImg8bit", "leftImg8bit"),
                ("labels.png", "gtFine", "gtFine_labelIds"),
            ):
                target = root / below / folder / name.split("_")[0] / f"{name}_{ending}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(root / file, target)
    return root


def shrunken_cityscapes() -> Experiment:
    """The preset in all but its sizes."""
    sizes = {
        "height": 16, "width": 32, "cell_height": 8, "cell_width": 8, "segmenter": "fpn", "segmenter_width": 4,
        "batch_size": 8, "pool_size": 6, "pool_size_per_strategy.random": 12, "pool_size_per_strategy.learned": 6,
        "reward_images": 3, "source.images": 4, "source.max_epochs": 1, "theta0_training.max_epochs": 1,
        "converge.max_epochs": 2, "policies.paper.episodes": 1, "policies.paper.budget": 16, "policies.paper.pool_size": 2,
    }  # fmt: skip
    crops = {
        f"{stage}.{side}": length
        for stage in ("round", "source", "theta0_training", "converge")
        for side, length in (("crop_height", 16), ("crop_width", 16))
    }
    return read_preset("paper", "cityscapes", [f"{name}={value}" for name, value in (sizes | crops).items()])


@pytest.mark.parametrize("method", ["random", "entropy", "learned:paper"])
def test_the_cityscapes_preset_plays_two_rounds_on_images_in_its_layout(
    cityscapes: Path, tmp_path: Path, method: str
) -> None:
    experiment = shrunken_cityscapes()
    bench = Bench(
        experiment=experiment,
        dataset=open_experiment_data(experiment, cityscapes),
        cache=tmp_path / "cache",
        device="cpu",
        report=lambda done, text: None,
    )
    record = Trajectory(bench, method=Method.parse(method), seed=0, budgets=[8, 16], out=tmp_path).run()
    assert [entry["regions"] for entry in record["rounds"]] == [8, 16]
    assert len(record["budgets"]["16"]["iou_per_class"]) == 19
    # Regions of 8 x 8, of which every pixel is labelled.
    assert record["budgets"]["16"]["pixels"] == 16 * 64
