"""What drawing costs: known lines are found again, breaks hardly count, and scipy agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, nnls

from service.domain.costs import ASSUMED_SECONDS, CLICKS, FEWEST_LABELS, DrawingCost, drawing_cost, fitted_seconds


def labels(seed: int, fixed: float, per_click: float, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clicks = rng.integers(4, 60, 80)
    return clicks, (fixed + per_click * clicks) * rng.lognormal(0, noise, 80)


def test_a_cost_is_a_fixed_part_and_one_of_each_click() -> None:
    assert DrawingCost(fixed=3.0, per_click=0.5).of([4, 10]).tolist() == [5.0, 8.0]
    assert CLICKS.of([4, 10]).tolist() == [4.0, 10.0]
    assert [drawing_cost("pixels"), drawing_cost("clicks"), drawing_cost("seconds")] == [None, CLICKS, ASSUMED_SECONDS]


@pytest.mark.parametrize(("fixed", "per_click"), [(6.0, 2.0), (0.0, 1.5), (12.0, 0.0)])
def test_a_line_is_found_again_whatever_breaks_there_were(fixed: float, per_click: float) -> None:
    clicks, seconds = labels(0, fixed, per_click, noise=0.0)
    seconds[::7] = 3600.0
    found = fitted_seconds(clicks, seconds)
    assert (found.fixed, found.per_click) == pytest.approx((fixed, per_click), abs=1e-4)


def test_a_line_is_found_though_most_labels_have_as_many_clicks() -> None:
    clicks = np.array([4] * 20 + [6, 9, 12, 20])
    found = fitted_seconds(clicks, 3.0 + 2.0 * clicks)
    assert (found.fixed, found.per_click) == pytest.approx((3.0, 2.0), rel=1e-6)


def test_with_few_labels_or_labels_that_say_nothing_seconds_are_assumed() -> None:
    clicks, seconds = labels(1, 6.0, 2.0)
    enough = FEWEST_LABELS
    assert fitted_seconds([], []) == ASSUMED_SECONDS
    assert fitted_seconds(clicks[: enough - 1], seconds[: enough - 1]) == ASSUMED_SECONDS
    assert fitted_seconds(clicks[:enough], seconds[:enough]) != ASSUMED_SECONDS
    assert fitted_seconds(clicks[:enough], [0.0, *seconds[1:enough]]) == ASSUMED_SECONDS
    assert fitted_seconds([0, *clicks[1:enough]], seconds[:enough]) == ASSUMED_SECONDS
    with_nothing = fitted_seconds([0, *clicks], [9.0, *seconds])
    assert with_nothing == fitted_seconds(clicks, seconds)


@given(st.integers(0, 200), st.sampled_from([(6.0, 2.0), (0.0, 2.0), (30.0, 0.0), (2.0, 0.1)]))
@settings(max_examples=60, deadline=None)
def test_it_is_the_least_of_huber_s_loss_without_negative_parts(seed: int, line: tuple[float, float]) -> None:
    clicks, seconds = labels(seed, *line)
    found = fitted_seconds(clicks, seconds)
    off = found.of(clicks) - seconds
    other = least_squares(
        lambda each: each[0] + each[1] * clicks - seconds,
        x0=(1.0, 1.0),
        bounds=(0, np.inf),
        loss="huber",
        f_scale=1.345 * 1.4826 * np.median(np.abs(off)),
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    assert (found.fixed, found.per_click) == pytest.approx(tuple(other.x), rel=1e-3, abs=1e-3)


def test_where_no_label_is_far_off_it_is_nonnegative_least_squares() -> None:
    # Two groups, each off by as much: all distances are the median.
    for seconds, fixed, per_click in (
        ((10, 14, 30, 34), 4.0, 0.8),
        ((2, 6, 60, 64), 0.0, None),
        ((9, 11, 4, 6), 7.5, 0.0),
    ):
        clicks = np.repeat([10, 10, 35, 35], 10)
        values = np.repeat(np.array(seconds, float), 10)
        found = fitted_seconds(clicks, values)
        other, _ = nnls(np.stack([np.ones(40), clicks], 1), values)
        assert (found.fixed, found.per_click) == pytest.approx(tuple(other))
        assert found.fixed == pytest.approx(fixed)
        assert per_click is None or found.per_click == pytest.approx(per_click)


def test_labels_of_one_number_of_clicks_say_how_fast_drawing_goes_and_no_more() -> None:
    # Of 10 clicks 22.5 seconds are assumed: here it is twice that.
    found = fitted_seconds([10] * 30, [45.0] * 30)
    assert (found.fixed, found.per_click) == pytest.approx((10.0, 3.5))
