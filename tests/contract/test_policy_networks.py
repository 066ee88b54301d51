"""What the domain says of policies' networks is what models/ builds: the same weights, the same settings, the same refusals."""

import dataclasses
from itertools import product

import pytest
import torch

from models.blend import Blend
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import ViewSettings
from models.strategies import build_strategy
from models.turns_network import TurnsNetwork
from service.domain.policy_files import check_policy, check_policy_weights
from service.domain.policy_networks import SETTINGS, VIEW, architecture_of
from service.domain.weights import WeightsError, read_weights
from tests.workers.conftest import CLASSES
from workers.training.checkpoints import Policy, save_policy

REGIONWISE = [
    {"deep": deep, "dueling": dueling, "state_encoder": encoder, "width": width, "view": view, **bound}
    for deep, dueling, encoder, width, view, bound in product(
        (True, False),
        (True, False),
        ("attention", "mean", "sum"),
        (8, 7, 1),
        ({}, {"class_relative": False, "state": False}),
        ({}, {"classes": 3}, {"state_rows": 27}),
    )
]


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("classes", "state_regions"), [(2, 1), (3, 24), (19, 36)])
def test_the_papers_network_has_the_weights_that_the_domain_expects(classes: int, state_regions: int) -> None:
    described = {"architecture": {"classes": classes, "state_regions": state_regions}}
    architecture = architecture_of(described)
    assert architecture.shapes() == shapes_of(QueryNetwork(classes, state_regions))
    assert (architecture.classes, architecture.bound_to_regions) == (classes, state_regions)


def test_regionwise_networks_have_the_weights_that_the_domain_expects_or_neither_is_made() -> None:
    made = 0
    for described in REGIONWISE:
        try:
            network = RegionwiseNetwork.from_description(described)
        except ValueError:
            with pytest.raises(WeightsError):
                architecture_of({"architecture": {"network": "regionwise", **described}})
            continue
        made += 1
        architecture = architecture_of({"architecture": {"network": "regionwise", **network.describe()}})
        assert architecture == architecture_of({"architecture": {"network": "regionwise", **described}})
        assert architecture.shapes() == shapes_of(network)
        assert architecture.classes == network.classes
    assert 20 < made < len(REGIONWISE)


def test_a_blend_has_the_weights_that_the_domain_expects_and_two_settings() -> None:
    architecture = architecture_of({"architecture": {"network": "blend", **Blend().describe()}})
    assert architecture.shapes() == shapes_of(Blend())
    for other in (Blend(known=True), Blend(covers=True), Blend(known=True, covers=True)):
        assert architecture_of({"architecture": {"network": "blend", **other.describe()}}).shapes() == shapes_of(other)
    assert (architecture.classes, architecture.bound_to_regions) == (None, None)
    with pytest.raises(WeightsError, match="blend has just known"):
        architecture_of({"architecture": {"network": "blend", "width": 8}})


def test_the_network_of_turns_has_the_weights_that_the_domain_expects() -> None:
    for network in (TurnsNetwork(2), TurnsNetwork(32), TurnsNetwork(covers=True)):
        architecture = architecture_of({"architecture": {"network": "turns", **network.describe()}})
        assert architecture.shapes() == shapes_of(network)
    assert architecture == architecture_of({"architecture": {"network": "turns"}})
    for wrong in ({"width": 1}, {"width": True}, {"deep": True}, {"covers": 1}):
        with pytest.raises(WeightsError):
            architecture_of({"architecture": {"network": "turns", **wrong}})


@pytest.mark.parametrize(
    "policy", [QueryNetwork(3, 24), RegionwiseNetwork(RegionwiseSettings(width=8)), Blend(), TurnsNetwork(8)]
)
def test_the_domain_knows_which_networks_look_at_a_state_set(policy: Policy) -> None:
    architecture = architecture_of(read_weights(save_policy(policy, CLASSES)).description)
    view = build_strategy("learned", policy).view
    assert view is not None
    assert architecture.needs_state == view.needs_state


def test_the_settings_and_their_defaults_are_those_of_the_networks() -> None:
    assert {"view", *SETTINGS} == {each.name for each in dataclasses.fields(RegionwiseSettings)}
    assert set(VIEW) == {each.name for each in dataclasses.fields(ViewSettings)}
    default = {"network": "regionwise", **dataclasses.asdict(RegionwiseSettings())}
    assert architecture_of({"architecture": {"network": "regionwise"}}) == architecture_of({"architecture": default})


@pytest.mark.parametrize(
    "policy",
    [QueryNetwork(3, 24), RegionwiseNetwork(RegionwiseSettings(width=8)), Blend(), Blend(known=True), TurnsNetwork(8)],
    ids=["paper", "regionwise", "blend", "blend of three", "turns"],
)
def test_every_change_of_a_saved_networks_weights_is_refused(policy: Policy) -> None:
    data = save_policy(policy, CLASSES, {"momentum": torch.ones(2, dtype=torch.float16)}, returns=[1.5])
    file = read_weights(data)
    check_policy(file.description, CLASSES, 24)
    check_policy_weights(file)
    for name, tensor in file.tensors.items():
        if name.startswith("extra."):
            continue
        left = {key: each for key, each in file.tensors.items() if key != name}
        for changed in (
            left,
            left | {name + "x": tensor},
            left | {name: dataclasses.replace(tensor, shape=(*tensor.shape, 1))},
            left | {name: dataclasses.replace(tensor, dtype="I32")},
        ):
            with pytest.raises(WeightsError, match=name) as refused:
                check_policy_weights(dataclasses.replace(file, tensors=changed))
            assert refused.value.code == "wrong_weights"
