"""The search for a blend: it finds what is worth more, and goes on from where it was put away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from models.blend import Blend
from models.strategies import Learned, Strategy
from tests.workers.policy.test_contest import contest
from workers.files import FileState
from workers.policy.contest import Contest, Curve
from workers.policy.players import Players
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.search import Search, SearchSettings, in_deviations, slope
from workers.policy.trials import Trying


class Worth:
    """A contest in which candidates are worth v z: whoever asks by w gains w v / |w|; noisy by the number of the game."""

    def __init__(self, worth: torch.Tensor, noise: float = 0.0) -> None:
        self.worth, self.noise, self.played = worth, noise, 0

    def gain(self, ends: torch.Tensor) -> float:
        gained = (ends * self.worth).sum() / ends.norm()
        return float(gained)

    def play(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> Curve:
        on_round()
        self.played += 1
        gain = self.gain(strategy.policy.state_dict()["ends"]) if isinstance(strategy, Learned) else 0.0
        area = 50.0 + gain + self.noise * float(np.random.default_rng(self.played).standard_normal())
        return Curve(cells=(1.0,), mious=(area,))


START = Blend().ends.detach()
ALONG = START / START.norm()


def beside(size: float) -> torch.Tensor:
    """What counts beside what the beginning counts."""
    drawn = torch.randn(START.shape, generator=torch.Generator().manual_seed(1))
    drawn -= (drawn * ALONG).sum() * ALONG
    rest: torch.Tensor = size * drawn / drawn.norm()
    return rest


def search(*contests: Any, **settings: Any) -> Search:
    given = SearchSettings(**{"games": 24, "population": 6, **settings})
    return Search(contests=contests, network=Blend(), settings=given, seed=3)


def gained(contest: Worth, **settings: Any) -> float:
    """What a search wins over its beginning."""
    found = search(contest, **settings)
    while not found.done:
        found.play_round()
    ends = cast(Any, found.best_policy()).ends.detach()
    return contest.gain(ends) - contest.gain(START)


@pytest.mark.parametrize(("noise", "share"), [(0.0, 0.75), (1.0, 0.4)])
def test_it_comes_to_what_wins(noise: float, share: float) -> None:
    contest = Worth(2.5 * ALONG + beside(2.0), noise)
    best = float(contest.worth.norm()) - 2.5
    assert share * best < gained(contest, games=480, population=12) <= best


class Louder(Worth):
    """The same, with everything in it as many times as large."""

    def __init__(self, worth: torch.Tensor, times: float) -> None:
        super().__init__(times * worth, times)


def test_games_in_which_players_lie_far_apart_do_not_drown_the_others() -> None:
    quiet = Worth(2.5 * ALONG + beside(2.0), 1.0)
    loud = Louder(2.5 * ALONG - beside(2.0), 30.0)
    alone, both = search(quiet, games=480, population=12), search(quiet, quiet, loud, games=480, population=12)
    for each in (alone, both):
        while not each.done:
            each.play_round()
    gains = [quiet.gain(cast(Any, each.best_policy()).ends.detach()) - quiet.gain(START) for each in (alone, both)]
    # Two games of three say the one, one says the contrary thirty times as loud.
    assert 0 < gains[1] < gains[0]


class Tied(Worth):
    """A game in which all policies make nearly the same, and chance ten points less."""

    def gain(self, ends: torch.Tensor) -> float:
        return 10 + 1e-4 * super().gain(ends)


def test_a_game_of_which_all_policies_make_the_same_does_not_decide() -> None:
    telling = Worth(2.5 * ALONG + beside(2.0), 1.0)
    alone = search(telling, games=240, population=12)
    both = search(telling, Tied(START), games=480, population=12)  # half of the games, as many as the other has
    for each in (alone, both):
        while not each.done:
            each.play_round()
    steps = [np.linalg.norm(each.found() - each.beginning_P) for each in (alone, both)]
    assert steps[1] > 0.5 * steps[0] > 0


def test_a_step_is_not_longer_than_three_times_its_beginning() -> None:
    found = search(Worth(0.01 * ALONG + beside(9.0)), games=240, population=12)
    while not found.done:
        found.play_round()
    length = np.linalg.norm(found.beginning_P)
    assert np.linalg.norm(found.found() - found.beginning_P) == pytest.approx(3 * length)


def test_areas_count_in_deviations_of_those_who_play_by_policies() -> None:
    areas = np.array([[51.0, 20.0, 52.0, 53.0], [10.0, 9.0, 40.0, 70.0], [7.0, 3.0, 7.0, 7.0]])
    found = in_deviations(areas)
    np.testing.assert_allclose(found[0], [-1, -32, 0, 1])
    np.testing.assert_allclose(found[1], [-1, -31 / 30, 0, 1])
    np.testing.assert_array_equal(found[2], np.zeros(4))


def test_where_a_game_tells_little_and_there_is_nothing_to_be_found_it_stays_where_it_began() -> None:
    assert gained(Worth(2.5 * ALONG, noise=1.4), games=120, population=12) > -0.1


def test_its_slope_is_that_of_ridge_regression_by_the_likeliest_ratio() -> None:
    rng = np.random.default_rng(0)
    steps, truth = rng.standard_normal((60, 7)), rng.standard_normal(7)
    halves = steps @ truth + rng.standard_normal(60)

    def unlikely(logs: np.ndarray) -> float:
        slopes, chance = np.exp(logs)
        return -float(multivariate_normal(cov=slopes * steps @ steps.T + chance * np.eye(60)).logpdf(halves))

    slopes, chance = np.exp(minimize(unlikely, np.zeros(2), method="Nelder-Mead").x)
    expected = np.linalg.solve(steps.T @ steps / chance + np.eye(7) / slopes, steps.T @ halves / chance)
    np.testing.assert_allclose(slope(steps, halves), expected, rtol=0.02, atol=0.005)
    np.testing.assert_array_equal(slope(steps, np.zeros(60)), np.zeros(7))


def test_every_policy_of_a_generation_plays_the_same_game_and_generations_go_round_the_contests() -> None:
    heard: list[tuple[str, int]] = []

    class Heard(Worth):
        def __init__(self, name: str) -> None:
            super().__init__(START)
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
    found = search(Worth(START))

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
