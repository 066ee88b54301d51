"""Value for cost: by hand, by going through all candidates again, and with one look at each image."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.segmenter import Segmenter, build
from models.strategies import Candidates, build_strategy
from models.strategies.greedy import scores_of_turns
from service.domain.costs import ASSUMED_SECONDS, CLICKS, DrawingCost
from service.domain.divided import pool_of
from service.domain.outlines import polygon_clicks
from tests.workers.conftest import Rectangles
from workers.loop import ActiveLearner
from workers.loop.costs import by_cost, by_pixels, drawing_costs
from workers.loop.labelled import LabelledSet
from workers.loop.round import LoopSettings, groups_of

POOL, STATE = Rectangles(10, 1), Rectangles(2, 2)
PIXELS, COSTS = np.array([4, 4, 16, 16]), np.array([2.0, 8.0, 8.0, 4.0])


def compared(strategy: str, *scores: float) -> list[float]:
    found: list[float] = by_cost(build_strategy(strategy), np.array(scores), PIXELS, COSTS).tolist()
    return found


def test_sums_are_divided_by_what_regions_cost() -> None:
    assert compared("entropy", 6.0, 6.0, 24.0, 24.0) == [3.0, 0.75, 3.0, 6.0]


def test_means_are_summed_over_pixels_first() -> None:
    assert compared("bvsb", 0.5, 0.5, 0.25, 0.5) == [1.0, 0.25, 0.5, 2.0]


def test_of_margins_a_sure_pixel_is_worth_nothing() -> None:
    assert compared("margin", -0.5, -0.5, -0.75, -1.0) == [1.0, 0.25, 0.5, 0.0]


def test_what_does_harm_is_not_better_for_being_dear() -> None:
    # By the pixel -1 each; a pixel costs 0.5, 2, 0.5 and 0.25.
    assert compared("influence-oracle", -4.0, -4.0, -16.0, -16.0) == [-0.5, -2.0, -0.5, -0.25]


@pytest.mark.parametrize("strategy", ["random", "stratified-random", "class-balanced", "coreset", "diverse"])
def test_scores_that_are_an_order_alone_are_left_alone(strategy: str) -> None:
    assert compared(strategy, 0.3, -2.0, 5.0, 0.0) == [0.3, -2.0, 5.0, 0.0]


def test_by_pixels_sums_are_divided_and_means_are_not() -> None:
    for strategy, expected in (("entropy", [1.5, 1.5, 1.5, 3.0]), ("margin", [6.0, 6.0, 24.0, 48.0])):
        scores = np.array([6.0, 6.0, 24.0, 48.0])
        assert by_pixels(build_strategy(strategy), scores, PIXELS).tolist() == expected


def test_what_is_predicted_is_outlined() -> None:
    halves = np.zeros((8, 8), np.uint8)
    halves[:, 4:] = 1
    predicted = [np.zeros((16, 16), np.uint8), halves]
    assert drawing_costs(CLICKS, predicted).tolist() == [4.0, 6.0]
    assert drawing_costs(DrawingCost(fixed=1.0, per_click=2.0), predicted).tolist() == [9.0, 13.0]


def segmenter_of(seed: int = 2) -> Segmenter:
    return build("fpn", classes=3, width=4, dropout=0.3, generator=torch.Generator().manual_seed(seed)).eval()


@pytest.fixture
def learner_of(loop_settings: LoopSettings) -> Callable[..., ActiveLearner]:
    def make(strategy: str, **changes: Any) -> ActiveLearner:
        settings = replace(loop_settings, **{"levels": 2, "pool_size": 6, **changes})
        return ActiveLearner(
            segmenter=segmenter_of(),
            strategy=build_strategy(strategy),
            pool=pool_of(groups_of(POOL, settings), settings.levels),
            labelled=LabelledSet(3),
            images=POOL,
            state=STATE,
            reward=None,
            settings=settings,
            seed=5,
        )

    return make


def value_for_cost(strategy: str, image: int, rows: slice, cols: slice, cost: DrawingCost) -> float:
    """Of a region, straight from the probabilities of its pixels."""
    with torch.no_grad():
        logits = segmenter_of()(torch.from_numpy(POOL.image(image)).permute(2, 0, 1)[None])
    p = logits.softmax(1)[0].double().numpy()[:, rows, cols]
    first, second = np.sort(p, axis=0)[::-1][:2]
    value = {"entropy": -(p * np.log(p)).sum(0) / np.log(3), "margin": 1 - (first - second), "bvsb": second / first}[
        strategy
    ]
    clicks = polygon_clicks(np.ascontiguousarray(p.argmax(0)).astype(np.uint8))
    return float(value.sum() / (cost.fixed + cost.per_click * clicks))


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("cost", [CLICKS, ASSUMED_SECONDS])
@pytest.mark.parametrize("strategy", ["entropy", "margin", "bvsb"])
def test_a_round_takes_the_most_value_for_cost_of_each_pool(
    learner_of: Callable[..., ActiveLearner], strategy: str, cost: DrawingCost, levels: int
) -> None:
    learner = learner_of(strategy, cost=cost, levels=levels)
    proposal = learner.ask(round_number=0)
    regions = {each.number: each for each in proposal.regions}
    for each in proposal.regions:
        expected = value_for_cost(strategy, each.image, *each.box.slices, cost)
        assert each.score == pytest.approx(expected, rel=1e-3)
    for pool in proposal.candidates:
        chosen = [each for each in pool.tolist() if each in regions]
        best = max(_every(learner, pool, strategy, cost))
        assert max(regions[each].score for each in chosen) == pytest.approx(best, rel=1e-3)


def _every(learner: ActiveLearner, numbers: NDArray[np.int64], strategy: str, cost: DrawingCost) -> list[float]:
    images, cells = (each.tolist() for each in learner.pool.locate(numbers))
    boxes = [learner.settings.grid((48, 64)).box(cell) for cell in cells]
    return [value_for_cost(strategy, i, *box.slices, cost) for i, box in zip(images, boxes, strict=True)]


@pytest.mark.parametrize("levels", [1, 2])
def test_clicks_choose_otherwise_than_pixels(learner_of: Callable[..., ActiveLearner], levels: int) -> None:
    numbers = {
        name: [each.number for each in learner_of("entropy", cost=cost, levels=levels).ask(round_number=0).regions]
        for name, cost in (("pixels", None), ("clicks", CLICKS))
    }
    assert numbers["pixels"] != numbers["clicks"]


@pytest.mark.parametrize("strategy", ["random", "coreset", "class-balanced"])
def test_an_order_alone_is_not_changed_by_a_cost(learner_of: Callable[..., ActiveLearner], strategy: str) -> None:
    proposals = [learner_of(strategy, cost=cost).ask(round_number=0) for cost in (None, CLICKS)]
    assert len({tuple((each.number, each.score) for each in proposal.regions) for proposal in proposals}) == 1


def test_a_cost_takes_no_second_look_and_shows_no_prediction_that_nobody_wanted(
    learner_of: Callable[..., ActiveLearner], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    bands = Segmenter.bands

    def counted(segmenter: Segmenter, seen: torch.Tensor, size: tuple[int, int]) -> Any:
        looks.append(len(seen))
        return bands(segmenter, seen, size)

    monkeypatch.setattr(Segmenter, "bands", counted)
    counts = {}
    for name, cost in (("pixels", None), ("clicks", CLICKS)):
        looks.clear()
        proposal = learner_of("entropy", cost=cost).ask(round_number=0)
        assert all(each.prediction is None for each in proposal.regions)
        counts[name] = sum(looks)
    assert counts["clicks"] == counts["pixels"] > 0
    shown = learner_of("entropy", cost=CLICKS).chooser.ask(round_number=0, predict=True)
    assert all(each.prediction is not None for each in shown.regions)


def clicks_of(learner: ActiveLearner) -> int:
    """What it would take to draw what is predicted of the regions of three rounds."""
    rounds = [learner.chooser.ask(round_number=number, predict=True) for number in range(3)]
    predicted = [each.prediction for proposal in rounds for each in proposal.regions]
    return sum(polygon_clicks(each) for each in predicted if each is not None)


@pytest.mark.parametrize("levels", [1, 2])
def test_what_is_chosen_in_turn_is_weighed_against_its_cost(
    learner_of: Callable[..., ActiveLearner], levels: int
) -> None:
    by_pixels_alone, by_clicks = (clicks_of(learner_of("diverse", cost=cost, levels=levels)) for cost in (None, CLICKS))
    assert by_clicks < by_pixels_alone


@pytest.mark.parametrize("unit", [0.1, 1.0, 10.0])
def test_a_deviation_more_is_worth_e_times_as_much_in_whatever_unit_worth_is(unit: float) -> None:
    spans_M2 = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4]])
    known = Candidates(count=4, spans_M2=spans_M2, cell=1, wanted=4, dear_M=torch.tensor([2.0, 0.0, 1.5, 2.5]))

    class Worth:
        def worth(self) -> torch.Tensor:
            return 7 + unit * torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)

        def take(self, place: int) -> None:
            pass

    # Deviations less dearness: -3, -1, -0.5, -1.5.
    assert scores_of_turns(Worth(), known).argsort(descending=True).tolist() == [2, 1, 3, 0]
