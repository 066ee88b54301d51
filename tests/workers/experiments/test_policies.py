"""Policies of an experiment: the games that their sources name, trained once, and untrained controls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from service.domain.classes import CAMVID, CITYSCAPES, IGNORE, ClassSet
from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.datasets.streets import streets_dataset
from workers.experiments.policies import ground_of, trained_policy, untrained_policy
from workers.experiments.stages import Bench, theta_pre
from workers.policy import building
from workers.policy.frozen import FrozenRegions, freeze
from workers.policy.surrogate import SurrogateGame

SURROGATE = ("network=regionwise", "game=surrogate", "episodes=2", "budget=8", "pool_size=3", "batch=4")


def bench_of(folder: Path, *more: str) -> Bench:
    """A bench whose experiment has the policies "paper" and "mine", without a source domain."""
    overrides = [f"policies.mine.{each}" for each in (*SURROGATE, "width=8", *more)]
    return tiny_bench(tiny_experiment(folder, "source.images=0", "theta0_training.max_epochs=1", *overrides), folder)


@pytest.fixture(autouse=True)
def cities_are_villages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "CITY", {"train": 2, "state": 1, "reward": 1})


def game_of(bench: Bench, name: str, source: str) -> SurrogateGame:
    return building.surrogate_game(bench.experiment.policy(name), ground_of(bench, name), source)


def frozen(bench: Bench, split: str) -> FrozenRegions:
    return freeze(theta_pre(bench, 0), bench.split(split), bench.experiment.loop(bench.classes, policy="mine"))


def test_at_home_a_policy_plays_on_d_t(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    game = game_of(bench, "mine", "own")
    assert torch.equal(game.pool.labels_RP, frozen(bench, "train").labels_RP)
    assert torch.equal(game.state.labels_RP, frozen(bench, "state").labels_RP)
    assert (game.settings.pool_size, game.settings.batch_size) == (3, 4)


def test_a_city_is_streets_of_its_seed(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    first, other = (game_of(bench, "mine", f"streets:{seed}") for seed in (1, 2))
    streets = streets_dataset(1, 48, 64, building.CITY)
    settings = bench.experiment.loop(bench.classes, policy="mine")
    for regions, split in ((first.pool, "train"), (first.state, "state")):
        expected = freeze(theta_pre(bench, 0), streets.splits[split], settings)
        assert torch.equal(regions.labels_RP, expected.labels_RP)
    assert (len(first.pool), len(first.state)) == (2 * 12, 12)
    assert first.classes == bench.classes
    assert not torch.equal(first.pool.labels_RP, other.pool.labels_RP)


def test_a_city_may_have_some_of_the_classes(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    whole, some = (game_of(bench, "mine", source).pool.labels_RP for source in ("streets:1", "streets:1:3-0-4"))
    places = np.full(256, IGNORE)
    places[[3, 0, 4]] = [0, 1, 2]
    np.testing.assert_array_equal(some, places[whole])
    assert game_of(bench, "mine", "streets:1:3-0-4").classes == 3


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("camvid", 'plays on "own" or on "streets:SEED" .* not on \'camvid\''),
        ("streets", "not on 'streets'"),
        ("streets:", "not on 'streets:'"),
        ("streets:one", "not on 'streets:one'"),
        ("streets:-1", "not on 'streets:-1'"),
        ("streets:1:", "not on 'streets:1:'"),
        ("streets:1:road-sky", "not on 'streets:1:road-sky'"),
        ("streets:1:0-1-", "not on 'streets:1:0-1-'"),
        ("streets:1:4", "'streets:1:4' should name two or more different classes from 0 to 10"),
        ("streets:1:4-4", "two or more different classes from 0 to 10"),
        ("streets:1:0-11", "two or more different classes from 0 to 10"),
    ],
)
def test_other_sources_are_refused_before_anything_is_trained(tmp_path: Path, source: str, sentence: str) -> None:
    bench = bench_of(tmp_path)
    with pytest.raises(ValueError, match=sentence):
        game_of(bench, "mine", source)
    assert not list(tmp_path.glob("cache/*"))


def test_a_city_is_refused_where_the_experiment_has_other_classes(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    # As many classes as CamVid has: it is their names that count.
    others = ClassSet(classes=tuple(replace(each, name=each.name.lower()) for each in CAMVID.classes), ignore_id=11)
    for classes in (others, CITYSCAPES):
        other = replace(bench, dataset=replace(bench.dataset, classes=classes))
        with pytest.raises(
            ValueError, match=r"has CamVid's 11 classes, Sky, .* and here they are .* sources to \[\"own\"\]"
        ):
            game_of(other, "mine", "streets:1")
    assert not list(tmp_path.glob("cache/*"))


def test_a_policy_is_trained_once_on_all_its_sources_and_read_back(tmp_path: Path) -> None:
    sources = 'sources=["own", "streets:1:0-1-2"]'
    bench = bench_of(tmp_path, sources, "episodes=4", "twin=true", "standardise=true", "n_step=2")
    policy = trained_policy(bench, "mine", 0)
    assert isinstance(policy, RegionwiseNetwork)
    assert policy.settings.width == 8
    control = untrained_policy(bench, "mine", 0).state_dict()
    # Weights are kept from the one trial, after the last episode.
    assert any(not torch.equal(value, control[key]) for key, value in policy.state_dict().items())
    heard: list[str] = []
    again = tiny_bench(bench.experiment, tmp_path, lambda done, text: heard.append(text))
    loaded = trained_policy(again, "mine", 0)
    assert heard == []
    assert all(torch.equal(value, policy.state_dict()[key]) for key, value in loaded.state_dict().items())
    assert not list(bench.cache.glob("*.state"))


@pytest.mark.parametrize(("more", "classes"), [((), None), (("class_relative=false",), 11)])
def test_only_what_depends_on_identities_is_bound_to_the_data_set(
    tmp_path: Path, more: tuple[str, ...], classes: int | None
) -> None:
    bench = bench_of(tmp_path, *more)
    policy = untrained_policy(bench, "mine", 0)
    assert isinstance(policy, RegionwiseNetwork)
    assert policy.settings.classes == classes
    assert ground_of(bench, "mine").state_regions == 2 * 12
    assert not policy.training
    assert isinstance(untrained_policy(bench, "paper", 0), QueryNetwork)
