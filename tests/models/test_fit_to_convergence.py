"""Training to convergence: where it stops, what it keeps, and that it can stop and go on."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from models.evaluation import evaluate
from models.fit import Convergence, Example, FitState, TrainSettings, crops, fit_to_convergence, make_optimizer
from models.segmenter import build

CLASSES = 3
SMALL = TrainSettings(crop=(64, 64), batch=4, lr=0.02)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scenes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in two shades, the brighter half class 1, a strip unlabelled."""
    generator = seeded(seed)
    pixels = torch.randint(0, 100, (count, 3, 64, 64), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(count, 64, 64, dtype=torch.uint8)
    for n, edge in enumerate(torch.randint(10, 54, (count,), generator=generator).tolist()):
        pixels[n, :, edge:] += 120
        truth[n, edge:] = 1
    truth[:, :, :5] = 255
    return pixels, truth


_STOPPING = {"patience", "max_epochs", "evaluate_every"}


class Fit:
    """A small fit whose scores are given, so that where it stops and what it keeps is known beforehand."""

    def __init__(self, scores: list[float], seed: int = 1) -> None:
        self.segmenter = build("fpn", classes=CLASSES, width=2, generator=seeded(seed))
        self.optimizer = make_optimizer(self.segmenter, SMALL)
        self.scores = scores
        self.weights: list[dict[str, torch.Tensor]] = []
        self.data = scenes(4, 0)

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        examples = [Example(image=number, box=(8, 8, 16, 16)) for number in range(4)]
        pixels, truth = self.data
        return crops(examples, pixels.__getitem__, truth.__getitem__, SMALL, seeded(epoch))

    def kept(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.segmenter.state_dict().items()}

    def score(self) -> float:
        self.weights.append(self.kept())
        return self.scores[len(self.weights) - 1]

    def run(self, **how: Any) -> FitState:
        chosen: dict[str, Any] = {"patience": 3, "max_epochs": 9, **how}
        settings = Convergence(train=SMALL, **{name: chosen.pop(name) for name in _STOPPING & chosen.keys()})
        return fit_to_convergence(
            self.segmenter, self.optimizer, self.batches, self.score, settings, **{"seed": 5, **chosen}
        )


class TestConvergence:
    def test_stops_when_the_score_has_not_risen_for_its_patience_and_loads_the_best(self) -> None:
        fit = Fit([0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
        state = fit.run()
        assert (state.epoch, state.best_epoch, state.best_score) == (5, 2, 0.5)  # 0.5 again is not a rise
        assert all(torch.equal(fit.weights[1][name], value) for name, value in fit.segmenter.state_dict().items())
        assert [epoch.score for epoch in state.history] == [0.1, 0.5, 0.4, 0.5, 0.3]
        assert all(epoch.loss > 0 for epoch in state.history)

    def test_stops_at_the_last_epoch_and_measures_it(self) -> None:
        state = Fit([0.1, 0.2, 0.3]).run(max_epochs=5, evaluate_every=2)
        assert [epoch.score for epoch in state.history] == [None, 0.1, None, 0.2, 0.3]
        assert state.best_epoch == 5

    def test_nan_is_never_best(self) -> None:
        state = Fit([math.nan, 0.2, math.nan]).run(max_epochs=3)
        assert (state.best_epoch, state.best_score) == (2, 0.2)

    def test_without_any_score_the_last_weights_stay(self) -> None:
        fit = Fit([math.nan, math.nan])
        state = fit.run(max_epochs=2)
        assert state.best_weights is None
        assert all(torch.equal(fit.weights[-1][name], value) for name, value in fit.segmenter.state_dict().items())

    def test_a_false_from_on_epoch_ends_it_after_that_epoch(self) -> None:
        fit = Fit([0.3, 0.2, 0.1])
        state = fit.run(on_epoch=lambda state: state.epoch < 2)
        assert state.epoch == 2
        assert all(torch.equal(fit.weights[0][name], value) for name, value in fit.segmenter.state_dict().items())

    @pytest.mark.parametrize("stop", [1, 2, 4])
    def test_going_on_from_what_was_saved_is_the_same_as_never_having_stopped(self, stop: int) -> None:
        scores = [0.1, 0.5, 0.4, 0.6, 0.3, 0.2, 0.1]
        whole = Fit(scores)
        expected = whole.run()
        saved: dict[str, Any] = {}

        def save(state: FitState) -> bool:
            saved.update(weights=first.kept(), optimizer=first.optimizer.state_dict(), tensors=state.tensors())
            saved.update(meta=json.dumps(state.meta(), allow_nan=False))
            return state.epoch < stop

        first = Fit(scores)
        first.run(on_epoch=save)
        second = Fit(scores[stop:], seed=77)
        second.segmenter.load_state_dict(saved["weights"])
        second.optimizer.load_state_dict(saved["optimizer"])
        state = second.run(state=FitState.from_parts(saved["tensors"], json.loads(saved["meta"])))
        assert state.meta() == expected.meta()
        assert expected.epoch == 7
        for name, value in whole.segmenter.state_dict().items():
            assert torch.equal(value, second.segmenter.state_dict()[name]), name
        for name, value in expected.tensors().items():
            assert torch.equal(value, state.tensors()[name]), name

    def test_a_finished_fit_trains_no_more(self) -> None:
        fit = Fit([0.5, 0.4, 0.3, 0.2])
        state = fit.run()
        again = fit.run(state=state)
        assert again.epoch == state.epoch == 4

    def test_a_state_without_a_loss_goes_through_json(self) -> None:
        fit = Fit([0.5])
        fit.data = (fit.data[0], torch.full_like(fit.data[1], 255))
        state = fit.run(max_epochs=1)
        meta = json.loads(json.dumps(state.meta(), allow_nan=False))
        assert meta["history"] == [[1, None, 0.5]]
        assert math.isnan(FitState.from_parts(state.tensors(), meta).history[0].loss)

    def test_a_fit_of_two_shades_finds_them(self) -> None:
        segmenter = build("fpn", classes=2, width=4, generator=seeded(0))
        truth = scenes(4, 9)

        def score() -> float:
            confusion = evaluate(segmenter, [truth], 2).sum(0).numpy()
            return float(np.diag(confusion).sum() / confusion.sum())

        examples = [Example(image=number, box=(16, 16, 32, 32)) for number in range(8)]
        pixels, labels = scenes(8, 3)
        state = fit_to_convergence(
            segmenter,
            make_optimizer(segmenter, SMALL),
            lambda epoch: crops(examples, pixels.__getitem__, labels.__getitem__, SMALL, seeded(epoch)),
            score,
            Convergence(train=SMALL, patience=10, max_epochs=15),
            seed=0,
        )
        assert state.best_score is not None
        assert state.best_score > 0.95
