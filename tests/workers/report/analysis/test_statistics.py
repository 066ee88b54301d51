"""Statistics of paired seeds agree with scipy and with figures worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from service.domain.statistics import T_CRITICAL, bootstrap_interval, sample_std, t_interval
from workers.report.analysis.statistics import (
    EXACT_SEEDS,
    column_means,
    holm,
    paired_t_sign,
    penalty_matrix,
    sign_flip_p,
    smallest_p,
)


def scipy_p(differences: list[float]) -> float:
    test = stats.permutation_test(
        (np.array(differences),),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    return float(test.pvalue)


@pytest.mark.parametrize("seed", range(6))
def test_sign_flip_p_is_scipys_exact_permutation_test(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1.0, size=3 + seed).tolist()
    assert sign_flip_p(differences, np.random.default_rng(0)) == pytest.approx(scipy_p(differences))


def test_sign_flip_p_of_three_equal_signs_is_two_of_eight_patterns() -> None:
    assert sign_flip_p([1.0, 2.0, 3.0], np.random.default_rng(0)) == 2 / 8
    assert smallest_p(3) == 2 / 8


def test_sign_flip_p_counts_patterns_that_tie_but_for_rounding() -> None:
    # 0.1 + 0.2 - 0.3 is not exactly 0: all 8 patterns are as far from 0 as the observed, or further.
    assert sign_flip_p([0.1, 0.2, -0.3], np.random.default_rng(0)) == 1.0


def test_sign_flip_p_of_many_seeds_is_near_the_exact_one() -> None:
    differences = np.random.default_rng(5).normal(0.5, 1.0, size=EXACT_SEEDS + 2).tolist()
    found = sign_flip_p(differences, np.random.default_rng(0))
    assert found == pytest.approx(scipy_p(differences), abs=0.01)
    assert found >= smallest_p(len(differences))


def test_holm_by_hand() -> None:
    # Rising: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, which may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stays_within_one_and_takes_an_empty_family() -> None:
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_bootstrap_interval_is_near_scipys() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, size=8)
    found = bootstrap_interval(values.tolist(), np.random.default_rng(0))
    other = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3))
    assert found == pytest.approx(tuple(other.confidence_interval), abs=0.05)


def test_bootstrap_interval_of_equal_values_is_that_value() -> None:
    assert bootstrap_interval([2.0, 2.0, 2.0], np.random.default_rng(0)) == (2.0, 2.0)


def test_one_seed_has_no_interval_and_no_std() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        bootstrap_interval([1.0], np.random.default_rng(0))
    assert sample_std([1.0]) is None
    assert sample_std([1.0, 3.0]) == pytest.approx(math.sqrt(2))


def test_critical_values_are_those_of_student() -> None:
    assert [float(stats.t.ppf(0.975, df)) for df in range(1, 31)] == pytest.approx(list(T_CRITICAL), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_paired_t_sign_is_scipys_test_at_five_percent(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.normal(2.2, 1.0, size=6), generator.normal(0.5, 1.0, size=6)
    test = stats.ttest_rel(first, second)
    expected = int(np.sign(test.statistic)) if test.pvalue < 0.05 else 0
    assert paired_t_sign(first.tolist(), second.tolist()) == expected


def test_paired_t_sign_where_differences_do_not_vary() -> None:
    # 0.3 - 0.2 and 0.4 - 0.3 differ in their last bits only.
    assert paired_t_sign([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]) == 1
    assert paired_t_sign([0.2, 0.3], [0.2, 0.3]) == 0
    assert paired_t_sign([0.2], [0.1]) is None


def test_penalty_matrix_by_hand() -> None:
    low, high = {0: 0.10, 1: 0.11, 2: 0.12}, {0: 0.20, 1: 0.22, 2: 0.21}
    # The first beats the second at one of two budgets; the third has one seed only and is compared with none.
    matrix = penalty_matrix([{10: high, 20: low}, {10: low, 20: low}, {10: {0: 0.5}, 20: {0: 0.5}}], [10, 20])
    assert np.array_equal(
        matrix, [[np.nan, 0.5, np.nan], [0.0, np.nan, np.nan], [np.nan, np.nan, np.nan]], equal_nan=True
    )
    assert np.array_equal(column_means(matrix), [0.0, 0.5, np.nan], equal_nan=True)


def test_the_t_interval_is_scipys() -> None:
    values = [1.0, 2.5, 4.0, 3.5]
    found = t_interval(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least two"):
        t_interval([1.0])
