"""Comparisons of label maps, by hand and by torchmetrics' confusion matrix."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index

from service.domain.comparing import Compared, Pooled, against_truth, between

VOID = 255


def label_map(*rows: list[int]) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)


def test_by_hand() -> None:
    truth, label = label_map([1, 1, 2, 2], [1, 1, 2, 255]), label_map([1, 2, 2, 2], [1, 255, 2, 1])
    compared = against_truth(label, truth, VOID)
    # Of 7 pixels: class 1 is right in 2 of the 4 it has in either, class 2 in 3 of 4.
    assert compared == Compared(by_class={1: (2, 4), 2: (3, 4)}, miou=(0.5 + 0.75) / 2, pixel_accuracy=5 / 7)


def test_what_is_void_in_the_truth_is_left_out_and_void_elsewhere_is_a_miss() -> None:
    truth = label_map([VOID, VOID, 1, 1])
    assert against_truth(label_map([1, 2, 1, 1]), truth, VOID) == Compared(
        by_class={1: (2, 2)}, miou=1.0, pixel_accuracy=1.0
    )
    assert against_truth(label_map([1, 1, VOID, 1]), truth, VOID) == Compared(
        by_class={1: (1, 2)}, miou=0.5, pixel_accuracy=0.5
    )
    assert against_truth(label_map([VOID] * 4), truth, VOID) == Compared(
        by_class={1: (0, 2)}, miou=0.0, pixel_accuracy=0.0
    )
    assert against_truth(truth, label_map([VOID] * 4), VOID) is None


def test_between_people_it_does_not_matter_who_comes_first_and_void_of_either_is_left_out() -> None:
    one, other = label_map([0, VOID, 3, 3]), label_map([0, 3, VOID, 0])
    assert between(one, other, VOID) == between(other, one, VOID)
    assert between(one, other, VOID) == Compared(by_class={0: (1, 2), 3: (0, 1)}, miou=0.25, pixel_accuracy=0.5)
    assert between(one, label_map([VOID, 0, VOID, VOID]), VOID) is None


def test_maps_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        between(label_map([1, 2]), label_map([1], [2]), VOID)


@pytest.mark.parametrize("seed", range(5))
def test_pooled_figures_are_those_of_one_confusion_matrix_of_all_pixels(seed: int) -> None:
    chance, ids = np.random.default_rng(seed), [0, 1, 2, 3]  # 3 is void
    truths = [chance.choice(ids, (12, 9)).astype(np.uint8) for _ in range(6)]
    noise = [chance.choice(ids, (12, 9)) for _ in range(6)]
    labels = [
        np.where(chance.random((12, 9)) < 0.6, truth, drawn).astype(np.uint8)
        for truth, drawn in zip(truths, noise, strict=True)
    ]
    found = [against_truth(label, truth, 3) for label, truth in zip(labels, truths, strict=True)]
    pooled = Pooled.of(each for each in found if each is not None)
    truth_T, label_T = (torch.from_numpy(np.stack(maps).astype(np.int64)) for maps in (truths, labels))
    counted = multiclass_confusion_matrix(label_T[truth_T != 3], truth_T[truth_T != 3], num_classes=4).numpy()[:3]
    hits = np.diag(counted)
    expected = hits / (counted.sum(axis=1) + counted[:, :3].sum(axis=0) - hits)
    assert [pooled.iou(id) for id in ids[:3]] == pytest.approx(expected.tolist())
    assert pooled.miou == pytest.approx(expected.mean())
    assert pooled.count == 6


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_over_regions_is_that_of_the_jaccard_index_of_each(seed: int) -> None:
    chance = np.random.default_rng(seed)
    ones, others = (chance.integers(0, 3, (6, 12, 9)).astype(np.uint8) for _ in range(2))
    found = [between(one, other, VOID) for one, other in zip(ones, others, strict=True)]
    mious = [
        float(multiclass_jaccard_index(torch.from_numpy(one), torch.from_numpy(other).long(), num_classes=3))
        for one, other in zip(ones, others, strict=True)
    ]
    pooled = Pooled.of(each for each in found if each is not None)
    assert pooled.mean_miou == pytest.approx(np.mean(mious))
    assert pooled.pixel_accuracy == pytest.approx((ones == others).mean())


def test_without_a_comparison_there_are_no_figures() -> None:
    nothing = Pooled()
    assert (nothing.miou, nothing.mean_miou, nothing.pixel_accuracy, nothing.iou(3), nothing.count) == (
        None,
        None,
        None,
        None,
        0,
    )
