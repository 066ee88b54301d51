"""Guides: none has trained on what it describes of D_T, and what they expect is worked out once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.features import describe
from models.segmenter import Segmenter
from tests.workers.games import POOL, tiny_segmenter
from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.experiments import guides
from workers.experiments.stages import Bench
from workers.training.convergence import Material, image_tensor

CELLS = 12  # of an image of 48 x 64 pixels


class Pretended:
    """Training that remembers what it is given, and makes a segmenter that sees nothing but the class of its turn."""

    def __init__(self) -> None:
        self.images: list[list[str]] = []
        self.given: list[dict[str, Any]] = []

    def __call__(self, bench: Bench, segmenter: Segmenter, material: Material, **given: Any) -> None:
        with torch.no_grad():
            segmenter.classifier.weight.zero_()
            segmenter.classifier.bias.zero_()[len(self.images)] = 50.0
        self.images.append([material.source.name(number) for number in range(len(material.source))])
        self.given.append(given)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return tiny_bench(tiny_experiment(tmp_path, "source.images=0"), tmp_path)


@pytest.fixture
def training(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    pretended = Pretended()
    monkeypatch.setattr(guides, "train_and_keep", pretended)
    return pretended


def never(*given: Any, **named: Any) -> None:
    raise AssertionError("trained again")


def test_a_region_of_d_t_is_described_by_a_guide_that_has_not_seen_its_image(bench: Bench, training: Pretended) -> None:
    mass_RC = guides.guide_of_training(bench)
    source = bench.split("train")
    assert len(source) == 3
    assert mass_RC.shape == (3 * CELLS, bench.classes)
    for image in range(3):
        expected = mass_RC[CELLS * image : CELLS * (image + 1)].argmax(1).unique().tolist()
        assert len(expected) == 1
        assert source.name(image) not in training.images[expected[0]]
    assert sorted([*training.images[0], *training.images[1]]) == sorted(source.name(image) for image in range(3))


def test_the_pool_is_described_by_a_guide_that_has_seen_all_of_d_t(bench: Bench, training: Pretended) -> None:
    mass_RC = guides.guide_of_pool(bench)
    assert training.images == [[bench.split("train").name(image) for image in range(3)]]
    torch.testing.assert_close(mass_RC, torch.eye(bench.classes)[:1].expand(6 * CELLS, -1))
    (given,) = training.given
    assert [given["score"].name(image) for image in range(2)] == [bench.split("reward").name(n) for n in range(2)]
    assert given["settings"] == bench.experiment.theta0_training


def test_games_that_redraw_their_images_have_d_r_described_after_d_t_by_a_guide_of_all_of_d_t(
    bench: Bench, training: Pretended
) -> None:
    of_training = guides.guide_of_training(bench)
    assert torch.equal(guides.guide_of_games(bench, redraw=False), of_training)
    of_games = guides.guide_of_games(bench, redraw=True)
    assert torch.equal(of_games[: len(of_training)], of_training)
    of_reward = of_games[len(of_training) :]
    assert len(of_reward) == CELLS * len(bench.split("reward"))
    torch.testing.assert_close(of_reward, torch.eye(bench.classes)[2:3].expand_as(of_reward))
    assert training.images[2] == [bench.split("train").name(image) for image in range(3)]


def test_what_guides_expect_is_kept_and_read_back(bench: Bench, training: Pretended, monkeypatch) -> None:
    of_training, of_pool = guides.guide_of_training(bench), guides.guide_of_pool(bench)
    assert len(training.images) == 3
    monkeypatch.setattr(guides, "train_and_keep", never)
    monkeypatch.setattr(guides, "class_mass", never)
    again = tiny_bench(bench.experiment, bench.cache.parent)
    assert torch.equal(guides.guide_of_training(again), of_training)
    assert torch.equal(guides.guide_of_pool(again), of_pool)


def test_a_guide_that_is_there_describes_again_without_training(bench: Bench, training: Pretended, monkeypatch) -> None:
    of_pool = guides.guide_of_pool(bench)
    (kept,) = bench.cache.glob("guide-mass-*")
    kept.unlink()
    monkeypatch.setattr(guides, "train_and_keep", never)
    torch.testing.assert_close(guides.guide_of_pool(bench), of_pool)


def test_guides_really_learn_from_d_t(bench: Bench) -> None:
    before, after = guides._guide(bench, None), guides._guide(bench, 0)
    assert not torch.equal(before.classifier.weight, after.classifier.weight)
    masses = guides.guide_of_pool(bench)
    torch.testing.assert_close(masses.sum(1), torch.ones(6 * CELLS))


def test_regions_are_described_image_by_image_and_cell_by_cell(bench: Bench) -> None:
    mass_RC = guides.class_mass(bench, tiny_segmenter(), POOL)
    for image, cell in ((0, 0), (1, 6), (3, 11)):
        row, col = divmod(cell, 4)
        box = torch.tensor([[16 * row, 16 * col, 16, 16]])
        (alone,) = describe(
            tiny_segmenter(), image_tensor(POOL.image(image))[None], [box], vectors=frozenset({"class_mass"})
        )
        torch.testing.assert_close(mass_RC[CELLS * image + cell], alone.rows.vectors["class_mass"][0])
