"""What a frozen encoder sees: the same in tiles as of the whole image; and what a segmenter on it classifies."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import frozen
from models.frozen import MAGNIFICATIONS, build_frozen
from models.projection import Projection, fit_projection
from models.tiles import tiles
from tests.models.eyes import CHANNELS, published_eye, seeded, some_images, some_projection, some_segmenter

DEFAULT_TILE = frozen.TILE + 2 * frozen.MARGIN


def fitted_projection(cells_XE: Tensor) -> Projection:
    return fit_projection(cells_XE, 32, seeded())


@torch.no_grad()
@pytest.mark.parametrize(
    ("magnification", "stride", "size"),
    [(1.5, 8, (150, 585)), (1.5, 4, (585, 150)), (1.5, 2, (150, 585)), (1.0, 8, (870, 131)), (2.0, 8, (100, 450))],
)
def test_features_in_tiles_are_those_of_the_whole_image(
    magnification: float, stride: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    eye, images = published_eye(stride=stride, magnification=magnification), some_images(*size)
    cells_XE = eye.levels(images)[0].flatten(1).T
    segmenter = build_frozen(eye, fitted_projection(cells_XE[::7]), classes=3)
    whole = segmenter.look(images).float()
    monkeypatch.setattr(frozen, "TILE", 288 if stride > 2 else 576)
    assert max(size) > eye.tile + 2 * eye.margin
    in_tiles = segmenter.look(images).float()
    assert not torch.equal(in_tiles, whole)  # or it was not tiled
    assert float((in_tiles - whole).square().mean().sqrt() / whole.std()) < 0.01


@pytest.mark.parametrize("magnification", MAGNIFICATIONS)
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_tiles_and_margins_are_whole_cells_of_the_coarsest_level(magnification: float, stride: int) -> None:
    eye = published_eye(stride=stride, magnification=magnification)
    for pixels in (eye.tile, eye.margin):
        assert pixels % stride == 0
        assert pixels * magnification % 32 == 0


@pytest.mark.parametrize("size", [(3000, 4000), (1030, 1020), (8, 5000)])
def test_tiles_cover_every_pixel_once_and_are_never_larger_than_what_memory_is_planned_for(
    size: tuple[int, int],
) -> None:
    eye, covered = published_eye(magnification=1.5), torch.zeros(size)
    for inner, outer in tiles(*size, eye.tile, eye.margin):
        covered[inner] += 1
        for within, around in zip(inner, outer, strict=True):
            assert around.start <= within.start < within.stop <= around.stop
            assert (around.stop - around.start) * eye.magnification <= DEFAULT_TILE
    assert bool((covered == 1).all())


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("magnification", MAGNIFICATIONS)
def test_features_of_odd_sizes_have_their_sides_rounded_up(stride: int, magnification: float) -> None:
    segmenter = some_segmenter(stride=stride, magnification=magnification, components=8)
    seen = segmenter.look(some_images(100, 131, 2))
    assert seen.shape == (2, 8, -(-100 // stride), -(-131 // stride))
    assert seen.dtype == torch.float16
    assert segmenter(some_images(100, 131, 2)).shape == (2, 3, 100, 131)


@torch.no_grad()
def test_features_are_the_projection_of_all_levels_brought_to_the_stride() -> None:
    for stride, magnification in ((8, 1.0), (4, 1.5), (2, 2.0)):
        eye, images = published_eye(stride=stride, magnification=magnification), some_images(61, 75)
        projection = some_projection(8)
        cells = (slice(3, 5), slice(1, 7))
        features, expected = eye.features(images, projection, cells), projection(eye.levels(images)[(..., *cells)])
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


@torch.no_grad()
def test_levels_are_those_of_the_enlarged_and_normalised_image() -> None:
    eye, images = published_eye(stride=32, magnification=2.0), some_images(64, 96)
    normal = (F.interpolate(images / 255, scale_factor=2, mode="bicubic") - 0.498) / 0.502
    coarsest = eye.encoder(normal)[-1]
    # Of stride 16 in pixels of the image: at stride 32 the mean of 2 x 2.
    torch.testing.assert_close(eye.levels(images)[:, -320:], F.avg_pool2d(coarsest, 2), rtol=1e-3, atol=1e-3)


def test_images_of_fewer_than_eight_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 x 8 pixels are needed, not 7 x 20"):
        some_segmenter().look(some_images(7, 20))
    assert some_segmenter().look(some_images(8, 8)).shape == (1, 8, 1, 1)


def test_only_the_head_is_learned_and_saved() -> None:
    segmenter = some_segmenter()
    names = {name.split(".")[0] for name, _ in segmenter.named_parameters()}
    assert names == {"decoder", "classifier"}
    assert {name.split(".")[0] for name in segmenter.state_dict()} == names | {
        "temperature",
        "fitted",
        "calibrated_with",
    }


def test_the_sight_tells_apart_whatever_changes_what_is_seen() -> None:
    def sight(stride: int = 8, magnification: float = 1.0, components: int = 8, classes: int = 3) -> str:
        return some_segmenter(stride=stride, magnification=magnification, components=components, classes=classes).sight

    assert sight() == sight() == sight(classes=5)
    assert len({sight(), sight(stride=4), sight(magnification=1.5), sight(components=7)}) == 4


@torch.no_grad()
def test_the_temperature_divides_logits_and_changes_no_prediction() -> None:
    segmenter = some_segmenter()
    features = torch.randn(1, 16, 4, 5, generator=seeded())
    cold = segmenter.classify(features, (30, 39))
    segmenter.temperature.fill_(2.0)
    torch.testing.assert_close(segmenter.classify(features, (30, 39)), cold / 2)


@torch.no_grad()
def test_the_logits_of_cells_are_what_pixels_are_interpolated_from() -> None:
    segmenter = some_segmenter(components=8)
    seen = torch.randn(1, 8, 4, 5, generator=seeded()).half()
    cells = segmenter.cell_logits(seen)
    logits = segmenter.classify(segmenter.encode(seen), (32, 40))
    torch.testing.assert_close(logits, F.interpolate(cells, scale_factor=8, mode="bilinear"))


def test_a_head_is_drawn_from_the_generator_and_without_one_is_always_the_same() -> None:
    def weights(generator: torch.Generator | None) -> Tensor:
        eye, projection = published_eye(), some_projection(8, CHANNELS)
        return build_frozen(eye, projection, classes=3, generator=generator).classifier.weight

    assert torch.equal(weights(None), weights(None))
    assert torch.equal(weights(seeded(1)), weights(seeded(1)))
    assert not torch.equal(weights(seeded(1)), weights(seeded(2)))
