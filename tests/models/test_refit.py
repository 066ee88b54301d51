"""How a head is fitted: what it learns from a few labelled cells, what is drawn, which weights are kept."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.frozen import FrozenSegmenter
from models.refit import Average, RefitSettings, Refitting, Windows, refit
from tests.models.eyes import seeded, some_segmenter

FAST = RefitSettings(first_steps=60, steps=30, lr=1e-2, next_lr=1e-2, batch=2, window=6, warm_up=5)
FEATURES, CLASSES = 8, 3


def separable(truth_hw: Tensor) -> Tensor:
    """(F, h, w) features that tell classes apart in a direction each, beside noise in the others."""
    features = 0.1 * torch.randn(FEATURES, *truth_hw.shape, generator=seeded(5))
    for name in range(CLASSES):
        features[name] += 3.0 * (truth_hw == name)
    return features.half()


TRUTH_HW = torch.zeros(6, 6, dtype=torch.int64)
TRUTH_HW[:, 3:] = 1
TRUTH_HW[4:, :2] = 2


def labels(*cells: tuple[int, int], share: float = 1 / 64) -> Tensor:
    """(C, h, w) with one pixel labelled, as it is, in each of these cells."""
    shares = torch.zeros(CLASSES, 6, 6)
    for row, col in cells:
        shares[TRUTH_HW[row, col], row, col] = share
    return shares


def drawing(shares_Chw: Tensor) -> Callable[[int, int, torch.Generator], Windows]:
    def draw(batch: int, window: int, generator: torch.Generator) -> Windows:
        assert window == 6
        return separable(TRUTH_HW).expand(batch, -1, -1, -1), shares_Chw.expand(batch, -1, -1, -1)

    return draw


def fitted(
    shares_Chw: Tensor, segmenter: FrozenSegmenter | None = None, seed: int = 0, **named: Any
) -> tuple[FrozenSegmenter, float]:
    """A segmenter after a fit to these labels, and the fit's loss; `named` are further arguments of the fit."""
    segmenter = segmenter or some_segmenter(components=FEATURES)
    counts_C = 64 * shares_Chw.sum((1, 2))
    return segmenter, refit(segmenter, drawing(shares_Chw), counts_C, FAST, generator=seeded(seed), **named)


@torch.no_grad()
def predicted(segmenter: FrozenSegmenter) -> Tensor:
    return segmenter.cell_logits(separable(TRUTH_HW)[None])[0].argmax(0)


def test_one_labelled_pixel_of_each_of_two_classes_teaches_them_everywhere() -> None:
    segmenter, loss = fitted(labels((1, 1), (2, 4)))
    two = TRUTH_HW < 2
    assert bool((predicted(segmenter) == TRUTH_HW)[two].all())
    assert 0 < loss < 0.5
    assert bool(segmenter.fitted)
    assert not segmenter.training


def test_with_one_class_so_far_everything_is_of_it_and_nothing_breaks() -> None:
    segmenter, loss = fitted(labels((2, 4)))
    assert bool((predicted(segmenter) == 1).all())
    assert loss < 0.1
    assert all(bool(tensor.isfinite().all()) for tensor in segmenter.state_dict().values())


def test_a_class_that_appears_later_is_learned_from_where_the_head_was() -> None:
    segmenter, _ = fitted(labels((1, 1), (2, 4)))
    assert not bool((predicted(segmenter) == 2).any())
    fitted(labels((1, 1), (2, 4), (5, 0)), segmenter)
    after = predicted(segmenter)
    assert bool((after[4:, :2] == 2).all())
    assert (int(after[1, 1]), int(after[2, 4])) == (0, 1)


def test_batches_without_a_labelled_pixel_between_others_do_no_harm() -> None:
    labelled, calls = drawing(labels((1, 1), (2, 4))), []

    def draw(batch: int, window: int, generator: torch.Generator) -> Windows:
        calls.append(batch)
        features, shares = labelled(batch, window, generator)
        return features, shares * (len(calls) % 2)

    segmenter = some_segmenter(components=FEATURES)
    refit(segmenter, draw, torch.tensor([1, 1, 0]), FAST, generator=seeded())
    assert bool((predicted(segmenter) == TRUTH_HW)[TRUTH_HW < 2].all())


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, same, other = (fitted(labels((1, 1), (2, 4)), seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_the_first_fit_is_longer_than_those_that_go_on_and_may_be_told_how_long() -> None:
    segmenter, heard = some_segmenter(components=FEATURES), list[int]()
    for steps in (None, None, 7):
        last: list[int] = []
        fitted(labels((1, 1)), segmenter, steps=steps, on_step=last.append)
        assert last == list(range(1, last[-1] + 1))
        heard.append(last[-1])
    assert heard == [FAST.first_steps, FAST.steps, 7]


def test_whoever_hears_of_a_step_may_end_the_fit_by_raising() -> None:
    segmenter, heard = some_segmenter(components=FEATURES), []

    def until_three(step: int) -> None:
        heard.append(step)
        if step == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(labels((1, 1)), segmenter, on_step=until_three)
    assert heard == [1, 2, 3]
    assert not bool(segmenter.fitted)


class Slices:
    """Fits the head of a segmenter, of which nothing is left but what was put away, until it is stopped at a step."""

    def __init__(self, shares_Chw: Tensor) -> None:
        self.shares_Chw = shares_Chw
        self.heard = list[int]()
        self.kept: dict[str, Tensor] | None = None

    def fit(self, stop: int | None) -> tuple[FrozenSegmenter, float]:
        """Raises InterruptedError at the step, of which the next fit hears no more."""

        def begun(fit: Refitting) -> None:
            self.fit_now = fit
            if self.kept is not None:
                fit.load(self.kept)

        def on_step(step: int) -> None:
            self.heard.append(step)
            if step == stop:
                self.kept = self.fit_now.tensors()
                raise InterruptedError

        seed = 0 if self.kept is None else 9
        return fitted(self.shares_Chw, seed=seed, on_step=on_step, begun=begun)


@pytest.mark.parametrize("stops", [[1], [29, 30], [59, 60], [7, 8, 40]])
def test_a_fit_that_is_put_away_goes_on_as_if_it_had_never_stopped(stops: list[int]) -> None:
    slices = Slices(labels((1, 1), (2, 4)))
    straight, loss = fitted(slices.shares_Chw)
    for stop in stops:
        with pytest.raises(InterruptedError):
            slices.fit(stop)
    again, loss_again = slices.fit(None)
    assert loss_again == loss
    ended, expected = again.state_dict(), straight.state_dict()
    assert all(torch.equal(ended[name], expected[name]) for name in expected)
    assert slices.heard == list(range(1, 61))


def test_what_was_put_away_is_left_as_it_is_by_the_fit_that_goes_on() -> None:
    under_way: list[Refitting] = []
    fitted(labels((1, 1)), begun=under_way.append, steps=3)
    kept = under_way[0].tensors()
    before = {name: tensor.clone() for name, tensor in kept.items()}
    fitted(labels((1, 1)), begun=lambda fit: fit.load(kept), steps=9)
    under_way[0].go_on()
    assert all(torch.equal(kept[name], before[name]) for name in before)


def test_without_hiding_noise_and_dropout_a_fit_draws_nothing_but_windows() -> None:
    still = dataclasses.replace(FAST, hide=0.0, noise=0.0, first_steps=5)
    shares, generator = labels((1, 1), (2, 4)), seeded(3)
    refit(
        some_segmenter(components=FEATURES, dropout=0.0),
        drawing(shares),
        shares.sum((1, 2)),
        still,
        generator=generator,
    )
    assert torch.equal(generator.get_state(), seeded(3).get_state())


def test_the_average_is_the_exponential_mean_and_counts_the_first_steps_less() -> None:
    network = nn.BatchNorm1d(1)
    assert network.running_mean is not None
    assert network.num_batches_tracked is not None
    network.weight.data.fill_(10.0)
    mean = Average(network, 0.2)
    for step, value in enumerate((1.0, 2.0, 4.0)):
        network.weight.data.fill_(value)
        network.num_batches_tracked.fill_(step + 1)
        mean.add(step)
    mean.keep()
    # Decays 1/10, 2/11, and 3/12 which is above 0.2: 10 -> 1.9 -> 1.981818 -> 3.596364.
    assert network.weight.item() == pytest.approx(0.2 * (1.9 * 2 / 11 + 2 * 9 / 11) + 0.8 * 4, rel=1e-6)
    assert network.num_batches_tracked.item() == 3  # whole numbers are the last ones
