"""A head that has learned from nothing asks for nothing: the first round is drawn at random, whoever asks."""

from typing import Any

import pytest

from models.blend import Blend
from models.strategies import REFERENCES, STRATEGIES, build_strategy
from service.domain.costs import drawing_cost
from service.domain.divided import pool_of
from tests.workers.games import POOL, frozen_loop, frozen_place
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import Proposal, groups_of

BY_PREDICTIONS = sorted({*STRATEGIES, *REFERENCES} - {"random", "greedy-oracle"})


def learner(strategy: str, *, known: bool = False, **loop: Any) -> ActiveLearner:
    place, settings = frozen_place(known=known), frozen_loop(**loop)
    made = ActiveLearner(
        segmenter=place.start(),
        strategy=build_strategy(strategy, Blend().eval() if strategy == "learned" else None),
        pool=pool_of(groups_of(POOL, settings), settings.levels),
        labelled=LabelledSet(3),
        images=POOL,
        state=place.state,
        reward=place.reward,
        settings=settings,
        seed=4,
        truth=POOL,
        known=place.known,
    )
    if known:
        made.learner.learn_known()
    return made


def asked(proposal: Proposal) -> list[int]:
    return [region.number for region in proposal.regions]


@pytest.mark.parametrize("strategy", BY_PREDICTIONS)
def test_the_first_round_is_that_of_chance_and_later_ones_are_not(strategy: str) -> None:
    learns, chance = learner(strategy), learner("random")
    first, of_chance = learns.ask(round_number=0), chance.ask(round_number=0)
    assert asked(first) == asked(of_chance)
    assert first.strategy == "random"
    if strategy == "learned":  # which sees the round all the same, to learn from it
        assert [len(pool) for pool in first.actions] == [3, 3, 3, 3]
    for each in (learns, chance):
        each.tell(Oracle(POOL).answer(first), round_number=0)
    second = learns.ask(round_number=1)
    assert second.strategy == strategy
    assert asked(second) != asked(chance.ask(round_number=1))


@pytest.mark.parametrize("strategy", ["entropy", "learned"])
def test_a_head_that_knows_whole_images_is_asked_at_once(strategy: str) -> None:
    first = learner(strategy, known=True).ask(round_number=0)
    assert first.strategy == strategy
    assert asked(first) != asked(learner("random", known=True).ask(round_number=0))


def test_who_knows_the_truth_needs_no_head() -> None:
    first = learner("greedy-oracle").ask(round_number=0)
    assert first.strategy == "greedy-oracle"
    assert asked(first) != asked(learner("random").ask(round_number=0))


@pytest.mark.parametrize("strategy", ["entropy", "learned"])
@pytest.mark.parametrize("protocol", ["per-pool", "global"])
def test_chance_weighs_no_cost(strategy: str, protocol: str) -> None:
    loop: dict[str, Any] = {"levels": 2, "cost": drawing_cost("clicks"), "protocol": protocol}
    first = learner(strategy, **loop).ask(round_number=0)
    assert asked(first) == asked(learner("random", **loop).ask(round_number=0))
