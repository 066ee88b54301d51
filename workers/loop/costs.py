"""By what candidates compete: those of several sizes by scores for pixels, all by scores for what it would cost to draw them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.strategies import Strategy
from service.domain.costs import DrawingCost
from service.domain.outlines import clicks_of_each

# Shapes: M candidates, H x W pixels.


def by_pixels(strategy: Strategy, scores_M: NDArray[np.float64], pixels_M: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores by the pixel, in whatever unit pixels are: sums are divided, means are that already."""
    return scores_M / pixels_M if strategy.adds_up else scores_M


def by_cost(
    strategy: Strategy,
    scores_M: NDArray[np.float64],
    pixels_M: NDArray[np.int64],
    costs_M: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Value for cost: what scores are above the strategy's zero, summed over pixels, divided by the costs.

    What is below zero does harm, and the more for being dear: by the pixel it is multiplied by the cost of a pixel, as value by
    the pixel is divided by it. Scores without a zero are an order alone, and are returned as they are.
    """
    if strategy.zero is None:
        return scores_M
    values_M = by_pixels(strategy, scores_M, pixels_M) - strategy.zero
    prices_M = costs_M / pixels_M
    return np.where(values_M < 0, values_M * prices_M, values_M / prices_M)


def drawing_costs(cost: DrawingCost, predicted: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(M,) costs of drawing what is predicted of candidates: H x W class indices of each."""
    return cost.of(clicks_of_each(predicted))
