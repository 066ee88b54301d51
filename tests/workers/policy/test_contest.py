"""Contests: halves of a place's images, drawn anew for each game and the same for every strategy."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from models.strategies import build_strategy
from tests.workers.conftest import Rectangles
from tests.workers.games import BUDGET, POOL, REWARD, frozen_loop, frozen_place
from workers.datasets.base import ImageSource
from workers.loop.round import LoopSettings, cells_in
from workers.policy.contest import MEASURED, Contest, halves, is_blank, smallest_half
from workers.policy.labelling import Episode, Place


def contest(blank_share: float = 0.0) -> Contest:
    place = frozen_place(known=True)
    return Contest(
        place=place,
        blank=frozen_place(),
        blank_share=blank_share,
        settings=frozen_loop(),
        budget=BUDGET,
        seed=5,
    )


def names(source: ImageSource) -> set[str]:
    return {source.digest(n) for n in range(len(source))}


def test_what_is_asked_for_and_what_is_measured_are_all_images_and_none_twice() -> None:
    place = frozen_place()
    asked = []
    for number in range(6):
        half = halves(place, np.random.default_rng(number))
        assert not names(half.images) & names(half.reward)
        assert names(half.images) | names(half.reward) == names(POOL) | names(REWARD)
        assert abs(len(half.images) - len(half.reward)) <= 1
        asked.append(frozenset(names(half.images)))
    assert len(set(asked)) > 1


def test_neighbours_stay_together_and_no_more_is_measured_than_needed() -> None:
    place = replace(frozen_place(), images=Rectangles(100, 1), reward=Rectangles(100, 3))
    half = halves(place, np.random.default_rng(0))
    numbers = sorted(int(half.images.name(n)) for n in range(len(half.images)))
    assert len(half.images) == 100
    assert len(half.reward) == MEASURED
    assert sum(b - a == 1 for a, b in pairwise(numbers)) > 40


def test_the_smallest_half_is_what_any_half_holds_at_least() -> None:
    large = Rectangles(3, 3, size=(96, 64))  # of 24 cells each
    place, settings = replace(frozen_place(), images=Rectangles(5, 1), reward=large), frozen_loop()
    least = smallest_half(place, settings)
    found = {cells_in([halves(place, np.random.default_rng(number)).images], settings) for number in range(200)}
    assert least == min(found) == 4 * 12
    assert max(found) > least


def test_a_game_is_the_same_each_time_and_another_is_another() -> None:
    strategy = build_strategy("entropy")
    first, again, other = (contest().play(strategy, number) for number in (0, 0, 1))
    assert first == again != other


def test_the_area_is_a_mean_over_doublings_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    class Counted(Episode):
        @property
        def miou(self) -> float:
            measured.append(self.labelled.cells)
            return self.labelled.cells / 100

    monkeypatch.setattr("workers.policy.contest.Episode", Counted)
    curve = contest().play(build_strategy("random"), 0)  # rounds of 4, 4 and 2
    assert curve.mious == pytest.approx((4, 8, 10))
    assert list(curve.cells) == measured
    assert measured == [4, 8, 10]
    assert curve.area == pytest.approx(22 / 3)


@pytest.mark.parametrize(("share", "known"), [(0.0, [1, 1, 1, 1]), (0.5, [1, 0, 1, 0]), (1.0, [0, 0, 0, 0])])
def test_a_share_of_games_begins_with_nothing_known(
    monkeypatch: pytest.MonkeyPatch, share: float, known: list[int]
) -> None:
    seen: list[int] = []

    class Counted(Episode):
        def __init__(self, place: Place, settings: LoopSettings, *, budget: int, seed: int) -> None:
            seen.append(len(place.known))
            super().__init__(place, settings, budget=budget, seed=seed)

    monkeypatch.setattr("workers.policy.contest.Episode", Counted)
    for number in range(4):
        contest(share).play(build_strategy("random"), number)
    assert seen == known


def test_games_that_begin_blank_are_evenly_spread_and_not_bound_to_the_contests_they_go_round() -> None:
    blank = [is_blank(number, 0.5) for number in range(400)]
    assert all(abs(sum(blank[first : first + 10]) - 5) <= 1 for first in range(0, 400, 10))
    for contests in (2, 10, 15, 20):
        for place in range(contests):
            of_one = blank[place::contests]
            assert 0.2 <= sum(of_one) / len(of_one) <= 0.8


def test_whoever_hears_of_rounds_may_end_a_game() -> None:
    heard: list[int] = []

    def on_round() -> None:
        heard.append(1)
        if len(heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        contest().play(build_strategy("random"), 0, on_round)
