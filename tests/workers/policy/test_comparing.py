"""Held-out games: everyone plays the same ones, and what is said of them is right."""

import json
from typing import Any

import numpy as np
import pytest

from models.strategies import build_strategy
from tests.workers.policy.test_contest import contest
from workers.policy.comparing import HELD_OUT, Comparison, saved
from workers.policy.contest import Curve


class Scripted:
    """A contest in which a strategy reaches what its name says, and the number of the game beside."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def play(self, strategy: Any, number: int, on_round: Any = lambda: None) -> Curve:
        on_round()
        self.heard.append((strategy.name, number))
        reached = {"random": 40.0, "entropy": 42.0, "bvsb": 41.0}[strategy.name] + number - HELD_OUT
        return Curve(cells=(24.0, 48.0, 96.0), mious=(reached, reached + 5, reached + 10))


def comparison(games: int = 2, *contests: Any) -> Comparison:
    names = ("random", "entropy", "bvsb")
    return Comparison(
        contests=contests or (Scripted(),), contenders={name: build_strategy(name) for name in names}, games=games
    )


def test_all_play_the_same_games_which_no_search_plays() -> None:
    one, two = Scripted(), Scripted()
    found = comparison(4, one, two)
    while not found.done:
        found.play()
    names = ("random", "entropy", "bvsb")
    assert one.heard == [(name, HELD_OUT + game) for game in (0, 2) for name in names]
    assert two.heard == [(name, HELD_OUT + game) for game in (1, 3) for name in names]
    assert found.areas() == pytest.approx({"random": 46.5, "entropy": 48.5, "bvsb": 47.5})
    assert found.ahead("entropy", "bvsb") == pytest.approx((1.0, 1.0, 1.0))
    course = found.course("entropy")
    assert (course["cells"], course["mean"]) == ([24.0, 48.0, 96.0], [43.5, 48.5, 53.5])
    assert [(low + high) / 2 for low, high in zip(course["low"], course["high"], strict=True)] == course["mean"]
    assert course["high"][0] - 43.5 == pytest.approx(3.182446 * np.std([0, 1, 2, 3], ddof=1) / 2, abs=1e-3)


def test_of_a_single_game_nothing_is_known_for_sure() -> None:
    found = comparison(1)
    while not found.done:
        found.play()
    assert found.ahead("entropy", "random") == (2.0, -np.inf, np.inf)


def test_put_away_as_json_after_any_game_it_goes_on_exactly() -> None:
    straight = comparison(2, contest())
    while not straight.done:
        straight.play()
    meta: dict[str, Any] = {}
    for _ in range(straight.played):
        again = comparison(2, contest())
        again.load(json.loads(json.dumps(meta)))
        again.play()
        meta = again.meta()
    assert again.done
    assert again.curves == straight.curves


def test_a_game_that_was_called_off_is_played_again() -> None:
    found = comparison()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found.play(stop)
    assert found.played == 0


def curve(*mious: float) -> Curve:
    return Curve(cells=tuple(24.0 * 2**n for n in range(len(mious))), mious=mious)


def test_what_is_saved_is_read_off_the_mean_curves_by_doublings() -> None:
    # Random ends with 30 at 96 cells; ours crosses 30 half a doubling after 24.
    found = saved([curve(28, 32, 40), curve(28, 32, 40)], [curve(10, 20, 29), curve(10, 20, 31)])
    assert found.miou == pytest.approx(30.0)
    assert found.random_cells == pytest.approx(96.0)
    assert found.cells == pytest.approx(24 * 2**0.5)
    assert found.share == pytest.approx(1 - 2**-1.5)
    low, share, high = (each for each in (found.low, found.share, found.high) if each is not None)
    assert low < share < high <= 1


def test_a_curve_that_was_lucky_once_has_not_got_there() -> None:
    by_random = [curve(30, 40.5, 39.8, 40)]
    found = saved(by_random, by_random)
    assert (found.cells, found.share) == pytest.approx((192.0, 0.0))


def test_games_in_which_somebody_measured_less_or_no_number_are_left_out() -> None:
    found = comparison(3)
    while not found.done:
        found.play()
    found.curves["bvsb"][0] = Curve(cells=(24.0, 48.0), mious=(1.0, 2.0))
    found.curves["random"][2] = curve(1, 2, float("nan"))
    assert found.whole == [1]
    assert found.areas() == pytest.approx({"random": 46.0, "entropy": 48.0, "bvsb": 47.0})
    found.curves["random"][1] = curve(1, 2, float("nan"))
    assert found.areas() == {}


def test_who_does_not_get_there_has_saved_nothing_that_could_be_told() -> None:
    found = saved([curve(1, 2, 3), curve(1, 2, 3)], [curve(10, 20, 30), curve(10, 20, 30)])
    assert (found.cells, found.share, found.low, found.high) == (None, None, None, None)
