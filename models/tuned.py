"""A frozen segmenter made trainable as a whole: the same network, in which the encoder and the projection learn too.

Shapes: E channels of all levels together, F components.
"""

import torch
from torch import nn

from models.encoder import Encoder
from models.enlarging import TUNED, EnlargingEncoder
from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter


def tuned_name(segmenter: FrozenSegmenter) -> str:
    """The name of the architecture that a frozen segmenter becomes."""
    eye = segmenter.eye
    return f"{TUNED}{eye.name}:{eye.stride}:{eye.magnification}"


@torch.no_grad()
def take_over(tuned: Segmenter, segmenter: FrozenSegmenter, encoder: Encoder) -> None:
    """Give a tuned segmenter, in place, the weights of a frozen one, and of its encoder before norms were folded into it."""
    weight_EF, offset_F = segmenter.projection.linear()
    assert isinstance(tuned.decoder, nn.Sequential)
    assert isinstance(tuned.encoder, EnlargingEncoder)
    enter, head = tuned.decoder
    assert isinstance(enter, nn.Conv2d)
    assert enter.bias is not None
    enter.weight.copy_(weight_EF.T[..., None, None])
    enter.bias.copy_(-offset_F)
    head.load_state_dict(segmenter.decoder.state_dict())
    tuned.encoder.encoder.load_state_dict(encoder.state_dict())
    for own, given in zip(tuned.classifier.parameters(), segmenter.classifier.parameters(), strict=True):
        own.copy_(given / segmenter.temperature)
