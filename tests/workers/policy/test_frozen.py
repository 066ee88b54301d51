"""What is frozen of images: features and true classes at points of each region."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from models.segmenter import Segmenter
from service.domain.classes import IGNORE
from tests.workers.conftest import Rectangles
from tests.workers.games import tiny_segmenter, tiny_settings
from workers.policy.frozen import COMPONENTS, FrozenRegions, components, freeze


class Places(nn.Module):
    """Of stride 4; the decoder gives each feature's own row and column, the encoder one level of the image's red."""

    stride = 4

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(2, 2, 1)
        self.channels = channels

    def pyramid(self, images_B3HW: Tensor) -> list[Tensor]:
        batch, _, height, width = images_B3HW.shape
        rows_hw, cols_hw = torch.meshgrid(torch.arange(-(-height // 4)), torch.arange(-(-width // 4)), indexing="ij")
        places_B2hw = torch.stack([rows_hw, cols_hw]).float().expand(batch, -1, -1, -1)
        level_B1hw = images_B3HW[:, :1, :1, :1].float().expand_as(places_B2hw[:, :1])
        return [places_B2hw, level_B1hw.expand(-1, self.channels, -1, -1)]


class Checked:
    """Images of two sizes; the label of a pixel is 7 row + col, modulo 5, and nobody labelled where that is 4."""

    sizes = ((20, 24), (16, 16))

    def __len__(self) -> int:
        return len(self.sizes)

    def name(self, number: int) -> str:
        return f"{number:03}"

    def size(self, number: int) -> tuple[int, int]:
        return self.sizes[number]

    def digest(self, number: int) -> str:
        return str(number)

    def image(self, number: int) -> np.ndarray:
        return np.full((*self.sizes[number], 3), 10 * (number + 1), np.uint8)

    def label_map(self, number: int) -> np.ndarray:
        labels = (7 * np.arange(self.sizes[number][0])[:, None] + np.arange(self.sizes[number][1])) % 5
        return np.where(labels == 4, IGNORE, labels).astype(np.uint8)


# Pixels in the middle of the eighths of a side of 16 pixels, of one of 8 and of one of 4, which follow it.
SIXTEEN, EIGHT, FOUR = [1, 3, 5, 7, 9, 11, 13, 15], [16, 17, 18, 19, 20, 21, 22, 23], [16, 16, 17, 17, 18, 18, 19, 19]


def test_a_region_is_frozen_at_64_points_also_where_its_cell_is_cut_short() -> None:
    frozen = freeze(cast(Segmenter, Places()), Checked(), tiny_settings())
    sides = [(SIXTEEN, SIXTEEN), (SIXTEEN, EIGHT), (FOUR, SIXTEEN), (FOUR, EIGHT), (SIXTEEN, SIXTEEN)]
    assert len(frozen) == len(sides)
    for number, (rows, cols) in enumerate(sides):
        image = 20 if number == 4 else 10
        points = [(row, col) for row in rows for col in cols]
        assert frozen.features_RPE[number].tolist() == [[row // 4, col // 4, image] for row, col in points]
        labels = [(7 * row + col) % 5 for row, col in points]
        assert frozen.labels_RP[number].tolist() == [IGNORE if label == 4 else label for label in labels]


def test_a_level_of_many_channels_is_projected_the_same_way_every_time() -> None:
    frozen, again = (freeze(cast(Segmenter, Places(channels=300)), Checked(), tiny_settings()) for _ in range(2))
    assert torch.equal(frozen.features_RPE, again.features_RPE)
    assert frozen.features_RPE.shape == (5, 64, 2 + 64)
    assert (frozen.features_RPE[0, 0, 2:] - 10).abs().min() > 1e-3
    torch.testing.assert_close(frozen.features_RPE[4, :, 2:], 2 * frozen.features_RPE[0, :, 2:])
    # 300 channels of 10 have a mean square of 100, and so have their projections but for chance.
    assert 60 < frozen.features_RPE[0, 0, 2:].square().mean() < 140


def test_points_are_counted_by_class_and_those_that_nobody_labelled_are_not() -> None:
    labels_RP = torch.tensor([[0, 2, 2, IGNORE], [1, IGNORE, IGNORE, IGNORE]])
    frozen = FrozenRegions(features_RPE=torch.zeros(2, 4, 1), labels_RP=labels_RP, image_R=torch.zeros(2))
    assert frozen.counts(3).tolist() == [[1, 0, 2], [0, 1, 0]]
    assert frozen.counts(2).tolist() == [[1, 0], [0, 1]]


def test_a_source_of_many_images_is_frozen_as_each_alone() -> None:
    source = Rectangles(3, 4)
    together = freeze(tiny_segmenter(), source, tiny_settings())
    with torch.no_grad():
        images = torch.from_numpy(np.stack(source.images)).permute(0, 3, 1, 2)
        levels = tiny_segmenter().pyramid(images)
    assert torch.equal(levels[0], tiny_segmenter().encode(images))
    features_BEhw = torch.cat(levels, 1)
    assert tiny_segmenter().stride == 4
    # Cell 6 of an image of 3 x 4 cells begins at (16, 32); its last point is (31, 47).
    torch.testing.assert_close(together.features_RPE[2 * 12 + 6, 63], features_BEhw[2, :, 31 // 4, 47 // 4])
    assert together.labels_RP[2 * 12 + 6, 63] == source.labels[2][31, 47]


def test_sources_are_joined_with_their_images_numbered_through() -> None:
    first, second = (
        freeze(tiny_segmenter(), Rectangles(images, seed), tiny_settings()) for images, seed in ((2, 1), (3, 2))
    )
    joined = FrozenRegions.joined([first, second])
    assert joined.image_R.tolist() == [image for image in range(5) for _ in range(12)]
    assert torch.equal(joined[joined.image_R == 3].labels_RP, second[second.image_R == 1].labels_RP)
    assert torch.equal(joined.features_RPE, torch.cat([first.features_RPE, second.features_RPE]))


def test_components_are_orthonormal_hold_most_of_the_variance_and_each_about_as_much() -> None:
    generator = torch.Generator().manual_seed(0)
    spread_E = torch.logspace(1, -3, 2 * COMPONENTS)
    points_XE = torch.randn(5000, 2 * COMPONENTS, generator=generator) * spread_E
    turned_XE = points_XE @ torch.linalg.qr(torch.randn(2 * COMPONENTS, 2 * COMPONENTS, generator=generator))[0]
    found_EM = components(turned_XE)
    assert found_EM is not None
    torch.testing.assert_close(found_EM.T @ found_EM, torch.eye(COMPONENTS), atol=1e-4, rtol=0)
    projected_XM = turned_XE @ found_EM
    assert projected_XM.square().sum() > 0.99 * turned_XE.square().sum()
    assert projected_XM.var(0).max() < 20 * projected_XM.var(0).median()
    again_EM = components(turned_XE)
    assert again_EM is not None
    assert torch.equal(again_EM, found_EM)


def test_few_features_stay_as_they_are() -> None:
    assert components(torch.randn(10, COMPONENTS)) is None
