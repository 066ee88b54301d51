"""What the pool is predicted to hold: each pixel of a round's candidates counts once, and nothing is chosen otherwise for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.segmenter import build
from models.strategies import build_strategy
from service.domain.divided import pool_of
from tests.workers.conftest import Rectangles
from workers.chance import numpy_generator
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.round import LoopSettings, Proposal, groups_of
from workers.loop.shares import outermost, predicted_shares

POOL = Rectangles(10, 1, size=(50, 70))


def learner_of(settings: LoopSettings, strategy: str) -> ActiveLearner:
    return ActiveLearner(
        segmenter=build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(2)).eval(),
        strategy=build_strategy(strategy),
        pool=pool_of(groups_of(POOL, settings), settings.levels),
        labelled=LabelledSet(3),
        images=POOL,
        state=None,
        reward=None,
        settings=settings,
        seed=5,
    )


def candidate_pixels(learner: ActiveLearner, round_number: int) -> dict[int, NDArray[np.bool_]]:
    """By image, the pixels of which any candidate of the round is."""
    learner = learner_of(learner.settings, "random")
    rng = numpy_generator(learner.seed, "candidates", round_number)
    pools = learner.pool.sample(pools=4, size=3, by="images", rng=rng)
    found: dict[int, NDArray[np.bool_]] = {}
    for image, cell in zip(*(each.tolist() for each in learner.pool.locate(np.concatenate(pools))), strict=True):
        box = learner.settings.grid(POOL.size(image)).box(cell)
        found.setdefault(image, np.zeros(POOL.size(image), np.bool_))[box.slices] = True
    return found


@pytest.mark.parametrize("levels", [1, 2])
def test_shares_are_those_of_the_candidates_pixels_each_counted_once(loop_settings: LoopSettings, levels: int) -> None:
    settings = replace(loop_settings, levels=levels)
    learner = learner_of(settings, "entropy")
    there = candidate_pixels(learner, 1)
    maps = learner.chooser.observer.rows(
        learner.segmenter,
        POOL,
        {image: np.zeros(1, np.int64) for image in there},
        torch.Generator(),
        keep_maps=True,
    )[1]
    counts = sum(np.bincount(maps[image][mask], minlength=3) for image, mask in there.items())
    proposal = learner.chooser.ask(round_number=1, predict=True)
    assert proposal.class_shares_C == pytest.approx(counts / np.sum(counts), abs=1e-6)


def test_nobody_knows_where_nobody_looked(loop_settings: LoopSettings) -> None:
    assert learner_of(loop_settings, "random").chooser.ask(round_number=1, predict=True).class_shares_C is None


def test_they_are_no_part_of_a_simulation_and_change_no_choice(loop_settings: LoopSettings) -> None:
    def numbers(proposal: Proposal) -> list[int]:
        return [each.number for each in proposal.regions]

    simulated = learner_of(loop_settings, "entropy").chooser.ask(round_number=1)
    assert simulated.class_shares_C is None
    live = learner_of(loop_settings, "entropy").chooser.ask(round_number=1, predict=True)
    assert numbers(live) == numbers(simulated)


def test_large_candidates_weigh_more_and_parts_of_others_nothing() -> None:
    class_part_MC = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    pixels_M = np.array([300, 100, 100])
    assert predicted_shares(class_part_MC, pixels_M).tolist() == [0.7, 0.3]
    spans_M2 = np.array([[0, 4], [4, 5], [1, 2]])  # the third lies in the first
    assert predicted_shares(class_part_MC, pixels_M, spans_M2).tolist() == [0.75, 0.25]


def test_what_lies_in_no_other_is_found_in_any_order() -> None:
    spans_M2 = np.array([[8, 12], [0, 4], [0, 1], [12, 16], [13, 14], [4, 5], [1, 2], [3, 4], [6, 7]])
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(len(spans_M2))
        mixed = spans_M2[order]
        slow = [
            not any(a <= start and stop <= b and (a, b) != (start, stop) for a, b in mixed.tolist())
            for start, stop in mixed.tolist()
        ]
        assert outermost(mixed).tolist() == slow
