"""Carries a classifier over to other classes: rows of those that stay, one row for several that become one, new rows.

Shapes: C classes of before, D classes of after, F feature channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

NEW_WEIGHTS = 0.01
"""The standard deviation of a new class's weights."""


def carried_rows(
    weight_CF11: Tensor, bias_C: Tensor, sources: Sequence[Sequence[int]], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(D, F, 1, 1) weights and (D,) biases of a 1x1 classifier whose row d stands for the rows `sources[d]` of before.

    Several become their mean, and its bias is raised by the logarithm of their number: of classes with equal logits the sum of
    their probabilities stays. Two classes that come from one row share its probability. A class of no row begins with small
    weights and the lowest bias, so that it is not predicted before it is learned.
    """
    shared = [sum(list(other) == list(rows) for other in sources) for rows in sources]
    weights, biases = [], []
    for rows, others in zip(sources, shared, strict=True):
        if rows:
            weights.append(weight_CF11[list(rows)].mean(0))
            biases.append(bias_C[list(rows)].mean() + math.log(len(rows) / others))
        else:
            drawn = torch.randn(weight_CF11.shape[1:], generator=generator).to(weight_CF11)
            weights.append(NEW_WEIGHTS * drawn)
            biases.append(bias_C.min())
    return torch.stack(weights), torch.stack(biases)
