"""The linear head that learns in the surrogate game, and its training without autograd.

Shapes: E feature channels, C classes, X labelled points, B points of a batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Head:
    """A linear classifier of features: logits = features @ weight.T + bias."""

    weight_CE: Tensor
    bias_C: Tensor

    def logits(self, features_E: Tensor) -> Tensor:
        """(..., C) of (..., E)."""
        return features_E @ self.weight_CE.T + self.bias_C


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTraining:
    """How the head learns in each round: steps of Adam on points drawn from all that is labelled, at a falling rate."""

    steps: int = 20
    lr: float = 0.01
    batch: int = 1024
    dropout: float = 0.2  # of features, for BALD alone


def train_head(
    head: Head, features_XE: Tensor, labels_X: Tensor, settings: HeadTraining, generator: torch.Generator
) -> Head:
    """Adam (Kingma & Ba 2015) on the mean cross-entropy, whose gradient is written out: no graph is kept."""
    weight_CE, bias_C = head.weight_CE.clone(), head.bias_C.clone()
    moments = [torch.zeros_like(each) for each in (weight_CE, weight_CE, bias_C, bias_C)]
    size = min(settings.batch, len(labels_X))
    for step in range(1, settings.steps + 1 if size else 1):
        drawn_B = torch.randint(len(labels_X), (size,), generator=generator)
        inputs_BE = features_XE[drawn_B]
        error_BC = torch.softmax(inputs_BE @ weight_CE.T + bias_C, 1)
        error_BC[torch.arange(size), labels_X[drawn_B]] -= 1
        rate = settings.lr * (1 - (step - 1) / settings.steps)
        _adam(weight_CE, error_BC.T @ inputs_BE / size, moments[0], moments[1], rate, step)
        _adam(bias_C, error_BC.mean(0), moments[2], moments[3], rate, step)
    return Head(weight_CE, bias_C)


def _adam(values: Tensor, gradient: Tensor, first: Tensor, second: Tensor, rate: float, step: int) -> None:
    first.lerp_(gradient, 0.1)
    second.lerp_(gradient.square(), 0.001)
    scale = (second / (1 - 0.999**step)).sqrt_().add_(1e-8)
    values.addcdiv_(first, scale, value=-rate / (1 - 0.9**step))
