"""Games on a frozen encoder: a round set beside its twin's, trials, going on exactly, and a policy that learns there."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.segmenter import build
from models.strategies import Strategy, build_strategy
from tests.workers.conftest import Rectangles
from tests.workers.games import BUDGET, POOL_REGIONS, Forced, frozen_game, frozen_loop, frozen_place
from tests.workers.policy.small_trainer import drawn_network, play_episode, trainer
from workers.chance import numpy_generator
from workers.loop.round import LoopSettings
from workers.policy.labelling import Episode, LabellingGame, Place
from workers.training.checkpoints import from_bytes, to_bytes


def on_frozen() -> Episode:
    return Episode(frozen_place(known=True), frozen_loop(), budget=BUDGET, seed=3)


@pytest.fixture(params=["frozen", "trained"])
def make(request: pytest.FixtureRequest, loop_settings: LoopSettings) -> Callable[[], Episode]:
    """Makes the same episode again and again, on a frozen encoder or with f trained as a whole."""
    if request.param == "frozen":
        return on_frozen
    place = Place(
        images=Rectangles(4, 1),
        state=Rectangles(2, 2),
        reward=Rectangles(3, 3),
        start=lambda: build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(7)),
    )
    return lambda: Episode(place, loop_settings, budget=BUDGET, seed=3)


def told(episode: Episode, *rounds: tuple[int, ...]) -> Episode:
    """The episode after rounds that ask for these places of their pools."""
    for places in rounds:
        episode.ask(Forced(places=places), 0.0)
        episode.tell()
    return episode


def test_a_twin_reaches_what_an_episode_reaches_that_asks_for_its_regions(make: Callable[[], Episode]) -> None:
    first = (0, 1, 2, 0)
    places = tuple(numpy_generator(3, "twin", 1).integers([3] * 4).tolist())
    expected = told(make(), first, places).miou
    beside = told(make(), first)
    beside.ask(Forced(places=(2, 2, 2, 2)), 0.0)
    assert beside.miou_of_twin() == expected


def test_a_round_is_as_if_there_had_been_no_twin(make: Callable[[], Episode]) -> None:
    alone, beside = told(make(), (0, 1, 2, 0)), told(make(), (0, 1, 2, 0))
    alone.ask(Forced(places=(1, 1, 1, 1)), 0.0)
    beside.ask(Forced(places=(1, 1, 1, 1)), 0.0)
    before = beside.miou
    beside.miou_of_twin()
    assert (beside.miou, beside.labelled.regions) == (before, 4)
    assert alone.tell().loss == beside.tell().loss
    assert alone.meta() == beside.meta()
    assert all(torch.equal(value, beside.tensors()[key]) for key, value in alone.tensors().items())


def test_who_asks_for_what_the_twin_asks_for_is_paid_nothing() -> None:
    game = frozen_game(trials=0)
    game.begin(0)
    rewards = []
    for number in range(3):
        places = numpy_generator(game.seed_of_episode, "twin", number).integers([3] * (4 if number < 2 else 2))
        # In the last round somebody asks for another region.
        chosen = [(place + (number == 2)) % 3 for place in places.tolist()]
        game.played.ask(Forced(places=tuple(chosen)), 0.0)
        rewards.append(game.tell().reward)
    assert rewards[:2] == [0.0, 0.0]
    assert rewards[2] != 0.0


def test_a_trial_leaves_the_episode_where_it_is_and_has_a_seed_of_its_own() -> None:
    game, undisturbed = frozen_game(trials=2), frozen_game(trials=2)
    strategy = build_strategy("learned", drawn_network(1))
    for each in (game, undisturbed):
        each.begin(0)
        each.ask(strategy, 0.0)
        each.tell()
    first, second = game.trial(strategy, 0), game.trial(strategy, 1)
    assert first == game.trial(strategy, 0)
    assert first != second
    asked = [each.ask(strategy, 0.5).chosen for each in (game, undisturbed)]
    assert asked[0] == asked[1]
    assert game.tell() == undisturbed.tell()
    assert area_of_first_episode(game, strategy) not in (first, second)


def area_of_first_episode(game: LabellingGame, strategy: Strategy) -> float:
    """The mean mIoU over its rounds, in points."""
    game.begin(0)
    curve = []
    while not game.over:
        game.ask(strategy, 0.0)
        game.tell()
        curve.append(game.miou)
    return 100 * float(np.mean(curve))


def test_an_episode_asks_for_no_region_twice_and_ends_with_its_budget() -> None:
    game = frozen_game(twin=False)
    game.begin(0)
    asked = []
    while not game.over:
        game.ask(build_strategy("learned", drawn_network(1)), 0.5)
        asked.append([region.number for region in game.played.proposal.regions])
        game.tell()
    numbers = [number for each in asked for number in each]
    assert [len(each) for each in asked] == [4, 4, 2]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(POOL_REGIONS))


def test_an_episode_that_is_put_away_after_any_round_goes_on_exactly() -> None:
    strategy = build_strategy("learned", drawn_network(1))

    def begun() -> LabellingGame:
        return LabellingGame(frozen_place(known=True), frozen_loop(), budget=BUDGET, seed=5, twin=True)

    straight, stopped, rounds = begun(), begun(), []
    straight.begin(4)
    stopped.begin(4)
    while not straight.over:
        rounds.append((straight.ask(strategy, 0.3).chosen, straight.tell()))
        assert (stopped.ask(strategy, 0.3).chosen, stopped.tell()) == rounds[-1]
        saved = from_bytes(to_bytes({"game": stopped.meta()}, {}, stopped.tensors()))
        stopped = begun()
        stopped.load(4, saved.description["game"], saved.extra)
    assert len(rounds) == 3
    assert stopped.over
    assert all(torch.equal(value, stopped.tensors()[key]) for key, value in straight.tensors().items())


def test_a_policy_learns_there() -> None:
    learning = trainer(games=2, episodes=4)
    before = {key: value.clone() for key, value in learning.dqn.online.state_dict().items()}
    progress = [play_episode(learning) for _ in range(4)]
    assert learning.done
    assert all(each.loss is not None and np.isfinite(each.loss) for each in progress[2:])
    assert any(not torch.equal(value, before[key]) for key, value in learning.dqn.online.state_dict().items())
    assert progress[-1].trial == learning.trials[-1] == learning.best_value
