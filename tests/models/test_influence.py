"""Influence against autograd, numpy's Kronecker product, and steps that are really taken."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.influence import (
    Cells,
    Influence,
    curvature,
    gradient_of_soft_miou,
    influence,
    no_influence,
    soft_miou,
    with_one,
)

HIDDEN, CLASSES = 5, 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_weights(seed: int = 3) -> Tensor:
    return torch.randn(HIDDEN + 1, CLASSES, generator=seeded(seed), dtype=torch.float64)


def some_cells(weights_DC: Tensor, seed: int, count: int = 30, classes: int = CLASSES) -> Cells:
    """Cells of up to 16 labelled pixels, some of none, of the first `classes` classes."""
    generator = seeded(seed)
    hidden = torch.randn(count, HIDDEN, generator=generator, dtype=torch.float64)
    counts = torch.zeros(count, CLASSES, dtype=torch.float64)
    counts[:, :classes] = torch.randint(0, 5, (count, classes), generator=generator).double()
    counts[::7] = 0
    return Cells(hidden_XH=hidden, probabilities_XC=(with_one(hidden) @ weights_DC).softmax(1), counts_XC=counts)


def pixel_by_pixel(cells: list[Cells], weights_DC: Tensor) -> Tensor:
    """Soft mIoU of every labelled pixel as one of its own, for autograd."""
    hidden = torch.cat([with_one(each.hidden_XH) for each in cells])
    counts = torch.cat([each.counts_XC for each in cells]).long()
    rows, classes = counts.nonzero(as_tuple=True)
    times = counts[rows, classes]
    rows, truth = rows.repeat_interleave(times), classes.repeat_interleave(times)
    p = (hidden[rows] @ weights_DC).softmax(1)
    t = torch.nn.functional.one_hot(truth, CLASSES).double()
    both, either = (p * t).sum(0), (p + t - p * t).sum(0)
    return (both / either)[t.sum(0) > 0].mean()


@pytest.mark.parametrize("classes", [CLASSES, 2])
def test_soft_miou_and_its_gradient_are_those_of_every_pixel(classes: int) -> None:
    weights = some_weights().requires_grad_()
    cells = [some_cells(weights.detach(), seed, classes=classes) for seed in range(3)]
    expected = pixel_by_pixel(cells, weights)
    expected.backward()
    assert soft_miou(cells) == pytest.approx(float(expected.detach()))
    gradient = gradient_of_soft_miou(cells)
    assert gradient is not None
    assert weights.grad is not None
    torch.testing.assert_close(gradient, weights.grad)


def test_curvature_is_the_mean_over_labelled_pixels() -> None:
    cells = [some_cells(some_weights(), seed) for seed in (1, 2)]
    found = curvature(cells)
    assert found is not None
    hidden, classes, pixels = np.zeros((HIDDEN + 1,) * 2), np.zeros((CLASSES,) * 2), 0.0
    for each in cells:
        for h, p, t in zip(each.hidden_XH.numpy(), each.probabilities_XC.numpy(), each.counts_XC.numpy(), strict=True):
            h = np.append(h, 1)
            hidden += t.sum() * np.outer(h, h)
            classes += t.sum() * (np.diag(p) - np.outer(p, p))
            pixels += t.sum()
    np.testing.assert_allclose(found[0].numpy(), hidden / pixels)
    np.testing.assert_allclose(found[1].numpy(), classes / pixels, atol=1e-15)


def test_the_direction_solves_the_kronecker_product_of_damped_curvatures() -> None:
    labelled, measured = [some_cells(some_weights(), 1)], [some_cells(some_weights(), 2)]
    curvatures, gradient = curvature(labelled), gradient_of_soft_miou(measured)
    assert curvatures is not None
    assert gradient is not None
    hidden, classes = (each.numpy() for each in curvatures)
    hidden = hidden + 0.3 * np.trace(hidden) / len(hidden) * np.eye(len(hidden))
    classes = classes + 0.3 * np.trace(classes) / len(classes) * np.eye(len(classes))
    expected = np.linalg.solve(np.kron(hidden, classes), gradient.numpy().ravel()).reshape(gradient.shape)
    found = influence(labelled, measured, damping=0.3)
    assert found is not None
    np.testing.assert_allclose(found.direction_DC.numpy(), expected, rtol=1e-5)


def test_a_small_step_on_a_places_labels_changes_soft_miou_by_its_gain() -> None:
    weights = some_weights()
    labelled, measured = [some_cells(weights, 1)], [some_cells(weights, 2)]
    place = some_cells(weights, 4, count=6)
    found, curvatures = influence(labelled, measured), curvature(labelled)
    assert found is not None
    assert curvatures is not None
    # Newton's step on the cross-entropy of the place's pixels, its curvature the damped product.
    residual = place.counts_XC - place.counts_XC.sum(1, keepdim=True) * place.probabilities_XC
    hidden, classes = (each + 0.1 * each.trace() / len(each) * torch.eye(len(each)).double() for each in curvatures)
    step = torch.linalg.solve(hidden, with_one(place.hidden_XH).T @ residual) @ torch.linalg.inv(classes)
    small = 1e-7
    change = float(pixel_by_pixel(measured, weights + small * step) - pixel_by_pixel(measured, weights)) / small
    found = Influence(direction_DC=found.direction_DC.double())
    assert float(found.gains(place).sum()) == pytest.approx(change, rel=1e-4)


def test_what_is_expected_of_a_pixel_is_over_the_labels_that_the_prediction_draws() -> None:
    cells = some_cells(some_weights(), 1, count=5)
    found = influence([some_cells(some_weights(), 2)], [some_cells(some_weights(), 3)])
    assert found is not None
    found = Influence(direction_DC=found.direction_DC.double())
    expected = found.expected(cells.hidden_XH, cells.probabilities_XC)
    for cell in range(5):
        p = cells.probabilities_XC[cell]
        one = Cells(
            hidden_XH=cells.hidden_XH[[cell] * CLASSES],
            probabilities_XC=cells.probabilities_XC[[cell] * CLASSES],
            counts_XC=torch.eye(CLASSES).double(),
        )
        gains = found.gains(one)
        assert float((p * gains).sum()) == pytest.approx(0, abs=1e-12)
        assert float(expected[cell, 0]) == pytest.approx(float((p * gains.square()).sum().sqrt()))
        assert float(expected[cell, 1]) == pytest.approx(float((p * gains.clamp_min(0)).sum()))


def test_without_a_labelled_pixel_there_is_none() -> None:
    cells = some_cells(some_weights(), 1)
    empty = Cells(
        hidden_XH=cells.hidden_XH, probabilities_XC=cells.probabilities_XC, counts_XC=torch.zeros_like(cells.counts_XC)
    )
    for labelled, measured in (([], [cells]), ([cells], []), ([empty], [cells]), ([cells], [empty])):
        assert influence(labelled, measured) is None
    assert soft_miou([]) is None
    assert not no_influence(HIDDEN, CLASSES).worth(cells.hidden_XH.float()).any()
