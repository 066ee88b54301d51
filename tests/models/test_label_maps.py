"""The likeliest class of every pixel, as torch's own interpolation and argmax find it."""

import pytest
import torch
from torch.nn import functional as F

from models.label_maps import likeliest_classes
from tests.models.eyes import seeded


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("cells", [(1, 1), (1, 7), (5, 3), (12, 16)])
def test_classes_are_those_of_interpolated_logits(stride: int, cells: tuple[int, int]) -> None:
    logits_BChw = torch.randn(3, 5, *cells, generator=seeded(stride))
    size = (max(1, cells[0] * stride - stride // 2 + 1), cells[1] * stride)
    whole = F.interpolate(logits_BChw, scale_factor=float(stride), mode="bilinear") if stride > 1 else logits_BChw
    found_BHW = likeliest_classes(logits_BChw, stride, size)
    assert found_BHW.dtype == torch.uint8
    assert torch.equal(found_BHW.long(), whole[..., : size[0], : size[1]].argmax(1))
