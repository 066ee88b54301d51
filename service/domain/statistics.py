"""How sure a mean over seeds, or over games, is.

Shapes: S seeds, R resamples.
"""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000


def sample_std(values: Sequence[float]) -> float | None:
    """Standard deviation with S - 1 in the denominator; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def bootstrap_interval(
    values_S: Sequence[float], generator: np.random.Generator, *, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over seeds, from RESAMPLES resamples (Efron 1979).

    Raises ValueError for fewer than two values: one seed says nothing about the spread of seeds.
    """
    values = np.asarray(values_S, dtype=np.float64)
    if values.size < 2:
        raise ValueError("An interval needs at least two seeds.")
    means_R = values[generator.integers(values.size, size=(RESAMPLES, values.size))].mean(axis=1)
    low, high = np.quantile(means_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
