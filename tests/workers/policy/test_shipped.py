"""The policy that comes with regionwise: small, free of any data set, and with its card."""

from importlib.resources import files
from pathlib import Path

import pytest
import torch

from models.blend import Blend
from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from service.domain.policy_files import check_policy, check_policy_weights
from service.domain.weights import read_weights
from tests.workers.conftest import CLASSES
from workers.datasets.base import Dataset
from workers.experiments.policies import trained_policy
from workers.experiments.presets import read_preset
from workers.experiments.stages import Bench
from workers.policy.shipped import shipped_bytes, shipped_digest, shipped_policy

MOST_BYTES = 2_000_000


@pytest.mark.parametrize("classes", [CLASSES, CAMVID, CITYSCAPES], ids=["three", "camvid", "cityscapes"])
def test_it_fits_any_classes_and_needs_no_state_set(classes: ClassSet) -> None:
    policy = shipped_policy(classes)
    assert isinstance(policy, Blend)
    assert not policy.training
    assert not policy.view.needs_state


def test_it_is_small_safe_and_what_it_was_trained_to_be() -> None:
    data = shipped_bytes()
    assert len(data) < MOST_BYTES
    file = read_weights(data)
    check_policy(file.description, CLASSES, 0)
    check_policy_weights(file)
    assert file.description["trials"]  # it was trained, and is no beginning


def test_its_card_says_what_it_learned_from_and_names_the_very_file() -> None:
    card = files("workers.policy.shipped").joinpath("CARD.md").read_text()
    for said in ("streets", "Not one image of a real data set", "Good for", "Not good for", shipped_digest()):
        assert said in card


def test_an_experiment_takes_it_as_it_is_and_keeps_figures_apart_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = read_preset("streets", "streets")
    bench = Bench(
        experiment=experiment,
        dataset=Dataset(name="streets", classes=CAMVID, splits={}),  # nothing to play on
        cache=tmp_path,
        device="cpu",
        report=lambda share, text: None,
    )
    policy = trained_policy(bench, "shipped", 0)
    assert isinstance(policy, Blend)
    assert torch.equal(policy.ends, shipped_policy(CAMVID).state_dict()["ends"])
    first = experiment.policy_key("shipped", 0)
    assert bench.path("policy", first).read_bytes() == shipped_bytes()
    monkeypatch.setattr("workers.experiments.settings.shipped_digest", lambda: "another")
    assert experiment.policy_key("shipped", 0) != first
