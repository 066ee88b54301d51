"""Encoders that may stay frozen, by the names of segmenters: their levels, their normalisation, and folded norms."""

import types

import pytest
import torch
from torch import nn

from models import smp
from models.encoder_names import has_published_weights, named_encoder
from models.fpn import IMAGENET_MEAN, IMAGENET_STD
from models.resnet_fpn import ResNet50Encoder
from models.smp import EncoderOutOfReach, smp_encoder
from tests.models.eyes import seeded
from tests.models.small_library import NAME, SmallBody, SmallLibrary


def library(monkeypatch: pytest.MonkeyPatch, published: int | None = 1, **normal: object) -> SmallLibrary:
    made = SmallLibrary(published, **normal)
    monkeypatch.setattr(smp, "_library", lambda: made)
    return made


@torch.no_grad()
@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "fpn-resnet50", NAME])
def test_levels_have_the_strides_and_channels_that_the_encoder_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library(monkeypatch)
    encoder = named_encoder(name).eval()
    levels = encoder(torch.zeros(2, 3, 64, 96))
    found = [tuple(level.shape) for level in levels]
    assert found == [(2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)]


def test_what_has_published_weights_and_what_has_none() -> None:
    names = ("efficientnet-lite1", "fpn-resnet50", "smp:unet:resnet18", "fpn", "efficientnet-lite3")
    assert [has_published_weights(name) for name in names] == [True, True, True, False, False]
    with pytest.raises(ValueError, match="no encoder 'fpn'"):
        named_encoder("fpn")


def test_a_resnet_is_normalised_as_torchvision_s_was() -> None:
    encoder = named_encoder("fpn-resnet50")
    assert (encoder.mean, encoder.std, encoder.strides) == (IMAGENET_MEAN, IMAGENET_STD, (4, 8, 16, 32))


@torch.no_grad()
def test_a_folded_resnet_gives_the_same_levels_without_norms() -> None:
    encoder = ResNet50Encoder().eval()
    for norm in [each for each in encoder.modules() if isinstance(each, nn.BatchNorm2d)]:
        norm.running_mean = 0.3 * torch.randn(norm.num_features, generator=seeded(1))
        norm.running_var = torch.rand(norm.num_features, generator=seeded(2)) + 0.5
        norm.weight.data = torch.rand(norm.num_features, generator=seeded(3)) + 0.5
        norm.bias.data = 0.3 * torch.randn(norm.num_features, generator=seeded(4))
    images = torch.randn(1, 3, 64, 32, generator=seeded())
    before = encoder(images)
    encoder.fold()
    assert not [each for each in encoder.modules() if isinstance(each, nn.BatchNorm2d)]
    for one, other in zip(encoder(images), before, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * float(other.std()))


@torch.no_grad()
def test_of_the_library_s_levels_the_image_and_those_of_no_channels_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library(monkeypatch)
    encoder, images = smp_encoder(NAME, pretrained=True), torch.randn(1, 3, 64, 64, generator=seeded())
    assert (encoder.strides, encoder.channels) == ((4, 8, 16, 32), (4, 5, 6, 7))
    for one, other in zip(encoder(images), SmallBody(1)(images)[2:], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("normal", "mean", "std"),
    [
        ({}, (0.5, 0.4, 0.3), (0.3, 0.2, 0.1)),
        ({"input_range": [0, 255], "mean": [51, 102, 0], "std": [255, 51, 102]}, (0.2, 0.4, 0), (1, 0.2, 0.4)),
    ],
)
def test_an_encoder_of_the_library_is_normalised_as_its_weights_were(
    normal: dict[str, object], mean: tuple[float, ...], std: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    library(monkeypatch, 1, **normal)
    encoder = smp_encoder(NAME)
    assert [*encoder.mean, *encoder.std] == pytest.approx([*mean, *std])


def test_weights_are_asked_for_only_when_told_and_timm_s_by_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = library(monkeypatch)
    smp_encoder(NAME)
    smp_encoder(NAME, pretrained=True)
    smp_encoder("smp:fpn:tu-small", pretrained=True)
    assert made.asked == [None, "imagenet", True]


@pytest.mark.parametrize(
    ("name", "published", "normal", "sentence"),
    [
        ("smp:fpn:huge", 1, {}, "has no ImageNet weights of smp:fpn:huge: .*Wrong encoder name"),
        ("smp:fpn", 1, {}, "should read smp:ARCH:ENCODER"),
        (NAME, 1, {"input_space": "BGR"}, "wants its pixels as BGR"),
    ],
)
def test_weights_that_cannot_be_had_are_a_sentence(
    name: str, published: int | None, normal: dict[str, object], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(monkeypatch, published, **normal)
    with pytest.raises(ValueError, match=sentence):
        smp_encoder(name, pretrained=True)


def test_a_hub_that_does_not_answer_is_another_matter_than_one_that_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    library(monkeypatch, None)
    with pytest.raises(
        EncoderOutOfReach, match=r"weights of smp:fpn:small cannot be had .*: let this machine reach it"
    ):
        smp_encoder(NAME, pretrained=True)


@pytest.mark.parametrize(("status", "stands"), [(401, True), (404, True), (408, False), (429, False), (503, False)])
def test_what_a_server_answers_stands_unless_it_is_busy_or_broken(
    status: int, stands: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(OSError):
        response = types.SimpleNamespace(status_code=status)

    def refuse(*given: object, **named: object) -> None:
        raise Refused("an answer")

    monkeypatch.setattr(library(monkeypatch, 1), "get_encoder", refuse)
    with pytest.raises(ValueError if stands else EncoderOutOfReach, match="weights of smp:fpn:small"):
        smp_encoder(NAME, pretrained=True)
