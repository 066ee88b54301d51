"""Policies of an experiment: trained once, and untrained controls."""

from pathlib import Path

import pytest
import torch

from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.experiments.policies import ground_of, trained_policy, untrained_policy
from workers.experiments.stages import Bench
from workers.policy.ground import SourceError

MINE = ("network=regionwise", "episodes=2", "budget=8", "pool_size=3", "batch=4")


def bench_of(folder: Path, *more: str) -> Bench:
    """A bench whose experiment has the policies "paper" and "mine", without a source domain."""
    overrides = [f"policies.mine.{each}" for each in (*MINE, "width=8", *more)]
    return tiny_bench(tiny_experiment(folder, "source.images=0", "theta0_training.max_epochs=1", *overrides), folder)


def test_a_policy_is_trained_once_and_read_back(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "episodes=4", "twin=true", "standardise=true", "n_step=2")
    policy = trained_policy(bench, "mine", 0)
    assert isinstance(policy, RegionwiseNetwork)
    assert policy.settings.width == 8
    control = untrained_policy(bench, "mine", 0).state_dict()
    assert any(not torch.equal(value, control[key]) for key, value in policy.state_dict().items())
    heard: list[str] = []
    again = tiny_bench(bench.experiment, tmp_path, lambda done, text: heard.append(text))
    loaded = trained_policy(again, "mine", 0)
    assert heard == []
    assert all(torch.equal(value, policy.state_dict()[key]) for key, value in loaded.state_dict().items())
    assert not list(bench.cache.glob("*.state"))


def test_a_city_is_refused_where_the_segmenter_is_trained_as_a_whole(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 'sources=["streets:1"]')
    with pytest.raises(SourceError, match=r"here the segmenter is trained as a whole: .* or keep the encoder frozen"):
        trained_policy(bench, "mine", 0)
    assert not list(bench.cache.glob("*"))


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
