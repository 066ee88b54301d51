"""Frozen segmenters for tests: published weights, a projection of random directions, pictures of smooth noise."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.frozen import Eye, FrozenSegmenter, build_frozen
from models.projection import Projection
from workers.training.encoders import frozen_eye

NAME = "efficientnet-lite0"
CHANNELS = 512  # of the five levels together: 16 + 24 + 40 + 112 + 320


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def published_eye(*, stride: int = 8, magnification: float = 1.0) -> Eye:
    return frozen_eye(NAME, stride=stride, magnification=magnification)


def some_projection(components: int, channels: int = CHANNELS) -> Projection:
    """Random directions of levels that are neither centred nor of one size."""
    return Projection(
        mean_E=torch.randn(channels, generator=seeded(1)),
        deviation_E=torch.rand(channels, generator=seeded(2)) + 0.5,
        components_EF=torch.randn(channels, components, generator=seeded(3)) / channels**0.5,
    )


def some_segmenter(
    *, stride: int = 8, magnification: float = 1.0, components: int = 8, classes: int = 3, dropout: float = 0.2
) -> FrozenSegmenter:
    """In evaluation mode; its head is drawn, and its norms have met something."""
    segmenter = build_frozen(
        published_eye(stride=stride, magnification=magnification),
        some_projection(components),
        classes=classes,
        hidden=16,
        dropout=dropout,
        generator=seeded(4),
    )
    for module in segmenter.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = 0.3 * torch.randn(module.num_features, generator=seeded(5))
            module.running_var = torch.rand(module.num_features, generator=seeded(6)) + 0.5
    segmenter.classifier.weight.data *= 5  # surer of itself than a fresh head
    return segmenter.eval()


def some_images(height: int, width: int, count: int = 1) -> Tensor:
    """(B, 3, H, W) uint8: blots of some twenty pixels, and grain."""
    coarse = torch.rand(count, 3, -(-height // 20) + 1, -(-width // 20) + 1, generator=seeded(7))
    smooth = F.interpolate(coarse, scale_factor=20, mode="bicubic")[..., :height, :width]
    grain = 0.05 * torch.randn(smooth.shape, generator=seeded(8))
    return ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8)
