"""The temperature that makes a network's probabilities honest: one number that its logits are divided by (Guo et al. 2017).

Shapes: N cells, C classes.
"""

import math

import torch
from torch import Tensor

_LEAST, _MOST = math.log(0.25), math.log(8.0)
_STEPS = 40
_GOLDEN = (math.sqrt(5) - 1) / 2


def best_temperature(logits_NC: Tensor, shares_NC: Tensor) -> float:
    """The temperature from 1/4 to 8 under which labelled shares that the network has not seen are likeliest.

    By golden section in its logarithm: the likelihood has one maximum. 1 where nothing is labelled.
    """
    if not bool(shares_NC.sum() > 0):
        return 1.0
    logits_NC, shares_NC = logits_NC.double(), shares_NC.double()

    def nats(log_temperature: float) -> float:
        return -float((shares_NC * (logits_NC / math.exp(log_temperature)).log_softmax(1)).sum())

    low, high = _LEAST, _MOST
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    values = [nats(each) for each in inner]
    for _ in range(_STEPS):
        if values[0] < values[1]:
            high = inner[1]
            inner = [high - _GOLDEN * (high - low), inner[0]]
            values = [nats(inner[0]), values[0]]
        else:
            low = inner[0]
            inner = [inner[1], low + _GOLDEN * (high - low)]
            values = [values[1], nats(inner[1])]
    return math.exp((low + high) / 2)


def expected_calibration_error(logits_NC: Tensor, truth_N: Tensor, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over bins of equal width, weighted by their cells (Naeini et al. 2015)."""
    confidence_N, predicted_N = logits_NC.softmax(1).max(1)
    place_N = (confidence_N * bins).long().clamp(max=bins - 1)
    right_N = (predicted_N == truth_N).to(confidence_N.dtype)
    gaps = torch.zeros(bins, dtype=confidence_N.dtype).index_add_(0, place_N.cpu(), (right_N - confidence_N).cpu())
    return float(gaps.abs().sum() / len(truth_N))
