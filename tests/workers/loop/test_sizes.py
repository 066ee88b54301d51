"""Rounds of regions of several sizes: as much as K cells, no pixel twice, and the same regions after a stop."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from models.query_network import QueryNetwork
from models.segmenter import build
from models.strategies import REFERENCES, STRATEGIES, build_strategy
from service.domain.divided import pool_of
from tests.workers.conftest import Rectangles
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle, restore
from workers.loop.round import LoopSettings, choose, groups_of

POOL, STATE, REWARD = Rectangles(10, 1), Rectangles(2, 2), Rectangles(3, 3)
METHODS = (*STRATEGIES, *REFERENCES)


@pytest.fixture
def divided(loop_settings: LoopSettings) -> LoopSettings:
    return replace(loop_settings, levels=2)


def a_policy() -> nn.Module:
    return QueryNetwork(3, 24, generator=torch.Generator().manual_seed(1)).eval()


def learner_of(settings: LoopSettings, strategy: str, **more: Any) -> ActiveLearner:
    return ActiveLearner(
        segmenter=build("fpn", classes=3, width=4, dropout=0.3, generator=torch.Generator().manual_seed(2)).eval(),
        strategy=build_strategy(strategy, a_policy() if strategy == "learned" else None),
        pool=pool_of(groups_of(POOL, settings), settings.levels),
        labelled=LabelledSet(3),
        images=POOL,
        state=STATE,
        reward=REWARD,
        settings=settings,
        seed=5,
        truth=POOL,
        known=[STATE],
        **more,
    )


@pytest.mark.parametrize("protocol", ["per-pool", "global"])
@pytest.mark.parametrize("strategy", METHODS)
def test_a_round_is_as_much_as_k_cells_and_no_pixel_is_asked_for_twice(
    divided: LoopSettings, strategy: str, protocol: Literal["per-pool", "global"]
) -> None:
    settings = replace(divided, protocol=protocol)
    learner, oracle = learner_of(settings, strategy), Oracle(POOL)
    taken = [np.zeros(POOL.size(n), np.bool_) for n in range(len(POOL))]
    for number in range(3):
        proposal = learner.ask(round_number=number)
        for region in proposal.regions:
            assert not taken[region.image][region.box.slices].any()
            taken[region.image][region.box.slices] = True
        assert sum(region.share for region in proposal.regions) == settings.batch_size
        learner.tell(oracle.answer(proposal), round_number=number)
        assert learner.labelled.cells == settings.batch_size * (number + 1)
        assert sum(int(each.sum()) for each in taken) == learner.labelled.cells * 16 * 16
        assert learner.pool.left == 120 - learner.labelled.cells


def test_what_was_labelled_before_a_stop_is_taken_from_the_pool_again(divided: LoopSettings) -> None:
    learner, oracle = learner_of(divided, "entropy"), Oracle(POOL)
    answers = oracle.answer(learner.ask(round_number=0))
    learner.tell(answers, round_number=0)
    after, again = learner.ask(round_number=1), learner_of(divided, "entropy")
    restore(oracle.answers_at([[a.image, a.cell] for a in answers], divided), again.labelled, again.pool)
    again.segmenter.load_state_dict(learner.segmenter.state_dict())
    assert again.labelled.cells == 4
    assert [each.number for each in again.ask(round_number=1).regions] == [each.number for each in after.regions]


def test_sums_are_held_against_how_large_a_region_is() -> None:
    entropy, bvsb = build_strategy("entropy"), build_strategy("bvsb")
    assert (entropy.adds_up, bvsb.adds_up) == (True, False)
    # A cell and its quarters: by the sum the cell is ahead, by the pixel two quarters are, and then there is room for two more.
    spans, sums = np.array([[0, 4], [0, 1], [1, 2], [2, 3], [3, 4]]), np.array([10.0, 4.0, 1.0, 2.0, 3.0])
    rng = np.random.default_rng(0)
    assert choose(sums, [5], "per-pool", 0.0, rng, spans, 4).tolist() == [0]
    assert choose(sums / (spans[:, 1] - spans[:, 0]), [5], "per-pool", 0.0, rng, spans, 4).tolist() == [1, 4, 3, 2]


def test_with_chance_a_pool_s_room_is_filled_at_random() -> None:
    spans, scores = np.array([[0, 4], [0, 1], [1, 2], [2, 3], [3, 4]] * 2), np.arange(10.0)
    spans[5:] += 4
    rng = np.random.default_rng(0)
    draws = {tuple(choose(scores, [5, 5], "per-pool", 1.0, rng, spans, 4).tolist()) for _ in range(50)}
    assert len(draws) > 10
    for chosen in draws:
        assert sum(int(spans[place, 1] - spans[place, 0]) for place in chosen) == 8
