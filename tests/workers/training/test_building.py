"""Fresh segmenters: what their weights and a frozen encoder's projection follow from."""

import dataclasses

import pytest
import torch

from models.frozen import Eye, FrozenSegmenter
from models.segmenter import Segmenter, build
from tests.workers.conftest import Rectangles
from workers.chance import torch_generator
from workers.training import building
from workers.training.building import Architecture, fresh_segmenter, stride_for
from workers.training.encoders import EncoderError
from workers.training.looking import seen

FROZEN = Architecture(name="efficientnet-lite0", frozen=True, width=16, dropout=0.3, magnification=1.0)
TRAINED = Architecture(name="fpn", frozen=False, width=4, dropout=0.1)
IMAGES = Rectangles(6, seed=1)


def frozen(seed: int = 0, images: Rectangles = IMAGES, architecture: Architecture = FROZEN) -> FrozenSegmenter:
    segmenter = fresh_segmenter(architecture, 3, [images], seed, "cpu")
    assert isinstance(segmenter, FrozenSegmenter)
    return segmenter


def same(one: Segmenter, other: Segmenter) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_a_trained_one_is_what_build_makes_of_the_seed() -> None:
    expected = build("fpn", classes=3, width=4, dropout=0.1, generator=torch_generator(7, "segmenter"))
    segmenter = fresh_segmenter(TRAINED, 3, [], 7, "cpu")
    assert same(segmenter, expected)
    assert segmenter.dropout.p == 0.1


def test_a_frozen_one_is_as_its_architecture_says() -> None:
    segmenter = frozen(architecture=dataclasses.replace(FROZEN, stride=4, magnification=1.5))
    assert (segmenter.name, segmenter.classes, segmenter.width, segmenter.stride) == ("efficientnet-lite0", 3, 32, 4)
    assert (segmenter.dropout.p, segmenter.eye.magnification) == (0.3, 1.5)
    assert segmenter.projection.components_EF.shape == (512, 96)
    assert not bool(segmenter.fitted)


def test_features_of_the_images_at_hand_are_centred_and_of_one_size() -> None:
    features = seen(frozen(), IMAGES, range(6), "cpu").float()
    assert abs(float(features.mean())) < 0.02
    assert float(features.std()) == pytest.approx(1, abs=0.1)


def test_everything_follows_from_the_seed_and_the_images() -> None:
    one, again, another = frozen(1), frozen(1), frozen(2)
    assert one.sight == again.sight
    assert same(one, again)
    assert another.sight != one.sight
    assert not same(another, one)
    assert frozen(1, Rectangles(6, seed=2)).sight != one.sight


def test_a_projection_is_fitted_to_some_images_of_all_sources_in_parts_no_larger_than_a_tile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "PROJECTION_IMAGES", 3)
    monkeypatch.setattr("models.frozen.TILE", 32)
    asked: list[tuple[int, ...]] = []
    levels = Eye.levels

    def watched(eye: Eye, images: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(images.shape))
        return levels(eye, images)

    monkeypatch.setattr(Eye, "levels", watched)
    fresh_segmenter(FROZEN, 3, [Rectangles(2, 1), Rectangles(2, 2, size=(24, 80))], 0, "cpu")
    assert len(asked) == 3
    assert set(asked) <= {(1, 3, 32, 32), (1, 3, 24, 32)}
    assert len(set(asked)) == 2


def test_without_an_image_or_with_an_unknown_encoder_nothing_is_built() -> None:
    with pytest.raises(ValueError, match="upload some first"):
        fresh_segmenter(FROZEN, 3, [Rectangles(0)], 0, "cpu")
    with pytest.raises(EncoderError, match="'fpn' has no pretrained encoder"):
        frozen(architecture=dataclasses.replace(FROZEN, name="fpn"))


@pytest.mark.parametrize(
    ("cell", "stride"), [((90, 80), 8), ((72, 72), 8), ((71, 200), 4), ((20, 30), 4), ((100, 19), 2), ((1, 1), 2)]
)
def test_smaller_regions_have_finer_features(cell: tuple[int, int], stride: int) -> None:
    assert stride_for(*cell) == stride
