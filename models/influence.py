"""What labelling a place would do to the soft mIoU of other images, to first order: by the head's last layer, linearised.

docs/method.md, 12. Shapes: B images, h x w or X cells, H hidden channels, D = H + 1 with a 1 appended, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.segmenter import Segmenter

# Of the mean eigenvalue of each curvature, added to all: directions that the labelled cells say little of count less.
DAMPING = 0.1
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Cells with labelled pixels: hidden channels, predicted probabilities, and labelled pixels of each class."""

    hidden_XH: Tensor
    probabilities_XC: Tensor
    counts_XC: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Influence:
    """What a pixel is worth, labelled with each class: u = [h, 1] @ direction, in soft mIoU for a small step on it."""

    direction_DC: Tensor

    def to(self, device: torch.device) -> "Influence":
        """The same on a device."""
        return Influence(direction_DC=self.direction_DC.to(device))

    def worth(self, hidden_XH: Tensor) -> Tensor:
        """(X, C) u of cells."""
        worth_XC: Tensor = with_one(hidden_XH) @ self.direction_DC
        return worth_XC

    def gains(self, cells: Cells) -> Tensor:
        """(X,) of cells whose labels are known: the sum over their pixels of u_y - sum_c p_c u_c."""
        worth_XC = self.worth(cells.hidden_XH)
        pixels_X1 = cells.counts_XC.sum(1, keepdim=True)
        return ((cells.counts_XC - pixels_X1 * cells.probabilities_XC) * worth_XC).sum(1)

    def expected(self, hidden_XH: Tensor, probabilities_XC: Tensor) -> Tensor:
        """(X, 2) of a pixel of each cell if its label is drawn from the prediction: the gain's deviation, and its mean above 0.

        The mean of all of it is 0.
        """
        worth_XC = self.worth(hidden_XH)
        around_XC = worth_XC - (probabilities_XC * worth_XC).sum(1, keepdim=True)
        deviation_X = (probabilities_XC * around_XC.square()).sum(1).sqrt()
        return torch.stack([deviation_X, (probabilities_XC * around_XC.clamp_min(0)).sum(1)], 1)

    def expected_maps(self, segmenter: Segmenter, hidden_BHhw: Tensor) -> Tensor:
        """(B, 2, h, w): what is expected of each cell, of the segmenter's `encode`."""
        logits_BChw = segmenter.coarse_logits(hidden_BHhw)
        hidden_XH, logits_XC = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (hidden_BHhw, logits_BChw))
        images, _, rows, cols = hidden_BHhw.shape
        expected_Bhw2 = self.expected(hidden_XH, logits_XC.softmax(1)).view(images, rows, cols, 2)
        return expected_Bhw2.permute(0, 3, 1, 2)


def influence(labelled: Sequence[Cells], measured: Sequence[Cells], damping: float = DAMPING) -> Influence | None:
    """Of the head that gave the probabilities: labelled cells say how hard it is to move, measured ones where to.

    The curvature of cross-entropy is taken for a Kronecker product (Martens &
    Grosse 2015) of E[h h^T] and E[diag p - p p^T] over labelled pixels; the step on a place's labels is along its inverse
    (Koh & Liang 2017). None where nothing is labelled, or measured.
    """
    gradient_DC = gradient_of_soft_miou(measured)
    curvatures = curvature(labelled)
    if gradient_DC is None or curvatures is None:
        return None
    hidden_DD, classes_CC = (_damped(each, damping) for each in curvatures)
    left_DC = torch.linalg.solve(hidden_DD, gradient_DC)
    return Influence(direction_DC=torch.linalg.solve(classes_CC, left_DC.T).T.float())


def with_one(hidden_XH: Tensor) -> Tensor:
    """(X, D): the last layer's bias is a weight of a channel that is always 1."""
    return torch.cat([hidden_XH, hidden_XH.new_ones(len(hidden_XH), 1)], 1)


def soft_miou(measured: Sequence[Cells]) -> float | None:
    """Mean over the classes that occur of sum p t / (sum p + sum t - sum p t), sums over labelled pixels; None without any.

    Rahman & Wang 2016.
    """
    sums = _sums(measured)
    if sums is None:
        return None
    both_C, either_C, true_C = sums
    return float((both_C / either_C)[true_C > 0].mean())


def gradient_of_soft_miou(measured: Sequence[Cells]) -> Tensor | None:
    """(D, C) float64: by the last layer's weights; None where no pixel is labelled."""
    sums = _sums(measured)
    if sums is None:
        return None
    both_C, either_C, true_C = sums
    # Of a class I / U, and of each pixel dI / dp = t, dU / dp = 1 - t.
    occurs_C = (true_C > 0) / (true_C > 0).sum()
    by_true_C, by_any_C = occurs_C / either_C * (1 + both_C / either_C), -occurs_C * both_C / either_C.square()
    parts = []
    for cells in measured:
        p_XC, t_XC = cells.probabilities_XC.double(), cells.counts_XC.double()
        by_p_XC = by_true_C * t_XC + by_any_C * t_XC.sum(1, keepdim=True)
        by_logits_XC = p_XC * (by_p_XC - (p_XC * by_p_XC).sum(1, keepdim=True))
        parts.append(with_one(cells.hidden_XH.double()).T @ by_logits_XC)
    return torch.stack(parts).sum(0)


def curvature(labelled: Sequence[Cells]) -> tuple[Tensor, Tensor] | None:
    """(D, D) E[h h^T] and (C, C) E[diag p - p p^T] over labelled pixels, float64; None without any."""
    parts = []
    for cells in labelled:
        pixels_X1 = cells.counts_XC.double().sum(1, keepdim=True)
        h_XD, p_XC = with_one(cells.hidden_XH.double()), cells.probabilities_XC.double()
        classes_CC = torch.diag((pixels_X1 * p_XC).sum(0)) - p_XC.T @ (pixels_X1 * p_XC)
        parts.append((pixels_X1.sum(), h_XD.T @ (pixels_X1 * h_XD), classes_CC))
    if not parts:
        return None
    pixels, hidden_DD, classes_CC = (torch.stack(each).sum(0) for each in zip(*parts, strict=True))
    return (hidden_DD / pixels, classes_CC / pixels) if bool(pixels) else None


def _sums(measured: Sequence[Cells]) -> tuple[Tensor, Tensor, Tensor] | None:
    """(C,) float64 over labelled pixels: sum p t, sum p + t - p t, which is above 0, sum t; None without any."""
    parts = []
    for cells in measured:
        p_XC, t_XC = cells.probabilities_XC.double(), cells.counts_XC.double()
        both_C, true_C = (p_XC * t_XC).sum(0), t_XC.sum(0)
        parts.append((both_C, t_XC.sum(1) @ p_XC + true_C - both_C, true_C))
    if not parts:
        return None
    both_C, either_C, true_C = (torch.stack(each).sum(0) for each in zip(*parts, strict=True))
    return (both_C, either_C.clamp_min(_LEAST), true_C) if bool(true_C.sum()) else None


def _damped(curvature_DD: Tensor, damping: float) -> Tensor:
    size = len(curvature_DD)
    return curvature_DD + damping * curvature_DD.trace() / size * torch.eye(size).to(curvature_DD)


def no_influence(hidden: int, classes: int) -> Influence:
    """Of which nothing is known: every pixel is worth 0."""
    return Influence(direction_DC=torch.zeros(hidden + 1, classes))
