"""EfficientNet-Lite 0, 1 and 2 as encoders: five levels, from stride 2 to stride 32, and the way in for published weights.

Tan & Le 2019 without squeeze-and-excitation and with ReLU6, as Google published it for mobile devices in 2020.
Shapes: B images, C channels, H rows, W columns.
"""

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.encoder import Encoder

# Of each stage: blocks, kernel, stride, expansion, channels. The first and the last are the same in every variant.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
# After these stages a level is given out: the last of each stride.
LEVELS = (0, 1, 2, 4, 6)
STRIDES = (2, 4, 8, 16, 32)
# Width and depth of each variant.
VARIANTS = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite1": (1.0, 1.1), "efficientnet-lite2": (1.1, 1.2)}
MEAN = (0.498, 0.498, 0.498)  # (127 / 255), and 128 / 255
STD = (0.502, 0.502, 0.502)
_EPSILON, _MOMENTUM = 1e-3, 0.01
# Published names of a block's parts, and ours.
_OF_BLOCK = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")


class Convolution(nn.Module):
    """Convolution without bias, BatchNorm and, unless told otherwise, ReLU6; padded as TensorFlow's SAME is."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.relu = kernel, stride, relu
        inside = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, inside, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out, eps=_EPSILON, momentum=_MOMENTUM)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        maps_BCHW = self.norm(self._strided(maps_BCHW) if self.stride > 1 else self.conv(maps_BCHW))
        return F.relu6(maps_BCHW, inplace=True) if self.relu else maps_BCHW

    def _strided(self, maps_BCHW: Tensor) -> Tensor:
        """Padded by one more below and to the right, where the padding is odd.

        Padded by a stride more all around, and without what this adds in front: so that no padded copy is held, of maps that
        are the largest there are.
        """
        (above, rows), (left, cols) = (self._padding(side) for side in maps_BCHW.shape[-2:])
        strided = F.conv2d(
            maps_BCHW,
            self.conv.weight,
            self.conv.bias,
            self.stride,
            (above + self.stride, left + self.stride),
            groups=self.conv.groups,
        )
        return strided[..., 1 : 1 + rows, 1 : 1 + cols]

    def _padding(self, side: int) -> tuple[int, int]:
        """Before the first pixel, and how many the outcome has."""
        outcome = math.ceil(side / self.stride)
        return max(0, (outcome - 1) * self.stride + self.kernel - side) // 2, outcome

    def fold(self) -> None:
        """Put the norm into the convolution, for a network that is not trained: the same maps in two thirds of the time."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval()), nn.Identity()


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution, projection; beside a shortcut where the map keeps its shape."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand: nn.Module = Convolution(channels_in, inner, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(inner, inner, kernel, stride=stride, groups=inner)
        self.project = Convolution(inner, channels_out, 1, relu=False)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        inner: Tensor = self.project(self.depthwise(self.expand(maps_BCHW)))
        return inner + maps_BCHW if self.shortcut else inner


class EfficientNetLite(Encoder):
    """The stages without pooling and classifier."""

    strides = STRIDES
    mean = MEAN
    std = STD

    def __init__(self, variant: str) -> None:
        """Raises ValueError for a variant that is not there."""
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"There is no encoder {variant!r}. There are: {', '.join(VARIANTS)}.")
        width, depth = VARIANTS[variant]
        self.stem = Convolution(3, STEM_CHANNELS, 3, stride=2)
        blocks, before, ends = [], STEM_CHANNELS, []
        for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            if stage not in (0, len(STAGES) - 1):
                repeats = math.ceil(depth * repeats)
            after = _rounded(channels * width)
            for number in range(repeats):
                blocks.append(InvertedBottleneck(before, after, kernel, stride if number == 0 else 1, expansion))
                before = after
            ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self._level_ends = {ends[stage] for stage in LEVELS}
        self.channels = tuple(_rounded(STAGES[stage][-1] * width) for stage in LEVELS)

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Maps at strides 2, 4, 8, 16 and 32, finest first, their sides rounded up."""
        maps = self.stem(images_B3HW)
        levels = []
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in self._level_ends:
                levels.append(maps)
        return levels

    def fold(self) -> None:
        """Put every norm into its convolution. Not to be trained afterwards."""
        for module in self.modules():
            if isinstance(module, Convolution):
                module.fold()


def _rounded(channels: float, divisor: int = 8) -> int:
    """The multiple of the divisor next to a number of channels, never less than nine tenths of it."""
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


def load_published(encoder: EfficientNetLite, state: Mapping[str, Tensor]) -> None:
    """Put the weights of a published state dict into `encoder`, in place. Its classifier is left out.

    Raises ValueError, with nothing loaded, where tensors lack, are too many or have other shapes.
    """
    given = {_own_name(key): value for key, value in state.items() if not key.startswith(_CLASSIFIER)}
    own = encoder.state_dict()
    wrong = [key for key in sorted(own.keys() | given.keys()) if _shape(own, key) != _shape(given, key)]
    if wrong:
        raise ValueError(f"These are not the weights of this encoder: {len(wrong)} tensors differ, first {wrong[0]}.")
    encoder.load_state_dict(given)


def _shape(tensors: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(tensors[key].shape) if key in tensors else None


def _own_name(key: str) -> str:
    first, _, rest = key.partition(".")
    if first != "_blocks":
        return {"_conv_stem": "stem.conv", "_bn0": "stem.norm"}.get(first, first) + f".{rest}"
    number, part, name = rest.split(".", 2)
    return f"blocks.{number}.{_OF_BLOCK.get(part, part)}.{name}"
