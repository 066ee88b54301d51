"""The segmenters: any image size, dropout before the classifier alone, reproducible weights, and learning."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from models.fpn import doubled
from models.resnet_fpn import ResNet50Encoder, load_encoder_state
from models.segmenter import Segmenter, build


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(8, 8), (9, 65), (64, 64), (67, 130)])
def test_logits_have_the_size_of_the_image_whatever_it_is(size: tuple[int, int]) -> None:
    segmenter = build("fpn", classes=5, width=4)
    assert segmenter.train()(images(1, 3, *size)).shape == (1, 5, *size)
    assert segmenter.eval()(images(2, 3, *size)).shape == (2, 5, *size)


def test_an_image_below_eight_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="8 x 8 pixels are needed, not 7 x 90"):
        build("fpn", classes=5, width=4)(images(1, 3, 7, 90))


def test_bytes_and_floats_from_0_to_1_are_the_same_image() -> None:
    segmenter, pixels = build("fpn", classes=5, width=4).eval(), images(1, 3, 64, 70)
    torch.testing.assert_close(segmenter(pixels), segmenter(pixels.float() / 255.0))


def test_forward_is_classify_after_encode() -> None:
    segmenter, pixels = build("fpn", classes=5, width=4).eval(), images(2, 3, 66, 70)
    assert torch.equal(segmenter(pixels), segmenter.classify(segmenter.encode(pixels), (66, 70)))


def test_what_a_stride_rounded_up_is_cut_off_again_at_the_far_side() -> None:
    coarse = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    fine = doubled(coarse, torch.empty(1, 1, 3, 3), mode="nearest")
    assert fine.tolist() == [[[[1, 1, 2], [1, 1, 2], [3, 3, 4]]]]


def test_logits_lie_where_their_features_do() -> None:
    segmenter = build("fpn", classes=2, width=4).eval()
    features = torch.zeros(1, 8, 16, 17)
    features[0, 0, 5, 16] = 1.0  # the last column, of which only 2 of 4 pixels are in an image 66 wide
    with torch.no_grad():
        segmenter.classifier.weight.zero_()[0, 0] = 1.0
        assert segmenter.classifier.bias is not None
        segmenter.classifier.bias.zero_()
    logits = segmenter.classify(features, (64, 66))[0, 0]
    rows, cols = torch.nonzero(logits == logits.max(), as_tuple=True)
    assert set(rows.tolist()) == {21, 22}  # the middle of 20..23
    assert cols.tolist() == [65, 65]


def test_the_same_generator_gives_the_same_weights_and_another_gives_others() -> None:
    first, again, other = (build("fpn", classes=5, width=4, generator=seeded(seed)) for seed in (1, 1, 2))
    pixels = images(1, 3, 64, 64)
    assert torch.equal(first.eval()(pixels), again.eval()(pixels))
    assert not torch.equal(first(pixels), other.eval()(pixels))
    bare = build("fpn", classes=5, width=4).state_dict()
    assert all(torch.equal(bare[key], value) for key, value in build("fpn", classes=5, width=4).state_dict().items())


def test_building_moves_the_generator_and_leaves_global_chance_alone() -> None:
    generator, before = seeded(1), torch.random.get_rng_state()
    first, second = (build("fpn", classes=5, width=4, generator=generator) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


def test_it_tells_what_it_was_built_as() -> None:
    segmenter = build("fpn", classes=7, width=4)
    assert (segmenter.name, segmenter.classes, segmenter.width) == ("fpn", 7, 4)


class TestDropout:
    def segmenter(self, probability: float = 0.4) -> Segmenter:
        return build("fpn", classes=5, width=4, dropout=probability).eval()

    def test_stands_only_before_the_classifier(self) -> None:
        segmenter, pixels = self.segmenter(), images(1, 3, 64, 64)
        reference = segmenter.encode(pixels)
        segmenter.dropout.train()
        features = segmenter.encode(pixels)
        assert torch.equal(features, reference)
        first, second = (segmenter.classify(features, (64, 64), seeded(seed)) for seed in (1, 2))
        assert not torch.equal(first, second)
        assert [name for name, part in segmenter.named_modules() if "Dropout" in type(part).__name__] == ["dropout"]

    def test_is_off_in_eval_mode(self) -> None:
        segmenter, pixels = self.segmenter(), images(1, 3, 64, 64)
        assert torch.equal(segmenter(pixels, seeded(1)), segmenter(pixels, seeded(2)))

    def test_repeats_with_its_generator_and_does_not_touch_global_chance(self) -> None:
        segmenter, features = self.segmenter(), torch.rand(1, 8, 16, 16, generator=seeded(0))
        segmenter.dropout.train()
        before = torch.random.get_rng_state()
        first, again = (segmenter.classify(features, (64, 64), seeded(3)) for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_drops_its_share_and_keeps_the_mean(self) -> None:
        dropout = self.segmenter(0.4).dropout.train()
        dropped = dropout(torch.ones(200, 500), seeded(4))
        assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.6)]
        assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)  # 6 standard deviations
        assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)

    @pytest.mark.parametrize("probability", [-0.1, 1.0])
    def test_is_a_probability(self, probability: float) -> None:
        with pytest.raises(ValueError, match="probability"):
            self.segmenter(probability)


def rectangles(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with one red, green and blue rectangle each, 96 x 96; class 0 is the background."""
    pixels = torch.randint(60, 120, (count, 3, 96, 96), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(count, 96, 96, dtype=torch.int64)
    for n in range(count):
        for color in range(3):
            top, left, height, width = torch.randint(16, 56, (4,), generator=generator).tolist()
            pixels[n, color, top : top + height, left : left + width] += 100
            truth[n, top : top + height, left : left + width] = color + 1
    for color in range(2):  # a later rectangle covers an earlier one wholly
        pixels[:, color] = torch.where(truth > color + 1, pixels[:, color] % 100 + 40, pixels[:, color])
    return pixels, truth


def test_the_default_segmenter_learns_coloured_rectangles_in_dozens_of_steps() -> None:
    generator = seeded(5)
    segmenter = build("fpn", classes=4, width=8, generator=generator).train()
    optimizer = torch.optim.SGD(segmenter.parameters(), lr=0.05, momentum=0.9)
    for _ in range(40):
        pixels, truth = rectangles(4, generator)
        optimizer.zero_grad()
        F.cross_entropy(segmenter(pixels, generator), truth).backward()
        optimizer.step()
    pixels, truth = rectangles(8, generator)
    right = (segmenter.eval()(pixels).argmax(dim=1) == truth).float()
    assert (truth == 0).float().mean() < 0.8  # so that always answering background would not do
    assert right.mean() > 0.93


class TestResNet50:
    def test_has_torchvisions_parameters(self) -> None:
        state = ResNet50Encoder().state_dict()
        assert len(state) == 318  # torchvision's 320 less fc.weight and fc.bias
        trained = sum(value.numel() for key, value in state.items() if "running" not in key and "num_" not in key)
        assert trained == 25_557_032 - 1000 * 2049  # torchvision's published count less fc
        assert state["layer3.5.conv2.weight"].shape == (256, 256, 3, 3)
        assert state["layer4.0.downsample.0.weight"].shape == (2048, 1024, 1, 1)
        assert state["layer1.0.downsample.1.running_var"].shape == (256,)

    def test_segments_at_any_size_under_a_pyramid_of_256_channels(self) -> None:
        segmenter = build("fpn-resnet50", classes=3).eval()
        features = segmenter.encode(images(1, 3, 70, 90))
        assert features.shape == (1, 256, 18, 23)
        assert segmenter.classify(features, (70, 90)).shape == (1, 3, 70, 90)

    def test_takes_a_torchvision_state_with_its_classifier_and_without_batch_counts(self) -> None:
        encoder = ResNet50Encoder()
        state = {key: torch.full_like(value, 0.5) for key, value in encoder.state_dict().items() if "num_" not in key}
        state |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
        load_encoder_state(encoder, state)
        assert encoder.get_parameter("layer2.1.conv3.weight").unique().tolist() == [0.5]
        assert encoder.get_buffer("bn1.running_mean").unique().tolist() == [0.5]

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda state: state.pop("layer2.0.bn1.weight"), "lacks 1 tensors, first layer2.0.bn1.weight"),
            (lambda state: state.update({"layer9": torch.zeros(1)}), "has unknown 1 tensors, first layer9"),
            (lambda state: state.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}), "has misshapen 1 .* conv1.weight"),
        ],
    )
    def test_refuses_another_networks_state_and_loads_nothing(
        self, change: Callable[[dict[str, torch.Tensor]], object], sentence: str
    ) -> None:
        encoder = ResNet50Encoder()
        before = encoder.bn1.bias.clone()
        state = {key: torch.ones_like(value) for key, value in encoder.state_dict().items()}
        change(state)
        with pytest.raises(ValueError, match=sentence):
            load_encoder_state(encoder, state)
        assert torch.equal(encoder.bn1.bias, before)


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    with pytest.raises(
        ValueError,
        match=r"no segmenter 'unet'\. There are: fpn, fpn-resnet50, efficientnet-lite0, .*, smp:ARCH:ENCODER\.",
    ):
        build("unet", classes=3)


def test_only_smp_has_weights_to_download() -> None:
    with pytest.raises(ValueError, match="has no weights to download"):
        build("fpn", classes=3, pretrained=True)


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"classes": 3, "width": 0}])
def test_a_network_without_classes_or_channels_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 2 classes and width 1"):
        build("fpn", **wrong)
