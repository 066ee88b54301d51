"""A classifier that is carried over to other classes: what stays, what becomes one, what is new."""

import math

import torch

from models.carrying import NEW_WEIGHTS, carried_rows


def test_rows_stay_become_one_are_shared_or_begin_small() -> None:
    weight = torch.arange(8.0).reshape(4, 2, 1, 1)
    bias = torch.tensor([1.0, 2.0, -3.0, 4.0])
    weights, biases = carried_rows(weight, bias, [(2,), (0, 3), (1,), (1,), ()], torch.Generator().manual_seed(0))
    assert weights[:4].flatten(1).tolist() == [[4.0, 5.0], [3.0, 4.0], [2.0, 3.0], [2.0, 3.0]]
    assert torch.allclose(biases, torch.tensor([-3.0, 2.5 + math.log(2), 2 - math.log(2), 2 - math.log(2), -3.0]))
    assert 0 < weights[4].abs().max() < 5 * NEW_WEIGHTS


def test_classes_of_equal_logits_that_become_one_keep_their_probability_and_so_does_one_that_is_divided() -> None:
    weight, bias = torch.randn(3, 5, 1, 1, generator=torch.Generator().manual_seed(1)), torch.tensor([0.5, 0.1, 0.1])
    weight[2] = weight[1]
    maps = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(2))
    before = torch.nn.functional.conv2d(maps, weight, bias).softmax(1)
    joined = carried_rows(weight, bias, [(0,), (1, 2)], torch.Generator())
    after = torch.nn.functional.conv2d(maps, *joined).softmax(1)
    assert torch.allclose(after[:, 1], before[:, 1] + before[:, 2], atol=1e-6)
    apart = carried_rows(*joined, [(0,), (1,), (1,)], torch.Generator())
    assert torch.allclose(torch.nn.functional.conv2d(maps, *apart).softmax(1), before, atol=1e-6)
