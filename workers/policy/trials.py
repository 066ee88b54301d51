"""A trial: the fixed games that a policy is tried on without chance, one after the other; whoever hears of them may end it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.strategies import Strategy
from workers.policy.game import Game


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """Who hears of a trial, and may raise to end it: then no more is lost than what is played of the game that goes on.

    on_round: before each round of its games. on_game: after each game but the last, how many are played, and of how many.
    """

    on_round: Callable[[], None] = lambda: None
    on_game: Callable[[int, int], None] = lambda played, games: None


UNHEARD = Trying()


def play_trial(games: Sequence[Game], strategy: Strategy, areas: list[float], trying: Trying = UNHEARD) -> float:
    """The mean area that the strategy reaches over the trials of all games, in points.

    `areas` holds those of the games that are played already, and gets each of the others as it ends.
    """
    order = [(game, number) for number in range(games[0].trials) for game in games]
    for game, number in order[len(areas) :]:
        areas.append(game.trial(strategy, number, trying.on_round))
        if len(areas) < len(order):
            trying.on_game(len(areas), len(order))
    return float(np.mean(areas))
