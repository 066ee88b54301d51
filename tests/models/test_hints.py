"""Hints on regions against what maps of the whole image say, and against numpy's singular vectors."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models import hints
from models.cutting import check_boxes
from models.frozen import FrozenSegmenter
from models.hints import CHANNELS, region_features, region_hints
from models.inference import evaluating
from models.segmenter import Segmenter, build
from models.uncertainty import entropy_and_classes
from tests.models.eyes import seeded, some_segmenter
from tests.models.test_bands import SIZE, in_bands, seen_by

BOXES_R4 = torch.tensor([(0, 0, 20, 30), (35, 41, 17, 50), (99, 130, 1, 1), (0, 0, *SIZE), (80, 90, 20, 41)])


def cells_of(size: tuple[int, int], height: int, width: int) -> Tensor:
    tops, lefts = range(0, size[0], height), range(0, size[1], width)
    cells_X4 = [(t, x, min(height, size[0] - t), min(width, size[1] - x)) for t in tops for x in lefts]
    return torch.tensor(cells_X4)


def whole_maps(segmenter: Segmenter, seen: Tensor) -> tuple[Tensor, Tensor]:
    """(H, W) entropy and classes of an image of SIZE."""
    with evaluating(segmenter):
        (band,) = segmenter.bands(seen, SIZE)
        entropy_1HW, classes_1HW = entropy_and_classes(segmenter.band_logits(band))
    return entropy_1HW[0], classes_1HW[0]


def assert_hints_are_plain(segmenter: Segmenter, seen: Tensor, entropy_HW: Tensor, classes_HW: Tensor) -> None:
    cells_X4 = cells_of(SIZE, 20, 30)
    check_boxes(cells_X4, SIZE)
    means = [float(entropy_HW[t : t + h, x : x + w].mean()) for t, x, h, w in cells_X4.tolist()]
    found = region_hints(segmenter, seen, SIZE, BOXES_R4, cells_X4)
    assert len(found) == len(BOXES_R4)
    for hint, (row, col, height, width) in zip(found, BOXES_R4.tolist(), strict=True):
        own_hw = entropy_HW[row : row + height, col : col + width]
        own_classes_hw = classes_HW[row : row + height, col : col + width]
        assert torch.equal(hint.label_map_hw, own_classes_hw)
        assert hint.uncertainty == pytest.approx(float(own_hw.mean()), abs=1e-5)
        np.testing.assert_allclose(hint.uncertainty_hw, 255 * own_hw, atol=0.501)
        surer = [mean < float(own_hw.mean()) - 1e-5 for mean in means]
        equal = [abs(mean - float(own_hw.mean())) <= 1e-5 for mean in means]
        assert sum(surer) <= hint.above * len(means) + 1e-6 <= sum(surer) + sum(equal) + 2e-6
        shares = np.bincount(own_classes_hw.flatten(), minlength=segmenter.classes) / own_hw.numel()
        np.testing.assert_allclose(hint.classes_C, shares, atol=1e-6)


@pytest.mark.parametrize("cells", [1, 3])
def test_of_a_frozen_encoder_band_by_band(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter(classes=4, components=8)
    seen = seen_by(segmenter, 1)
    with evaluating(segmenter):
        maps = [entropy_and_classes(segmenter.band_logits(band)) for band in Segmenter.bands(segmenter, seen, SIZE)]
    in_bands(monkeypatch, segmenter, cells)
    assert_hints_are_plain(segmenter, seen, maps[0][0][0], maps[0][1][0])


def test_of_a_network_that_is_trained_whole() -> None:
    segmenter = build("fpn", classes=4, width=4, generator=seeded(3))
    image_13HW = torch.randint(0, 256, (1, 3, *SIZE), generator=seeded(4), dtype=torch.uint8)
    assert_hints_are_plain(segmenter, image_13HW, *whole_maps(segmenter, image_13HW))
    assert list(region_features(segmenter, image_13HW, BOXES_R4)) == [None] * len(BOXES_R4)


def test_features_are_the_regions_principal_components() -> None:
    segmenter = some_segmenter(classes=4, components=12)
    rows, cols = (-(-side // segmenter.stride) for side in SIZE)
    seen = torch.randn(1, 12, rows, cols, generator=seeded(1)).half()
    row, col, height, width = 35, 41, 17, 50
    (found,) = region_features(segmenter, seen, torch.tensor([(row, col, height, width)]))
    assert found is not None
    first = (row // 8 - 1, col // 8 - 1)
    part_Fnm = seen[0, :, first[0] : -(-(row + height) // 8) + 1, first[1] : -(-(col + width) // 8) + 1].float()
    assert found.features_Dnm.shape == (CHANNELS, *part_Fnm.shape[1:])
    assert (found.stride, found.top, found.left) == (8, (first[0] + 0.5) * 8 - row, (first[1] + 0.5) * 8 - col)
    centred_XF = part_Fnm.flatten(1).T.double().numpy()
    centred_XF = centred_XF - centred_XF.mean(0)
    left, values, _ = np.linalg.svd(centred_XF, full_matrices=False)
    kept_XD = (left * values)[:, :CHANNELS]
    own_XD = found.features_Dnm.flatten(1).T.double().numpy() - 128
    assert np.abs(own_XD).max() == 127
    scale = 127 / np.abs(kept_XD).max()
    for channel in range(CHANNELS):  # directions have no sign
        one, other = own_XD[:, channel], scale * kept_XD[:, channel]
        assert min(np.abs(one - other).max(), np.abs(one + other).max()) <= 0.6


def test_of_large_regions_less_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "MOST_CELLS", 40)
    monkeypatch.setattr(hints, "MOST_PIXELS", 4000)
    segmenter: FrozenSegmenter = some_segmenter(classes=4, components=8)
    seen = seen_by(segmenter, 1)
    whole_R4 = torch.tensor([(0, 0, *SIZE)])
    (hint,) = region_hints(segmenter, seen, SIZE, whole_R4, whole_R4)
    assert hint.uncertainty_hw.shape == (50, 66)
    assert hint.label_map_hw.shape == SIZE
    (found,) = region_features(segmenter, seen, whole_R4)
    assert found is not None
    assert (found.features_Dnm[0].numel(), found.stride, found.top, found.left) == (4 * 5, 32, 16, 16)
