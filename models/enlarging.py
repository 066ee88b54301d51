"""Encoders with published weights that are trained: under a feature pyramid, or under the head that a frozen one has.

Shapes: B images, E channels of all levels together, F components, h x w cells.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.efficientnet_lite import EfficientNetLite
from models.encoder import Encoder
from models.encoder_names import has_published_weights, named_encoder
from models.fpn import FeaturePyramid, Parts
from models.head import Head
from models.projection import COMPONENTS, resampled
from models.tiles import MARGIN, TILE

TUNED = "tuned:"


def enlarged_levels(encoder: Encoder, normal_B3HW: Tensor, magnification: float) -> tuple[list[Tensor], list[float]]:
    """The encoder's levels of normalised images, which are enlarged first, and their strides in pixels of the images."""
    if magnification != 1:
        # By the factor, not to a size: rounded sides would be enlarged by a little more or less than tiles are.
        normal_B3HW = F.interpolate(normal_B3HW, scale_factor=magnification, mode="bicubic")
    below, right = (-side % encoder.strides[-1] for side in normal_B3HW.shape[-2:])
    # Channels last: a third faster on a CPU, where most of the time goes into convolutions of one cell.
    padded_B3HW = F.pad(normal_B3HW, (0, right, 0, below)).contiguous(memory_format=torch.channels_last)
    return encoder(padded_B3HW), [stride / magnification for stride in encoder.strides]


def cells_of(images_B3HW: Tensor, stride: int) -> tuple[slice, slice]:
    """All rows and columns of cells of `stride` pixels, those that are cut off at the edge counted."""
    height, width = images_B3HW.shape[-2:]
    return slice(0, -(-height // stride)), slice(0, -(-width // stride))


class EnlargingEncoder(nn.Module):
    """Images, enlarged, to all levels of the encoder at one stride. BatchNorm keeps the statistics it was published with."""

    def __init__(self, encoder: Encoder, stride: int, magnification: float) -> None:
        super().__init__()
        self.encoder, self.stride, self.magnification = encoder, stride, magnification

    def train(self, mode: bool = True) -> "EnlargingEncoder":
        """Batches are small: their statistics would be worse than those of a million images."""
        return super().train(False)

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """(B, E, h, w)."""
        levels, strides = enlarged_levels(self.encoder, images_B3HW, self.magnification)
        return resampled(levels, strides, self.stride, cells_of(images_B3HW, self.stride))


def tuned_parts(name: str, hidden: int) -> Parts:
    """Encoder and decoder of "tuned:NAME:STRIDE:MAGNIFICATION", NAME the frozen one's. Raises ValueError for another."""
    frozen, stride, magnification = _parsed(name)
    encoder = named_encoder(frozen)
    channels = sum(encoder.channels)
    components = min(COMPONENTS, channels)
    return Parts(
        encoder=EnlargingEncoder(encoder, stride, magnification),
        decoder=nn.Sequential(nn.Conv2d(channels, components, 1), Head(components, hidden)),
        channels=hidden,
        stride=stride,
        tile=round(TILE / magnification),
        reach=round(MARGIN / magnification),
        mean=encoder.mean,
        std=encoder.std,
    )


class LevelsFromStride4(nn.Module):
    """The encoder's levels but for the finest, which is as large as a quarter of the image."""

    def __init__(self, encoder: EfficientNetLite) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Maps at strides 4, 8, 16 and 32, finest first."""
        levels: list[Tensor] = self.encoder(images_B3HW)
        return levels[1:]


def pyramid_parts(name: str, width: int) -> Parts:
    """Encoder and decoder of a variant that is trained as a whole."""
    encoder = EfficientNetLite(name)
    decoder = FeaturePyramid(encoder.channels[1:], 2 * width)
    return Parts(
        encoder=LevelsFromStride4(encoder), decoder=decoder, channels=2 * width, mean=encoder.mean, std=encoder.std
    )


def _parsed(name: str) -> tuple[str, int, float]:
    try:
        frozen, stride, magnification = name.removeprefix(TUNED).rsplit(":", 2)
        if not has_published_weights(frozen):
            raise ValueError(frozen)
        return frozen, int(stride), float(magnification)
    except ValueError as error:
        raise ValueError(f"{name!r} should read tuned:NAME:STRIDE:MAGNIFICATION.") from error
