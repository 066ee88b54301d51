"""The search for a blend: it finds what is worth more, and goes on from where it was put away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from models.blend import BLENDED, Blend
from models.strategies import Learned, Strategy
from tests.workers.policy.test_contest import contest
from workers.files import FileState
from workers.policy.contest import Contest, Curve
from workers.policy.players import Players
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.search import Search, SearchSettings
from workers.policy.trials import Trying

RUNNER_UP = BLENDED.index("runner-up")


class Bowl:
    """A contest that is won by one vector of weights: the nearer, the better; noisy by the number of the game."""

    def __init__(self, goal: torch.Tensor, noise: float = 0.0) -> None:
        self.goal, self.noise, self.played = goal, noise, 0

    def play(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> Curve:
        on_round()
        self.played += 1
        ends = cast(Learned, strategy).policy.state_dict()["ends"]
        rng = np.random.default_rng(self.played)
        area = 50.0 - float((ends - self.goal).square().sum()) + self.noise * float(rng.standard_normal())
        return Curve(cells=(1.0,), mious=(area,))


def search(*contests: Any, **settings: Any) -> Search:
    given = SearchSettings(**{"games": 24, "population": 6, **settings})
    return Search(contests=contests, network=Blend(), settings=given, seed=3)


def distance(network: Any, goal: torch.Tensor) -> float:
    return float((network.ends.detach() - goal).norm())


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_it_comes_nearer_to_what_wins(noise: float) -> None:
    goal = Blend().ends.detach() + torch.tensor([[0.8], [-0.8]])
    found = search(Bowl(goal, noise), games=1200, population=12)
    while not found.done:
        found.play_round()
    assert distance(found.best_policy(), goal) < 0.5 * distance(Blend(), goal)
    assert found.trials[-1] > found.trials[0]


def test_every_policy_of_a_generation_plays_the_same_game_and_generations_go_round_the_contests() -> None:
    heard: list[tuple[str, int]] = []

    class Heard(Bowl):
        def __init__(self, name: str) -> None:
            super().__init__(torch.zeros(2, len(BLENDED) + 1))
            self.name = name

        def play(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> Curve:
            heard.append((self.name, number))
            return super().play(strategy, number, on_round)

    found = search(Heard("a"), Heard("b"))
    while not found.done:
        found.play_round()
    assert heard == [("ab"[number % 2], number) for number in range(4) for _ in range(6)]
    assert len(found.returns) == found.episodes == 24


def test_put_away_after_any_game_it_goes_on_exactly(tmp_path: Path) -> None:
    straight = search(contest(), games=8, population=4)
    play_resumably(straight, FileState(tmp_path / "straight"))
    stopped, store = search(contest(), games=8, population=4), FileState(tmp_path / "stopped")
    games = 0
    while not play_resumably(stopped, store, lambda progress: False):
        stopped = search(contest(), games=8, population=4)  # a new process
        games += 1
    assert games == 7
    assert stopped.areas == straight.areas
    assert torch.equal(*(each.best_policy().state_dict()["ends"] for each in (stopped, straight)))
    assert stopped.summary() == straight.summary()


def test_a_game_that_was_called_off_is_played_again() -> None:
    found = search(Bowl(torch.zeros(2, len(BLENDED) + 1)))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found.play_round(Trying(on_round=stop))
    assert found.areas == []
    progress = found.play_round()
    assert (progress.rounds_done, progress.trial) == (1, None)
    assert "episode 1 of 24" in describe_progress(found, progress)


def for_players() -> tuple[list[Contest], Blend]:
    return [contest()], Blend()


def test_games_played_side_by_side_are_those_that_one_plays_alone() -> None:
    alone = search(contest(), games=8, population=4)
    while not alone.done:
        alone.play_round()
    heard: list[int] = []
    with Players(for_players, 2) as players:
        given = SearchSettings(games=8, population=4)
        both = Search(contests=[contest()], network=Blend(), settings=given, seed=3, players=players)
        both.play_round(Trying(on_round=lambda: heard.append(1)))
        again = Search(contests=[contest()], network=Blend(), settings=given, seed=3, players=players)
        again.load(both.meta(), both.tensors())  # put away in the middle of a generation
        while not again.done:
            again.play_round()
    assert again.areas == alone.areas
    assert torch.equal(*(each.best_policy().state_dict()["ends"] for each in (again, alone)))
    assert heard  # to spawn a process takes longer than a second
