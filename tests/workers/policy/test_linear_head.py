"""How the surrogate game's head learns: as torch's own Adam with autograd does."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workers.policy.linear_head import Head, HeadTraining, train_head


def some_points(points: int) -> tuple[Head, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    head = Head(torch.randn(4, 6, generator=generator), torch.randn(4, generator=generator))
    return head, torch.randn(points, 6, generator=generator), torch.randint(4, (points,), generator=generator)


@pytest.mark.parametrize(("points", "batch"), [(500, 64), (30, 64)])
def test_the_head_learns_as_torch_s_adam_does_with_autograd(points: int, batch: int) -> None:
    head, features_XE, labels_X = some_points(points)
    settings = HeadTraining(steps=12, lr=0.05, batch=batch)
    trained = train_head(head, features_XE, labels_X, settings, torch.Generator().manual_seed(7))
    weight, bias = (each.clone().requires_grad_() for each in (head.weight_CE, head.bias_C))
    adam, generator = torch.optim.Adam([weight, bias]), torch.Generator().manual_seed(7)
    for step in range(12):
        adam.param_groups[0]["lr"] = 0.05 * (12 - step) / 12
        drawn = torch.randint(points, (min(batch, points),), generator=generator)
        adam.zero_grad()
        F.cross_entropy(F.linear(features_XE[drawn], weight, bias), labels_X[drawn]).backward()
        adam.step()
    torch.testing.assert_close(trained.weight_CE, weight.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trained.bias_C, bias.detach(), rtol=1e-4, atol=1e-5)
    assert (trained.weight_CE - head.weight_CE).abs().mean() > 0.1


def test_the_head_stays_where_nothing_is_labelled() -> None:
    head, features_XE, labels_X = some_points(3)
    trained = train_head(head, features_XE[:0], labels_X[:0], HeadTraining(), torch.Generator())
    assert torch.equal(trained.weight_CE, head.weight_CE)
    assert torch.equal(trained.bias_C, head.bias_C)
