"""The statistics of paired seeds: intervals, tests, their correction, and how often one method beats another."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.domain.statistics import RESAMPLES, t_critical

# Shapes: S seeds, R resamples, N methods. NaN stands for what could not be compared.

Values = NDArray[np.float64]

Thing = TypeVar("Thing")

EXACT_SEEDS = 12  # 2^12 sign patterns are fewer than RESAMPLES


def with_most_seeds(things: Iterable[tuple[Thing, int]]) -> list[Thing]:
    """Those with at least half as many seeds as any: a mean of fewer may be luck, and is not called the best."""
    known = list(things)
    most = max((seeds for _, seeds in known), default=0)
    return [thing for thing, seeds in known if 2 * seeds >= most]


def sign_flip_p(differences_S: Sequence[float], generator: np.random.Generator) -> float:
    """Two-sided p of the paired permutation test: how often the mean is as far from 0 when signs are drawn at random.

    Exact over all 2^S patterns up to EXACT_SEEDS seeds; beyond, from RESAMPLES draws, (1 + hits) / (1 + draws). With S seeds
    it cannot fall below 2^(1 - S). Raises ValueError without differences.
    """
    differences = np.asarray(differences_S, dtype=np.float64)
    if differences.size == 0:
        raise ValueError("A test needs at least one difference.")
    exact = differences.size <= EXACT_SEEDS
    if exact:
        bits_RS = np.arange(2**differences.size)[:, None] >> np.arange(differences.size) & 1
    else:
        bits_RS = generator.integers(2, size=(RESAMPLES, differences.size))
    flipped_R = np.abs((1.0 - 2.0 * bits_RS) @ differences)
    # Patterns that tie in exact arithmetic may differ in the last bits of a sum.
    observed = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    hits = int((flipped_R >= observed).sum())
    return hits / len(flipped_R) if exact else (1 + hits) / (1 + len(flipped_R))


def smallest_p(seeds: int) -> float:
    """The smallest p that the sign-flip test can give."""
    return min(1.0, 2.0 ** (1 - seeds)) if seeds <= EXACT_SEEDS else 1 / (1 + RESAMPLES)


def holm(p_values: Sequence[float]) -> list[float]:
    """p corrected for a family of tests (Holm 1979), in the order given: p of rank i times what is left, never falling."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def paired_t_sign(first_S: Sequence[float], second_S: Sequence[float]) -> int | None:
    """1 where the first is above the second by a two-sided paired t-test at 0.05, -1 where below, else 0.

    None for fewer than two seeds. Beyond 31 seeds the critical value of 31 is used, which is slightly too strict.
    """
    differences = np.asarray(first_S, dtype=np.float64) - np.asarray(second_S, dtype=np.float64)
    if differences.size < 2:
        return None
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(differences.size)
    critical = t_critical(differences.size)
    # Differences that are equal but for rounding are of no spread: any mean of them counts.
    rounding = 1e-12 * float(np.abs(differences).max())
    if abs(mean) <= rounding or abs(mean) <= critical * (error if error > rounding else 0.0):
        return 0
    return 1 if mean > 0 else -1


def penalty_matrix(curves: Sequence[Mapping[int, Mapping[int, float]]], budgets: Sequence[int]) -> Values:
    """How often method i (rows) beats method j (columns): float64, N x N, entries in [0, 1] (Ash et al. 2020, BADGE).

    `curves` holds, for each method, budget -> seed -> mIoU. For each budget at which i beats j by a two-sided paired t-test at
    0.05 over the seeds that both have, entry (i, j) gains 1 / number of budgets. The diagonal, and pairs that share
    fewer than two seeds at some budget, are NaN.
    """
    matrix_NN = np.full((len(curves), len(curves)), np.nan)
    for i, first in enumerate(curves):
        for j, second in enumerate(curves):
            signs = [_sign_at(first.get(budget, {}), second.get(budget, {})) for budget in budgets]
            if i != j and signs and None not in signs:
                matrix_NN[i, j] = signs.count(1) / len(signs)
    return matrix_NN


def column_means(matrix_NN: Values) -> Values:
    """How often each method is beaten, a mean over the methods it was compared with: N values, NaN where with none."""
    known = ~np.isnan(matrix_NN)
    sums: Values = np.where(known, matrix_NN, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    means_N = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means_N, where=counts > 0)
    return means_N


def _sign_at(first: Mapping[int, float], second: Mapping[int, float]) -> int | None:
    seeds = sorted(first.keys() & second.keys())
    return paired_t_sign([first[seed] for seed in seeds], [second[seed] for seed in seeds])
