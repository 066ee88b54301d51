"""A head that has learned from nothing asks for nothing: the first round is by distances, or drawn at random."""

from typing import Any

import pytest

from models.blend import Blend
from models.strategies import REFERENCES, STRATEGIES, build_strategy
from service.domain.costs import drawing_cost
from service.domain.divided import pool_of
from service.domain.methods import BASELINES, before_labels
from tests.workers.games import POOL, frozen_loop, frozen_place
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import Proposal, groups_of

BY_DISTANCES = ("diverse", "learned")
BY_PREDICTIONS = sorted({*STRATEGIES, *REFERENCES} - {"random", "greedy-oracle", "coreset", *BY_DISTANCES})


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


@pytest.mark.parametrize(
    ("strategy", "instead"),
    [*((each, "random") for each in BY_PREDICTIONS), *((each, "coreset") for each in BY_DISTANCES)],
)
def test_the_first_round_is_of_another_strategy_and_later_ones_are_not(strategy: str, instead: str) -> None:
    learns, other = learner(strategy), learner(instead)
    first, of_other = learns.ask(round_number=0), other.ask(round_number=0)
    assert asked(first) == asked(of_other)
    assert first.strategy == instead
    if strategy == "learned":  # which sees the round all the same, to learn from it
        assert [len(pool) for pool in first.actions] == [3, 3, 3, 3]
    for each in (learns, other):
        each.tell(Oracle(POOL).answer(first), round_number=0)
    second = learns.ask(round_number=1)
    assert second.strategy == strategy
    assert asked(second) != asked(other.ask(round_number=1))


@pytest.mark.parametrize("strategy", BASELINES)
def test_the_service_says_of_the_first_round_what_the_loop_does(strategy: str) -> None:
    assert (before_labels(strategy) == "coreset") == build_strategy(strategy).needs_labelled


def test_coreset_goes_by_what_the_encoder_sees_from_the_first_round_on() -> None:
    first = learner("coreset").ask(round_number=0)
    assert first.strategy == "coreset"
    assert asked(first) != asked(learner("random").ask(round_number=0))


@pytest.mark.parametrize("strategy", ["entropy", "learned"])
def test_a_head_that_knows_whole_images_is_asked_at_once(strategy: str) -> None:
    first = learner(strategy, known=True).ask(round_number=0)
    assert first.strategy == strategy
    assert asked(first) != asked(learner("random", known=True).ask(round_number=0))


def test_who_knows_the_truth_needs_no_head() -> None:
    first = learner("greedy-oracle").ask(round_number=0)
    assert first.strategy == "greedy-oracle"
    assert asked(first) != asked(learner("random").ask(round_number=0))


@pytest.mark.parametrize(("strategy", "instead"), [("influence", "random"), ("learned", "coreset")])
@pytest.mark.parametrize("protocol", ["per-pool", "global"])
def test_what_stands_in_weighs_no_cost(strategy: str, instead: str, protocol: str) -> None:
    loop: dict[str, Any] = {"levels": 2, "cost": drawing_cost("clicks"), "protocol": protocol}
    first = learner(strategy, **loop).ask(round_number=0)
    assert asked(first) == asked(learner(instead, **loop).ask(round_number=0))
