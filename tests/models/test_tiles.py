"""Large images are seen in tiles by networks that are trained as a whole, and described as their bands come."""

import pytest
import torch
from torch import Tensor

from models import features, tiles
from models.features import ImageDescription, describe
from models.segmenter import Segmenter, build
from tests.models.eyes import published_eye, seeded, some_images

STATISTICS = ("entropy_sum", "margin_mean", "bvsb_mean")
VECTORS = ("class_mass", "embedding")


def in_tiles(monkeypatch: pytest.MonkeyPatch, segmenter: Segmenter, *, rows_of_cells: int | None = None) -> None:
    """From now on every image is a large one, of small tiles."""
    monkeypatch.setattr(tiles, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(segmenter, "tile", 64)
    if rows_of_cells:
        monkeypatch.setattr(tiles, "BAND_NUMBERS", 1)


def logits_of(segmenter: Segmenter, images: Tensor) -> Tensor:
    """(B, C, H, W) of bands put together; each pixel is in just one."""
    size = (int(images.shape[-2]), int(images.shape[-1]))
    found = torch.full((len(images), segmenter.classes, *size), torch.nan)
    for band in segmenter.bands(images, size):
        assert bool(found[band.images, :, band.rows].isnan().all())
        found[band.images, :, band.rows] = segmenter.band_logits(band)
    assert not bool(found.isnan().any())
    return found


def unlike(segmenter: Segmenter, seed: int) -> Segmenter:
    """With norms that have seen something: those of a fresh network let everything through as it is."""
    generator = seeded(seed)
    for module in segmenter.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.weight.data = 1 + torch.rand(module.num_features, generator=generator)
    return segmenter.eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [(75, 701), (701, 75), (300, 555), (8, 640)])
@pytest.mark.parametrize("rows_of_cells", [None, 1])
def test_logits_of_tiles_are_those_of_the_whole_image(
    size: tuple[int, int], rows_of_cells: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter, images = unlike(build("fpn", classes=3, width=4), 1), some_images(*size)[:1].repeat(2, 1, 1, 1)
    images[1] = images[1].flip(-1)
    whole = segmenter(images)
    in_tiles(monkeypatch, segmenter, rows_of_cells=rows_of_cells)
    torch.testing.assert_close(logits_of(segmenter, images), whole, rtol=1e-4, atol=1e-4 * float(whole.std()))


@torch.no_grad()
@pytest.mark.parametrize("name", ["fpn-resnet50", "efficientnet-lite0"])
def test_every_network_sees_about_the_same_in_tiles_wherever_an_image_ends(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter, images = build(name, classes=3, width=4), some_images(70, 1003)[:1]
    if name == "efficientnet-lite0":
        segmenter.encoder.encoder = published_eye().encoder
    segmenter.eval()
    whole = segmenter(images)
    in_tiles(monkeypatch, segmenter)
    error = (logits_of(segmenter, images) - whole).square().mean().sqrt() / whole.std()
    assert float(error) < (1e-4 if name == "fpn-resnet50" else 0.01)


def boxes(size: tuple[int, int]) -> Tensor:
    """A grid's cells, which bands cut through, a single pixel, one as high as the image; not in the order of rows."""
    height, width = size
    cells = [(row, col, 20, 30) for row in range(0, height - 19, 20) for col in range(0, width - 29, 30)]
    return torch.tensor([(0, 3, height, 5), (height - 1, width - 1, 1, 1), *reversed(cells)])


def described(segmenter: Segmenter, images: Tensor, wanted: Tensor) -> ImageDescription:
    (found,) = describe(segmenter, images, [wanted], statistics=STATISTICS, vectors=VECTORS)
    return found


@pytest.mark.parametrize("count", [None, 0])
def test_regions_described_as_bands_come_are_those_of_whole_maps(
    count: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (150, 333)
    segmenter, images = unlike(build("fpn", classes=3, width=4), 2), some_images(*size)[:1]
    wanted = boxes(size)[:count].view(-1, 4)
    whole = described(segmenter, images, wanted)
    monkeypatch.setattr(features, "_IMAGE_PIXELS", 1)
    in_one_band = described(segmenter, images, wanted)
    assert torch.equal(in_one_band.classes_HW, whole.classes_HW)
    assert torch.equal(in_one_band.rows.uncertainty_RU, whole.rows.uncertainty_RU)  # to the bit
    in_tiles(monkeypatch, segmenter, rows_of_cells=1)
    found = described(segmenter, images, wanted)
    assert float((found.classes_HW != whole.classes_HW).float().mean()) < 1e-3
    torch.testing.assert_close(found.rows.class_part_RC, whole.rows.class_part_RC, rtol=0, atol=2e-3)
    torch.testing.assert_close(found.rows.uncertainty_RU, whole.rows.uncertainty_RU, rtol=1e-3, atol=1e-3)
    for name in STATISTICS:
        torch.testing.assert_close(found.rows.statistics[name], whole.rows.statistics[name], rtol=1e-3, atol=1e-3)
    for name in VECTORS:
        torch.testing.assert_close(found.rows.vectors[name], whole.rows.vectors[name], rtol=1e-3, atol=1e-3)


def test_a_box_that_leaves_a_large_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_IMAGE_PIXELS", 1)
    with pytest.raises(ValueError, match="is not within"):
        described(build("fpn", classes=3, width=4), some_images(64, 64)[:1], torch.tensor([(60, 0, 5, 5)]))


def test_strips_of_wide_images_are_lower_so_that_their_features_stay_few() -> None:
    assert tiles.strip_height(768, 8000, 64, 4) == 768
    assert tiles.strip_height(768, 32000, 64, 4) == 192
    assert tiles.strip_height(768, 10**9, 64, 4) == 96
