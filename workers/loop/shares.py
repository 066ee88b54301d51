"""What the pool is predicted to hold, by a round's candidates, which are drawn from it at random."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Shapes: M candidates, C classes.


def predicted_shares(
    class_part_MC: Tensor, pixels_M: NDArray[np.int64], spans_M2: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """(C,) the share of pixels that each class is predicted for: the mean of the candidates' histograms, by their pixels.

    Of candidates of several sizes, given by their spans, those count that lie in no other: each pixel once.
    """
    weights_M = pixels_M if spans_M2 is None else np.where(outermost(spans_M2), pixels_M, 0)
    return np.asarray(weights_M @ class_part_MC.double().cpu().numpy() / weights_M.sum(), np.float64)


def outermost(spans_M2: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(M,) whether a span lies in no other. Spans are apart, or one lies in the other."""
    starts_M, stops_M = spans_M2.T
    order_M = np.lexsort((-stops_M, starts_M))
    before_M = np.maximum.accumulate(np.concatenate([[-1], stops_M[order_M][:-1]]))
    outer_M = np.zeros(len(spans_M2), np.bool_)
    outer_M[order_M] = stops_M[order_M] > before_M
    return outer_M
