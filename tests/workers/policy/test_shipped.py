"""The policy that comes with regionwise: small, free of any data set, and with its card."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from models.blend import Blend
from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from service.domain.policy_files import check_policy, check_policy_weights
from service.domain.weights import read_weights
from service.schemas.policies import PolicySettings
from tests.workers.conftest import CLASSES
from tests.workers.policy.test_ground import home
from workers.datasets.base import Dataset
from workers.experiments.policies import trained_policy
from workers.experiments.presets import read_preset
from workers.experiments.stages import Bench
from workers.policy.building import build_network, search
from workers.policy.shipped import beginning_of, shipped_bytes, shipped_digest, shipped_policy

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


FURTHER = PolicySettings(network="blend", known=True, begins="shipped", episodes=8, population=4, budget=8, pool_size=3)


def test_a_search_may_begin_at_it() -> None:
    begun = search(FURTHER, home(), 0)
    assert np.array_equal(
        begun.found(), parameters_to_vector(shipped_policy(CLASSES).parameters()).detach().double().numpy()
    )
    own = search(FURTHER.model_copy(update={"begins": "sum"}), home(), 0)
    assert not np.array_equal(begun.found(), own.found())
    # So does the control, and what a process that plays for the search puts numbers into.
    control = build_network(FURTHER, 3, 0, 0)
    assert np.array_equal(parameters_to_vector(control.parameters()).detach().double().numpy(), begun.found())


def test_what_begins_at_it_has_another_key_where_the_file_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, changed = read_preset("streets", "streets"), "workers.policy.shipped.shipped_digest"
    further, first = experiment.policy_key("blend-further", 0), experiment.policy_key("blend-carried", 0)
    said = beginning_of(FURTHER)
    monkeypatch.setattr(changed, lambda: "another")
    assert experiment.policy_key("blend-further", 0) != further
    assert experiment.policy_key("blend-carried", 0) == first
    assert beginning_of(FURTHER) != said
    assert beginning_of(FURTHER.model_copy(update={"begins": "sum"})) == {}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"network": "blend", "begins": "shipped"}, "comes with regionwise is known, .* set known = true"),
        (
            {"network": "blend", "known": True, "covers": True, "begins": "shipped"},
            "set known = true and covers = false",
        ),
        ({"network": "regionwise", "begins": "shipped"}, "begins is not used by a DQN"),
        ({"network": "blend", "begins": "nowhere"}, "'sum' or 'shipped'"),
    ],
)
def test_a_beginning_that_does_not_fit_is_refused(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PolicySettings(**chosen)
