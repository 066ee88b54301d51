"""Checkpoints: the same network back, and a sentence for what does not fit."""

import pytest
import torch

from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import ViewSettings
from models.segmenter import build
from service.domain.classes import CAMVID
from tests.models.rounds_in_numbers import some_context, some_rows
from tests.workers.conftest import CLASSES
from workers.training.checkpoints import (
    CheckpointError,
    load_policy,
    load_segmenter,
    save_policy,
    save_segmenter,
    to_bytes,
)


def test_a_segmenter_comes_back_with_its_momentum_and_description() -> None:
    segmenter = build("fpn", classes=3, width=4, dropout=0.3).eval()
    data = save_segmenter(segmenter, CLASSES, {"momentum.0": torch.arange(3.0)}, miou=0.5)
    loaded, checkpoint = load_segmenter(data, CLASSES)
    images = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(segmenter(images), loaded(images))
    assert checkpoint.description["miou"] == 0.5
    assert torch.equal(checkpoint.extra["momentum.0"], torch.arange(3.0))
    assert loaded.dropout.p == 0.3


def test_a_segmenter_of_other_classes_is_refused_by_name() -> None:
    data = save_segmenter(build("fpn", classes=3, width=4), CLASSES)
    with pytest.raises(CheckpointError, match=r"ground, box, pole.*Sky"):
        load_segmenter(data, CAMVID)


def test_a_policy_of_another_state_set_is_refused() -> None:
    data = save_policy(QueryNetwork(3, 24), CLASSES)
    assert load_policy(data, CLASSES, 24)[0].state_regions == 24
    with pytest.raises(CheckpointError, match="24 regions, the project's has 36"):
        load_policy(data, CLASSES, 36)


def values(policy: torch.nn.Module, classes: int) -> torch.Tensor:
    """Q of five candidates in a round in random numbers."""
    assert isinstance(policy, RegionwiseNetwork)
    generator = torch.Generator().manual_seed(0)
    context, of_state = some_context(classes, generator), some_rows(6, classes, generator)
    actions = policy.view.actions(some_rows(5, classes, generator), context)
    values: torch.Tensor = policy(policy.view.state(of_state, context)[None], actions[None])
    return values


def test_a_regionwise_policy_comes_back_and_fits_other_classes_and_state_sets() -> None:
    settings = RegionwiseSettings(width=8, view=ViewSettings(uncertainty=False))
    policy = RegionwiseNetwork(settings, torch.Generator().manual_seed(3)).eval()
    data = save_policy(policy, CLASSES, returns=[1.0])
    for classes, state_regions in ((CLASSES, 24), (CAMVID, 36)):
        loaded, checkpoint = load_policy(data, classes, state_regions)
        assert isinstance(loaded, RegionwiseNetwork)
        assert loaded.settings == settings
        assert not loaded.training
        assert torch.equal(values(loaded, len(classes)), values(policy, len(classes)))
    assert checkpoint.description["returns"] == [1.0]


def test_a_regionwise_policy_bound_to_its_classes_is_refused_for_others() -> None:
    settings = RegionwiseSettings(width=8, view=ViewSettings(class_relative=False), classes=3)
    data = save_policy(RegionwiseNetwork(settings), CLASSES)
    assert load_policy(data, CLASSES, 36)[0].classes == 3
    with pytest.raises(CheckpointError, match="trained for other classes"):
        load_policy(data, CAMVID, 36)


def test_a_regionwise_policy_of_an_earlier_version_is_refused_with_a_sentence() -> None:
    policy = RegionwiseNetwork(RegionwiseSettings(width=8))
    view = {"class_relative": True, "similarity": False, "uncertainty": True, "state": False, "guide": True}
    earlier = {"network": "regionwise", **policy.describe(), "view": view, "state_rows": None}
    description = {"kind": "policy", "architecture": earlier, "classes": list(CLASSES.names)}
    with pytest.raises(CheckpointError, match="Take a policy that this version of regionwise has saved"):
        load_policy(to_bytes(description, policy.state_dict()), CLASSES, 24)


def test_a_policy_is_no_segmenter() -> None:
    with pytest.raises(CheckpointError, match="A segmenter was expected; the checkpoint holds a policy"):
        load_segmenter(save_policy(QueryNetwork(3, 24), CLASSES), CLASSES)


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"\xff" * 64, b"not a checkpoint at all"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_segmenter(data, CLASSES)


def test_weights_that_do_not_fit_are_refused() -> None:
    segmenter = build("fpn", classes=3, width=4)
    weights = dict(segmenter.state_dict())
    weights.popitem()
    description = {
        "kind": "segmenter",
        "classes": list(CLASSES.names),
        "architecture": {"name": "fpn", "width": 4, "dropout": 0.2},
    }
    with pytest.raises(CheckpointError, match="does not fit"):
        load_segmenter(to_bytes(description, weights), CLASSES)
