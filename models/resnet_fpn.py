"""The paper's segmenter: ResNet-50 under a feature pyramid of 256 channels, and the way in for ImageNet weights.

Parameter names are torchvision's, so that its state dicts load as they are.
Shapes: B images, C channels, H rows, W columns.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.encoder import Encoder
from models.fpn import FeaturePyramid, Parts
from models.initialisation import kaiming

RESNET50 = "fpn-resnet50"
BLOCKS = (3, 4, 6, 3)
EXPANSION = 4
PYRAMID_CHANNELS = 256
_FOLLOWED = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut; the stride is on the 3x3, as torchvision has it (ResNet "v1.5")."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        channels_out = channels * EXPANSION
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        shortcut = maps_BCHW if self.downsample is None else self.downsample(maps_BCHW)
        inner = F.relu(self.bn1(self.conv1(maps_BCHW)), inplace=True)
        inner = F.relu(self.bn2(self.conv2(inner)), inplace=True)
        return F.relu(self.bn3(self.conv3(inner)) + shortcut, inplace=True)


class ResNet50Encoder(Encoder):
    """ResNet-50 (He et al. 2016) without its pooling and classifier."""

    strides = (4, 8, 16, 32)
    channels = tuple(64 * EXPANSION << stage for stage in range(4))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, BLOCKS[0], 1)
        self.layer2 = _stage(256, 128, BLOCKS[1], 2)
        self.layer3 = _stage(512, 256, BLOCKS[2], 2)
        self.layer4 = _stage(1024, 512, BLOCKS[3], 2)

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Maps at strides 4, 8, 16 and 32, finest first."""
        maps = F.relu(self.bn1(self.conv1(images_B3HW)), inplace=True)
        maps = F.max_pool2d(maps, 3, 2, 1)
        levels = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = stage(maps)
            levels.append(maps)
        return levels

    def fold(self) -> None:
        """Put every norm into its convolution. Not to be trained afterwards."""
        for module in list(self.modules()):
            for conv, norm in _FOLLOWED:
                if isinstance(getattr(module, norm, None), nn.BatchNorm2d):
                    setattr(module, conv, _fused(getattr(module, conv), getattr(module, norm)))
                    setattr(module, norm, nn.Identity())
            if isinstance(module, Bottleneck) and isinstance(module.downsample, nn.Sequential):
                module.downsample = _fused(*module.downsample)


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    return fuse_conv_bn_eval(conv.eval(), norm.eval())


def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(channels * EXPANSION, channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(channels_in, channels, stride), *rest)


def resnet50_parts() -> Parts:
    """Encoder and decoder of "fpn-resnet50"."""
    encoder = ResNet50Encoder()
    kaiming(encoder)
    decoder = FeaturePyramid(encoder.channels, PYRAMID_CHANNELS)
    return Parts(encoder=encoder, decoder=decoder, channels=PYRAMID_CHANNELS, reach=352)


def load_encoder_state(encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the weights of a torchvision ResNet-50 state dict into `encoder` (a segmenter's `.encoder`), in place.

    The dict's classifier (`fc.*`) is left out. Raises ValueError, with nothing loaded, if tensors lack, are too many or
    have other shapes; `num_batches_tracked`, which old dicts do not have, may lack.
    """
    own = encoder.state_dict()
    given = {key: value for key, value in state.items() if not key.startswith("fc.")}
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    foreign = [key for key in given if key not in own]
    misshapen = [key for key in given if key in own and given[key].shape != own[key].shape]
    for what, keys in (("lacks", missing), ("has unknown", foreign), ("has misshapen", misshapen)):
        if keys:
            raise ValueError(f"This is not the state of a ResNet-50: it {what} {len(keys)} tensors, first {keys[0]}.")
    encoder.load_state_dict(own | given)
