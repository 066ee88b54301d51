"""Which encoder a segmenter's name stands for, of those that there are published weights of."""

from models.efficientnet_lite import VARIANTS, EfficientNetLite
from models.encoder import Encoder
from models.resnet_fpn import RESNET50, ResNet50Encoder
from models.smp import PREFIX, smp_encoder


def has_published_weights(name: str) -> bool:
    """Whether a segmenter of this name has an encoder that can stay frozen."""
    return name in (*VARIANTS, RESNET50) or name.startswith(PREFIX)


def named_encoder(name: str) -> Encoder:
    """The encoder with fresh weights.

    Raises ValueError for a name that has none, or for smp:... what `smp_encoder` raises.
    """
    if name.startswith(PREFIX):
        return smp_encoder(name)
    return ResNet50Encoder() if name == RESNET50 else EfficientNetLite(name)
