"""Held-out games, which no search has played: which way of asking is best in them, and what it saves against random.

Their images are those that the project's policy learned on, in other halves, which favours it.

Shapes: G games.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from models.strategies import Strategy
from service.domain.metrics import cost_to_reach
from service.domain.statistics import RESAMPLES, t_critical, t_interval
from workers.chance import numpy_generator
from workers.policy.contest import Contest, Curve

# Numbers of games from here on are never played by a search.
HELD_OUT = 1_000_000


@dataclass(kw_only=True)
class Comparison:
    """Contenders that all play the same games, one after the other; what is played can be put away as JSON."""

    contests: Sequence[Contest]
    contenders: Mapping[str, Strategy]
    games: int
    curves: dict[str, list[Curve]] = field(default_factory=dict)

    @property
    def played(self) -> int:
        """Games that are played, of all contenders together."""
        return sum(len(of_one) for of_one in self.curves.values())

    @property
    def done(self) -> bool:
        """Whether all are."""
        return self.played >= self.games * len(self.contenders)

    def play(self, on_round: Callable[[], None] = lambda: None) -> None:
        """The next game of the contender that has played the fewest; where `on_round` raises, it is played again."""
        name = min(self.contenders, key=lambda each: len(self.curves.get(each, ())))
        number = len(self.curves.get(name, ()))
        contest = self.contests[number % len(self.contests)]
        curve = contest.play(self.contenders[name], HELD_OUT + number, on_round)
        self.curves.setdefault(name, []).append(curve)

    def meta(self) -> dict[str, Any]:
        """What is played, for JSON."""
        return {name: [asdict(curve) for curve in of_one] for name, of_one in self.curves.items()}

    def load(self, meta: Mapping[str, Any]) -> None:
        """Go on from what `meta` gave."""
        self.curves = {
            name: [Curve(cells=tuple(each["cells"]), mious=tuple(each["mious"])) for each in of_one]
            for name, of_one in meta.items()
        }

    @property
    def whole(self) -> list[int]:
        """The games that can be compared: everyone measured as much, and all of it is a number."""
        return [
            number
            for number in range(min((len(of_one) for of_one in self.curves.values()), default=0))
            if len({of_one[number].cells for of_one in self.curves.values()}) == 1
            and all(np.isfinite(of_one[number].mious).all() for of_one in self.curves.values())
        ]

    def of(self, name: str) -> list[Curve]:
        """A contender's curves of the games that can be compared."""
        return [self.curves[name][number] for number in self.whole]

    def areas(self) -> dict[str, float]:
        """Mean areas by contender, in points of mIoU; none where no game can be compared."""
        return {name: float(np.mean([curve.area for curve in self.of(name)])) for name in self.curves if self.whole}

    def course(self, name: str) -> dict[str, list[float]]:
        """The mean of a contender's curves, in points, by what is labelled, and its 95 % interval by Student's t over games.

        `low` and `high` are empty where there is one game.
        """
        curves = self.of(name)
        values_M = list(zip(*(curve.mious for curve in curves), strict=True))
        ends = [t_interval(values_G) for values_G in values_M] if len(curves) > 1 else []
        return {
            "cells": list(curves[0].cells),
            "mean": [round(float(np.mean(values_G)), 3) for values_G in values_M],
            "low": [round(low, 3) for low, _ in ends],
            "high": [round(high, 3) for _, high in ends],
        }

    def ahead(self, first: str, second: str) -> tuple[float, float, float]:
        """By how many points of area the first is ahead in a game, and the 95 % interval of that by Student's t over games."""
        ahead_G = [a.area - b.area for a, b in zip(self.of(first), self.of(second), strict=True)]
        low, high = t_interval(ahead_G) if len(ahead_G) > 1 else (-math.inf, math.inf)
        return float(np.mean(ahead_G)), low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was asked for, against what random asks for, to reach the same mIoU and not fall below it again.

    miou: that, in points, what random has at the end. cells: what it took; random took `random_cells`. share: what was saved of
    that, negative where it took more; low, high: about its 95 % interval over games. None where mIoU was not reached, or nothing
    is known.
    """

    miou: float
    random_cells: float
    cells: float | None
    share: float | None
    low: float | None
    high: float | None


def saved(curves: Sequence[Curve], by_random: Sequence[Curve]) -> Saved:
    """Of one game or more that both played, by their mean curves over the logarithm of what is labelled.

    The interval is by Student's t, with the deviation of means of games that are drawn again (bootstrap).
    """
    steps_M = np.log2(by_random[0].cells)
    ours_GM, random_GM = (np.array([curve.mious for curve in each]) for each in (curves, by_random))

    def share_of(games_G: np.ndarray) -> tuple[float, float]:
        """(the share that is saved, what it took, in doublings): of the mean of some games."""
        target = float(random_GM[games_G].mean(0)[-1])
        # What is kept from there on: a curve that is lucky once has not got there.
        kept_M = np.minimum.accumulate(ours_GM[games_G].mean(0)[::-1])[::-1]
        reached = cost_to_reach(steps_M.tolist(), kept_M.tolist(), target)
        return 1 - 2.0 ** (reached - float(steps_M[-1])), reached

    count = len(ours_GM)
    share, reached = share_of(np.arange(count))
    rng = numpy_generator(0, "saved")
    drawn_R = [share_of(rng.integers(count, size=count))[0] for _ in range(RESAMPLES // 10)]
    known = count > 1 and math.isfinite(share) and bool(np.isfinite(drawn_R).all())
    reach = t_critical(count) * float(np.std(drawn_R)) * math.sqrt(count / (count - 1)) if known else 0.0
    return Saved(
        miou=float(random_GM.mean(0)[-1]),
        random_cells=float(2.0 ** steps_M[-1]),
        cells=None if math.isinf(reached) else float(2.0**reached),
        share=share if math.isfinite(share) else None,
        low=share - reach if known else None,
        high=min(1.0, share + reach) if known else None,
    )
