"""Metrics against torchmetrics, scipy and values worked out by hand."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index

from service.domain.classes import IGNORE
from service.domain.metrics import (
    area_under_curve,
    class_counts,
    confusion_matrix,
    cost_to_reach,
    distribution_entropy,
    fell,
    iou_per_class,
    mean_iou,
)

CLASSES = 4
truths = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 3, IGNORE]))
predictions = arrays(np.uint8, (6, 7), elements=st.integers(0, 3))


@given(truths, predictions)
def test_the_confusion_matrix_is_that_of_torchmetrics(truth: np.ndarray, prediction: np.ndarray) -> None:
    expected = multiclass_confusion_matrix(_torch(prediction), _torch(truth), CLASSES, ignore_index=IGNORE)
    confusion = confusion_matrix(truth, prediction, CLASSES)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected.numpy())


@given(truths, predictions)
def test_iou_is_that_of_torchmetrics_in_every_class_that_is_present(truth: np.ndarray, prediction: np.ndarray) -> None:
    each = multiclass_jaccard_index(_torch(prediction), _torch(truth), CLASSES, ignore_index=IGNORE, average="none")
    iou = iou_per_class(confusion_matrix(truth, prediction, CLASSES))
    counted = truth != IGNORE
    present = np.isin(np.arange(CLASSES), np.union1d(truth[counted], prediction[counted]))
    np.testing.assert_array_equal(np.isnan(iou), ~present)
    np.testing.assert_allclose(iou[present], each.numpy()[present], rtol=1e-6)


def test_mean_iou_is_that_of_torchmetrics_where_every_class_is_present() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 19, size=(3, 40, 50), dtype=np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 19, size=truth.shape)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = IGNORE
    expected = multiclass_jaccard_index(_torch(prediction), _torch(truth), 19, ignore_index=IGNORE)
    assert mean_iou(confusion_matrix(truth, prediction, 19)) == pytest.approx(float(expected), rel=1e-6)


def test_rows_are_the_truth_and_ignored_pixels_are_left_out() -> None:
    truth = np.array([[0, 0, 1], [1, IGNORE, 0]], dtype=np.uint8)
    prediction = np.array([[0, 1, 1], [1, 1, 1]], dtype=np.uint8)
    assert confusion_matrix(truth, prediction, 3).tolist() == [[1, 2, 0], [0, 2, 0], [0, 0, 0]]


def test_a_class_absent_from_both_maps_leaves_the_mean_and_a_class_only_predicted_counts_zero() -> None:
    confusion = np.array([[1, 2, 1], [0, 2, 0], [0, 0, 0]])
    np.testing.assert_allclose(iou_per_class(confusion), [1 / 4, 2 / 4, 0])
    assert mean_iou(confusion) == pytest.approx(0.25)
    confusion[0, 2] = 0
    np.testing.assert_allclose(iou_per_class(confusion), [1 / 3, 2 / 4, np.nan])
    assert mean_iou(confusion) == pytest.approx(5 / 12)


def test_mean_iou_of_nothing_is_nan_without_a_warning() -> None:
    assert math.isnan(mean_iou(np.zeros((3, 3), dtype=np.int64)))


def test_the_largest_number_of_classes_is_counted_without_overflow() -> None:
    everything = np.arange(255, dtype=np.uint8)[None]
    np.testing.assert_array_equal(confusion_matrix(everything, everything, 255), np.eye(255))


def test_confusion_of_maps_that_do_not_fit_is_refused() -> None:
    zeros = np.zeros((2, 2), dtype=np.uint8)
    with pytest.raises(ValueError, match="differ in shape"):
        confusion_matrix(zeros, zeros[:1], 2)
    with pytest.raises(ValueError, match="index 2 is outside the 2 classes"):
        confusion_matrix(zeros + np.uint8(2), zeros, 2)
    with pytest.raises(ValueError, match="index 255 is outside the 2 classes"):
        confusion_matrix(zeros, zeros + np.uint8(255), 2)
    with pytest.raises(ValueError, match="1 to 255 classes, not 0"):
        confusion_matrix(zeros, zeros, 0)


def confusion_of(right: int, wrong: int) -> list[list[int]]:
    """Two classes, so many pixels of each predicted right and wrong: mIoU is right / (right + 2 wrong)."""
    return [[right, wrong], [wrong, right]]


def test_a_fall_on_every_image_is_one_and_a_rise_or_nothing_is_none() -> None:
    high, low = np.array([confusion_of(9, 1)] * 8), np.array([confusion_of(8, 2)] * 8)
    assert mean_iou(high.sum(0)) == pytest.approx(9 / 11)
    assert mean_iou(low.sum(0)) == pytest.approx(8 / 12)
    assert fell(high, low, np.random.default_rng(0))
    assert not fell(low, high, np.random.default_rng(0))
    assert not fell(high, high, np.random.default_rng(0))


def test_a_fall_that_hangs_on_which_images_there_are_is_noise() -> None:
    before = np.array([confusion_of(8, 2)] * 8)
    # One image is much worse and six are a little better: the mean is lower, and without that one it is not.
    after = np.array([confusion_of(0, 10), confusion_of(8, 2), *[confusion_of(9, 1)] * 6])
    assert mean_iou(after.sum(0)) < mean_iou(before.sum(0))
    assert not fell(before, after, np.random.default_rng(0))


def test_a_single_image_decides_alone_and_images_without_truth_decide_nothing() -> None:
    one, worse, nothing = (
        np.array([confusion]) for confusion in (confusion_of(9, 1), confusion_of(8, 2), [[0, 0]] * 2)
    )
    assert fell(one, worse, np.random.default_rng(0))
    assert not fell(nothing, nothing, np.random.default_rng(0))
    assert not fell(nothing, worse, np.random.default_rng(0))


@given(truths)
def test_class_counts_count_each_class_and_no_ignored_pixel(label_map: np.ndarray) -> None:
    counts = class_counts(label_map, CLASSES)
    assert counts.dtype == np.int64
    assert counts.tolist() == [int((label_map == index).sum()) for index in range(CLASSES)]


def test_class_counts_refuse_an_index_that_is_no_class() -> None:
    with pytest.raises(ValueError, match="index 4 is outside the 4 classes"):
        class_counts(np.array([[4]], dtype=np.uint8), CLASSES)


@given(arrays(np.int64, 5, elements=st.integers(0, 10**9)).filter(lambda counts: counts.sum() > 0))
def test_entropy_is_that_of_scipy_in_nats(counts: np.ndarray) -> None:
    assert distribution_entropy(counts) == pytest.approx(float(scipy.stats.entropy(counts)), abs=1e-12)


def test_entropy_is_ln_2_of_a_fair_coin_and_0_of_one_class_and_of_nothing() -> None:
    assert distribution_entropy(np.array([5, 5, 0])) == pytest.approx(math.log(2))
    assert distribution_entropy(np.array([0, 9, 0])) == 0.0
    assert distribution_entropy(np.array([0, 0, 0])) == 0.0
    with pytest.raises(ValueError, match="not negative"):
        distribution_entropy(np.array([1, -1]))


def test_the_area_is_the_mean_value_over_the_true_budgets() -> None:
    # From 0 to 1 the mean is 2, from 1 to 4 it is 4: (1 * 2 + 3 * 4) / 4.
    assert area_under_curve([0, 1, 4], [1, 3, 5]) == pytest.approx(3.5)
    assert area_under_curve([480, 720, 1920], [0.5, 0.5, 0.5]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("budgets", "values"), [([1], [1]), ([1, 2], [1]), ([], []), ([1, 1], [1, 2]), ([2, 1], [1, 2])]
)
def test_points_that_make_no_curve_are_refused(budgets: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="curve"):
        area_under_curve(budgets, values)


def _torch(indices: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(indices.astype(np.int64))


def test_cost_is_interpolated_between_the_budgets_around_the_target() -> None:
    assert cost_to_reach([100, 200, 400], [0.2, 0.4, 0.5], 0.45) == pytest.approx(300)


def test_cost_at_the_first_crossing_even_where_the_curve_falls_again() -> None:
    assert cost_to_reach([0, 100, 200, 300], [0.0, 0.4, 0.2, 0.4], 0.3) == pytest.approx(75)


def test_cost_of_a_target_that_is_not_reached_is_infinite() -> None:
    assert cost_to_reach([100, 200], [0.2, 0.4], 0.41) == math.inf


def test_cost_where_the_first_point_is_there_already() -> None:
    assert cost_to_reach([100, 200], [0.5, 0.6], 0.4) == 100


def test_costs_that_fall_are_refused() -> None:
    with pytest.raises(ValueError, match="none below the one before"):
        cost_to_reach([200, 100], [0.2, 0.4], 0.3)


def test_counting_the_pixels_of_a_large_label_map_holds_few_numbers_at_a_time() -> None:
    label_map_HW = np.zeros((4000, 5000), np.uint8)
    label_map_HW[:, 4999], label_map_HW[3999] = 1, IGNORE
    tracemalloc.start()
    try:
        counts = class_counts(label_map_HW, 2)
        confusion = confusion_matrix(label_map_HW, np.zeros_like(label_map_HW), 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts.tolist() == [3999 * 4999, 3999]
    assert confusion.tolist() == [[3999 * 4999, 0], [3999, 0]]
    assert peak < 3 * label_map_HW.nbytes  # at 8 bytes a pixel it would be 8 times that
