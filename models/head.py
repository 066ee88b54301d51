"""The head on a frozen encoder's features: small enough to be fitted anew to all labels in seconds.

Shapes: B images, F features, H hidden channels, h x w cells.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (kernel, dilation) of each block's depthwise convolution: together they see REACH cells to each side.
DEPTHWISE = ((3, 1), (3, 3))
REACH = sum(kernel // 2 * dilation for kernel, dilation in DEPTHWISE)
EXPANSION = 2
# Pixels of a label map that are counted at a time: each takes 8 bytes, several times over.
_SHARED_AT_ONCE = 2**20


class Block(nn.Module):
    """A depthwise convolution and two of a single cell, beside a shortcut (as in ConvNeXt, Liu et al. 2022)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(
            channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation, groups=channels, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, EXPANSION * channels, 1)
        self.project = nn.Conv2d(EXPANSION * channels, channels, 1)

    def forward(self, maps_BHhw: Tensor) -> Tensor:
        wide_BEhw = F.relu(of_each_cell(self.expand, self.norm(self.around(maps_BHhw))))
        return maps_BHhw + of_each_cell(self.project, wide_BEhw)


class Head(nn.Module):
    """From features to the hidden channels that a linear classifier reads."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(features, hidden, 1)
        self.blocks = nn.Sequential(*(Block(hidden, kernel, dilation) for kernel, dilation in DEPTHWISE))

    def forward(self, features_BFhw: Tensor) -> Tensor:
        """(B, H, h, w)."""
        hidden: Tensor = self.blocks(F.relu(of_each_cell(self.enter, features_BFhw)))
        return hidden


def of_each_cell(layer: nn.Conv2d, maps_BDhw: Tensor) -> Tensor:
    """A convolution of single cells as a product of matrices, its outcome in memory cell by cell.

    Torch's own of so few channels takes a third longer on a CPU.
    """
    return F.linear(maps_BDhw.permute(0, 2, 3, 1), layer.weight.flatten(1), layer.bias).permute(0, 3, 1, 2)


def soft_iou_loss(logits_BChw: Tensor, shares_BChw: Tensor) -> Tensor:
    """1 - the mean soft IoU of the classes that the cells hold (Rahman & Wang 2016).

    `shares_BChw` are the shares of each cell's pixels that are labelled with each class; what is missing from a sum of 1 is
    unlabelled, and the prediction there does not count. 0 where nothing is labelled.
    """
    labelled_B1hw = shares_BChw.sum(1, keepdim=True)
    predicted_BChw = logits_BChw.softmax(1) * labelled_B1hw
    both_C = (predicted_BChw * shares_BChw / labelled_B1hw.clamp_min(1e-6)).sum((0, 2, 3))
    true_C = shares_BChw.sum((0, 2, 3))
    either_C = predicted_BChw.sum((0, 2, 3)) + true_C - both_C
    seen_C = true_C > 0
    missed_C = (1 - both_C / either_C.clamp_min(1e-6)) * seen_C
    loss: Tensor = missed_C.sum() / seen_C.sum().clamp_min(1)
    return loss


def soft_cross_entropy(logits_BChw: Tensor, shares_BChw: Tensor, weights_C: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of the cells' labelled shares, each class weighted."""
    weighted_BChw = shares_BChw * weights_C.view(1, -1, 1, 1)
    nats: Tensor = -(weighted_BChw * logits_BChw.log_softmax(1)).sum()
    return nats / weighted_BChw.sum().clamp_min(1e-6)


def balancing_weights(counts_C: Tensor, power: float) -> Tensor:
    """Weights of classes by their share of what is labelled to the power of -`power`, of mean 1 over all that is labelled."""
    shares_C = counts_C.double() / counts_C.sum().clamp_min(1)
    weights_C = shares_C.clamp_min(1e-4) ** -power
    return (weights_C / (weights_C * shares_C).sum().clamp_min(1e-12)).float()


def class_shares(label_map_HW: Tensor, classes: int, stride: int) -> Tensor:
    """(C, h, w) float32: of the stride x stride pixels of each cell, the share labelled with each class.

    Cells at the edge that are cut off count whole: pixels beyond it are unlabelled, as are values that are no class.
    """
    height, width = label_map_HW.shape
    strip = stride * max(1, _SHARED_AT_ONCE // (stride * width))
    parts = [_class_shares(label_map_HW[top : top + strip], classes, stride) for top in range(0, height, strip)]
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def _class_shares(label_map_HW: Tensor, classes: int, stride: int) -> Tensor:
    height, width = label_map_HW.shape
    rows, cols = -(-height // stride), -(-width // stride)
    cells_HW = (torch.arange(height) // stride)[:, None] * cols + torch.arange(width) // stride
    known_HW = label_map_HW < classes
    places_N = label_map_HW[known_HW].long() * (rows * cols) + cells_HW[known_HW]
    counts = torch.bincount(places_N, minlength=classes * rows * cols)
    return counts.view(classes, rows, cols).float() / (stride * stride)
