"""The head's losses against numpy, and shares and weights worked out by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models import head
from models.fit import IGNORE
from models.head import REACH, Head, balancing_weights, class_shares, soft_cross_entropy, soft_iou_loss
from tests.models.eyes import seeded


def some_shares(*, void: bool = True) -> Tensor:
    """(2, 3, 4, 5); the last class is nowhere, a column is unlabelled and others in part."""
    shares = torch.rand(2, 3, 4, 5, generator=seeded(1))
    shares[:, 2] = 0
    shares /= shares.sum(1, keepdim=True)
    if void:
        shares *= torch.rand(2, 1, 4, 5, generator=seeded(2))
        shares[..., 0] = 0
    return shares


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def test_a_head_sees_as_far_as_it_says_and_no_further() -> None:
    head = Head(4, 8).eval()
    maps = torch.randn(1, 4, 1, 21, generator=seeded())
    changed = maps.clone()
    changed[..., 10] += 5
    with torch.no_grad():
        differs = (head(maps) != head(changed)).any(1)[0, 0].nonzero().flatten().tolist()
    assert REACH == 4
    assert (min(differs), max(differs)) == (10 - REACH, 10 + REACH)


@pytest.mark.parametrize("void", [True, False])
def test_the_soft_iou_is_that_of_a_loop_over_classes(void: bool) -> None:
    logits, shares = torch.randn(2, 3, 4, 5, generator=seeded(3)), some_shares(void=void)
    truth = shares.double().numpy()
    predicted = softmax(logits.double().numpy()) * truth.sum(1, keepdims=True)
    ious = []
    for name in (0, 1):  # class 2 is nowhere
        both = either = 0.0
        for cell in np.ndindex(2, 4, 5):
            labelled = truth[cell[0], :, cell[1], cell[2]].sum()
            p, t = predicted[cell[0], name, cell[1], cell[2]], truth[cell[0], name, cell[1], cell[2]]
            overlap = p * t / labelled if labelled else 0.0
            both, either = both + overlap, either + p + t - overlap
        ious.append(both / either)
    assert float(soft_iou_loss(logits, shares)) == pytest.approx(1 - np.mean(ious), rel=1e-5)


def test_the_soft_iou_of_sure_and_right_predictions_is_1_and_of_wrong_ones_0() -> None:
    shares = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    right = 100 * (shares - 0.5)
    assert float(soft_iou_loss(right, shares)) == pytest.approx(0, abs=1e-6)
    assert float(soft_iou_loss(-right, shares)) == pytest.approx(1, abs=1e-6)


def test_cross_entropy_is_the_weighted_mean_over_labelled_shares() -> None:
    logits, shares, weights = torch.randn(2, 3, 4, 5, generator=seeded(3)), some_shares(), np.array([0.5, 2.0, 9.0])
    weighted = shares.double().numpy() * weights[None, :, None, None]
    expected = -(weighted * np.log(softmax(logits.double().numpy()))).sum() / weighted.sum()
    found = soft_cross_entropy(logits, shares, torch.tensor(weights, dtype=torch.float32))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_what_is_unlabelled_teaches_nothing_and_no_loss_of_it_is_not_a_number() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=seeded(3)).requires_grad_()
    for shares in (some_shares(), torch.zeros(2, 3, 4, 5)):
        loss = soft_cross_entropy(logits, shares, torch.ones(3)) + soft_iou_loss(logits, shares)
        (gradient,) = torch.autograd.grad(loss, logits)
        unlabelled = (shares.sum(1, keepdim=True) == 0).expand_as(gradient)
        assert bool(loss.isfinite())
        assert float(gradient[unlabelled].abs().max()) == 0
        assert bool(shares.any()) == bool(gradient.any())


def test_classes_are_weighted_against_their_shares_and_by_1_on_the_mean() -> None:
    # Shares 0.8 and 0.2 to the power of -1/2: 1.118 and 2.236; their mean over all that is labelled 1.3416.
    weights = balancing_weights(torch.tensor([80, 20, 0]), 0.5)
    torch.testing.assert_close(weights[:2], torch.tensor([0.83333, 1.66667]), rtol=1e-4, atol=0)
    assert float((weights * torch.tensor([0.8, 0.2, 0.0])).sum()) == pytest.approx(1)
    # A class that nobody has labelled yet counts as one in ten thousand: 100 / 1.3416.
    assert float(weights[2]) == pytest.approx(74.536, rel=1e-4)


def test_without_balance_and_with_one_class_every_weight_is_1() -> None:
    assert balancing_weights(torch.tensor([80, 20, 0]), 0.0).tolist() == [1, 1, 1]
    assert float(balancing_weights(torch.tensor([7, 0]), 0.2)[0]) == pytest.approx(1)
    assert bool(balancing_weights(torch.zeros(3), 0.2).isfinite().all())


def test_shares_are_counted_in_whole_cells_also_where_these_are_cut_off_or_void() -> None:
    label_map = torch.tensor(
        [
            [0, 0, 1, 1, 1],
            [0, 1, 1, IGNORE, 2],
            [2, 2, IGNORE, IGNORE, IGNORE],
        ],
        dtype=torch.uint8,
    )
    shares = class_shares(label_map, 3, 2)
    assert shares.dtype == torch.float32
    assert (4 * shares).tolist() == [
        [[3, 0, 0], [0, 0, 0]],
        [[1, 3, 1], [0, 0, 0]],
        [[0, 0, 1], [2, 0, 0]],
    ]


def test_values_that_are_no_class_are_unlabelled() -> None:
    assert class_shares(torch.tensor([[0, 3], [200, 1]], dtype=torch.uint8), 3, 2).flatten().tolist() == [0.25, 0.25, 0]
    assert not class_shares(torch.full((4, 4), IGNORE, dtype=torch.uint8), 3, 4).any()


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_shares_counted_strip_by_strip_are_those_of_the_whole_label_map(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_map = torch.randint(0, 5, (61, 45), generator=seeded(3)).to(torch.uint8)
    whole, counted, bincount = class_shares(label_map, 4, stride), list[int](), torch.bincount

    def counting(places: Tensor, minlength: int) -> Tensor:
        counted.append(len(places))
        return bincount(places, minlength=minlength)

    monkeypatch.setattr(head, "_SHARED_AT_ONCE", 100)
    monkeypatch.setattr(torch, "bincount", counting)
    assert torch.equal(class_shares(label_map, 4, stride), whole)
    assert max(counted) <= max(100, stride * 45)
