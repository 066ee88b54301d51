"""The encoder against the implementation that its weights were published with."""

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from models.efficientnet_lite import STRIDES, EfficientNetLite, load_published
from tests.models.eyes import seeded
from workers.training.encoders import weights_file

CHANNELS = {
    "efficientnet-lite0": (16, 24, 40, 112, 320),
    "efficientnet-lite1": (16, 24, 40, 112, 320),
    "efficientnet-lite2": (16, 24, 48, 120, 352),
}
SIZES = [(64, 96), (100, 131), (77, 33)]


def published(name: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(weights_file(name), map_location="cpu", weights_only=True)
    return state


def loaded(name: str) -> EfficientNetLite:
    encoder = EfficientNetLite(name)
    load_published(encoder, published(name))
    return encoder.eval()


def reference_levels(name: str, images_B3HW: Tensor) -> list[Tensor]:
    """The last map of each stride, by the other implementation; without image_size it pads for what it is given."""
    network = EfficientNet.from_name(name, image_size=None)
    network.load_state_dict(published(name))
    network.eval()
    maps = network._swish(network._bn0(network._conv_stem(images_B3HW)))
    last: dict[tuple[int, ...], Tensor] = {}
    for block in network._blocks:
        maps = block(maps)
        last[tuple(maps.shape[-2:])] = maps
    return list(last.values())


@torch.no_grad()
@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
def test_the_five_levels_are_those_of_the_other_implementation(name: str, size: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *size, generator=seeded())
    levels, expected = loaded(name)(images), reference_levels(name, images)
    assert len(levels) == len(expected) == len(STRIDES)
    for level, other, stride, channels in zip(levels, expected, STRIDES, CHANNELS[name], strict=True):
        assert level.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_are_told_without_running_the_encoder(name: str) -> None:
    assert EfficientNetLite(name).channels == CHANNELS[name]


@torch.no_grad()
def test_folding_the_norms_leaves_the_maps_as_they_are_and_no_norm() -> None:
    encoder, images = loaded("efficientnet-lite0"), torch.randn(1, 3, 50, 64, generator=seeded())
    before = encoder(images)
    encoder.fold()
    encoder.fold()  # twice is as good as once
    assert not [module for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for level, other in zip(encoder(images), before, strict=True):
        assert float((level - other).abs().max()) < 1e-3


def test_an_encoder_that_is_not_folded_learns_through_every_level() -> None:
    encoder = loaded("efficientnet-lite0").train()
    sum(level.mean() for level in encoder(torch.randn(2, 3, 64, 64, generator=seeded()))).backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("change", ["lacks", "has more", "has another shape", "is of another variant"])
def test_other_tensors_are_refused_and_nothing_is_loaded(change: str) -> None:
    state = published("efficientnet-lite2" if change == "is of another variant" else "efficientnet-lite0")
    key = "_blocks.3._project_conv.weight"
    if change == "lacks":
        del state[key]
    elif change == "has more":
        state["_blocks.3._se_reduce.weight"] = torch.zeros(1)
    elif change == "has another shape":
        state[key] = state[key][:1]
    encoder = EfficientNetLite("efficientnet-lite0")
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(ValueError, match=r"not the weights of this encoder: \d+ tensors differ, first "):
        load_published(encoder, state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_an_unknown_variant_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(ValueError, match=r"no encoder 'efficientnet-lite9'. There are: efficientnet-lite0, "):
        EfficientNetLite("efficientnet-lite9")
