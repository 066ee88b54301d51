"""Held-out games: which way of asking is best where nothing was learned, and what it saves against asking at random.

Shapes: G games.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from models.strategies import Strategy
from service.domain.metrics import cost_to_reach
from service.domain.statistics import RESAMPLES, bootstrap_interval
from workers.chance import numpy_generator
from workers.policy.contest import Contest, Curve

# Numbers of games from here on are never played by a search.
HELD_OUT = 1_000_000
RANDOM = "random"


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

    def areas(self) -> dict[str, float]:
        """Mean areas by contender, in points of mIoU."""
        return {name: float(np.mean([curve.area for curve in of_one])) for name, of_one in self.curves.items()}

    def ahead(self, first: str, second: str) -> tuple[float, float, float]:
        """By how many points of area the first is ahead in a game, and its 95 % interval over games (bootstrap)."""
        ahead_G = [a.area - b.area for a, b in zip(self.curves[first], self.curves[second], strict=True)]
        mean = float(np.mean(ahead_G))
        if len(ahead_G) < 2:
            return mean, -math.inf, math.inf
        return mean, *bootstrap_interval(ahead_G, numpy_generator(0, "comparison", first, second))


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was asked for, against what random asks for, to reach the same mIoU.

    miou: that, in points, what random has at the end. cells: what it took; random took `random_cells`. share: what was saved of
    that, negative where it took more; low, high: its 95 % interval over games. None where mIoU was not reached.
    """

    miou: float
    random_cells: float
    cells: float | None
    share: float | None
    low: float | None
    high: float | None


def saved(curves: Sequence[Curve], by_random: Sequence[Curve]) -> Saved:
    """Of games that both played, by their mean curves over the logarithm of what is labelled."""
    steps_M = np.log2([curve.cells for curve in by_random]).mean(0)
    ours_GM, random_GM = (np.array([curve.mious for curve in each]) for each in (curves, by_random))

    def share_of(games_G: np.ndarray) -> tuple[float, float]:
        """(the share that is saved, what it took, in doublings): of the mean of some games."""
        target = float(random_GM[games_G].mean(0)[-1])
        reached = cost_to_reach(steps_M.tolist(), ours_GM[games_G].mean(0).tolist(), target)
        return 1 - 2.0 ** (reached - float(steps_M[-1])), reached

    count = len(ours_GM)
    share, reached = share_of(np.arange(count))
    rng = numpy_generator(0, "saved")
    drawn_R = [share_of(rng.integers(count, size=count))[0] for _ in range(RESAMPLES // 10)]
    low, high = np.quantile(drawn_R, [0.025, 0.975], method="nearest") if count > 1 else (-math.inf, math.inf)
    return Saved(
        miou=float(random_GM.mean(0)[-1]),
        random_cells=float(2.0 ** steps_M[-1]),
        cells=None if math.isinf(reached) else float(2.0**reached),
        share=_finite(share),
        low=_finite(float(low)),
        high=_finite(float(high)),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
