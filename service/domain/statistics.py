"""How sure a mean over seeds, or over games, is.

Shapes: S seeds, R resamples.
"""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000

# Two-sided 5% points of Student's t for 1 to 30 degrees of freedom.
T_CRITICAL = (
    *(12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139),
    *(2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963),
    *(2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272),
)


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


def t_critical(count: int) -> float:
    """Two-sided 5 % point of Student's t for the mean of `count` values, 2 at least; beyond 31 that of 31."""
    return T_CRITICAL[min(count - 1, len(T_CRITICAL)) - 1]


def t_interval(values_S: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few values by Student's t. Raises ValueError for fewer than two."""
    if len(values_S) < 2:
        raise ValueError("An interval needs at least two values.")
    mean, error = float(np.mean(values_S)), float(np.std(values_S, ddof=1)) / math.sqrt(len(values_S))
    reach = t_critical(len(values_S)) * error
    return mean - reach, mean + reach
