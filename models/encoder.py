"""What is asked of an encoder that may stay frozen: levels at several strides, and how pixels are normalised for it."""

from torch import nn

from models.fpn import IMAGENET_MEAN, IMAGENET_STD


class Encoder(nn.Module):
    """Normalised images, whose sides the coarsest stride divides, to one map at each of `strides`, finest first.

    `strides` are in pixels, `channels` are the maps'; `mean` and `std` of red, green and blue in [0, 1] normalise images.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def fold(self) -> None:
        """Put norms into convolutions, where the encoder can: the same maps in less time. Not to be trained afterwards."""
