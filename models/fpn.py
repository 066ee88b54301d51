"""The default segmenter's two halves: a small residual encoder and a feature pyramid that ends at stride 4.

Shapes: B images, C channels, H rows, W columns. Maps that a stride does not divide are rounded up in size, as strided
convolutions do, and the way back cuts what was added: no row or column shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from models.initialisation import kaiming
from models.tiles import MARGIN, TILE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an architecture gives to a segmenter: `decoder(encoder(images))` is a map of `channels` at `stride`.

    Images must have sides of at least `least_side` pixels, divisible by `multiple`; `mean` and `std` of red, green and blue
    normalise them. Large images are seen in tiles of `tile` pixels, with `reach` pixels more on each side: both, and an eighth
    of `tile`, are whole coarsest cells. Where nothing further away changes a feature, tiles change none.
    """

    encoder: nn.Module
    decoder: nn.Module
    channels: int
    stride: int = 4
    multiple: int = 1
    tile: int = TILE
    reach: int = MARGIN
    least_side: int = 64  # below it the coarsest map is one cell, of which BatchNorm cannot take a variance
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def convolution(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias, BatchNorm and, unless told otherwise, ReLU."""
    parts: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
    return nn.Sequential(*parts, nn.ReLU(inplace=True)) if relu else nn.Sequential(*parts)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in ResNet-18 (He et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_out, 3, stride=stride)
        self.second = convolution(channels_out, channels_out, 3, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = convolution(channels_in, channels_out, 1, stride=stride, relu=False)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        return F.relu(self.second(self.first(maps_BCHW)) + self.shortcut(maps_BCHW), inplace=True)


class SmallEncoder(nn.Module):
    """A stem of stride 2 and four stages of residual blocks at strides 4, 8, 16 and 32."""

    def __init__(self, width: int, blocks: Sequence[int] = (1, 1, 1, 1)) -> None:
        super().__init__()
        self.channels = tuple(width << stage for stage in range(len(blocks)))
        self.stem = convolution(3, width, 3, stride=2)
        before = (width, *self.channels[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(before[stage], channels, 2),
                *(ResidualBlock(channels, channels, 1) for _ in range(blocks[stage] - 1)),
            )
            for stage, channels in enumerate(self.channels)
        )

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Maps at strides 4, 8, 16 and 32, finest first."""
        maps = self.stem(images_B3HW)
        levels = []
        for stage in self.stages:
            maps = stage(maps)
            levels.append(maps)
        return levels


class FeaturePyramid(nn.Module):
    """1x1 laterals, coarse levels added to finer ones from the top down (Lin et al. 2017), all of them smoothed and
    summed at the finest (as in the semantic branch of Kirillov et al. 2019).
    """

    def __init__(self, channels_in: Sequence[int], channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.laterals = nn.ModuleList(nn.Conv2d(level, channels, 1) for level in channels_in)
        self.smooths = nn.ModuleList(convolution(channels, channels, 3) for _ in channels_in)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels, finest first, each half the size of the one before -> one map of the finest's size."""
        laterals = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        for fine in reversed(range(len(laterals) - 1)):
            laterals[fine] = laterals[fine] + doubled(laterals[fine + 1], laterals[fine], mode="nearest")
        smoothed = [smooth(lateral) for smooth, lateral in zip(self.smooths, laterals, strict=True)]
        merged: Tensor = smoothed[-1]
        for finer in reversed(smoothed[:-1]):
            merged = finer + doubled(merged, finer, mode="bilinear")
        return merged


def doubled(coarse_BCHW: Tensor, fine_BCHW: Tensor, *, mode: str) -> Tensor:
    """The coarse map at twice its size, cut to the fine map's."""
    height, width = fine_BCHW.shape[-2:]
    return F.interpolate(coarse_BCHW, scale_factor=2.0, mode=mode)[..., :height, :width]


def small_parts(width: int) -> Parts:
    """Encoder and decoder of "fpn"."""
    encoder = SmallEncoder(width)
    kaiming(encoder)
    decoder = FeaturePyramid(encoder.channels, 2 * width)
    return Parts(encoder=encoder, decoder=decoder, channels=2 * width, reach=192)
