"""What a policy is paid: for each region of a round the round's gain, and perhaps a share of its own labels' influence."""

import math
from typing import Any

from workers.policy.game import Told


class RunningDeviation:
    """Divides rewards by the root of their mean square so far: their size, whatever the data set, is about 1."""

    def __init__(self, least: float = 1e-3) -> None:
        """`least`: sizes below count as this, so that what is next to nothing stays that."""
        self.count, self.squares, self._least = 0, 0.0, least

    def divide(self, reward: float) -> float:
        """Take a reward in and give it scaled."""
        self.take_in(reward)
        return self.scaled(reward)

    def take_in(self, reward: float) -> None:
        """Count a reward."""
        self.count += 1
        self.squares += reward * reward

    def scaled(self, reward: float) -> float:
        """A reward by the size of those so far."""
        return reward / max(self._least, math.sqrt(self.squares / max(1, self.count)))


class Rewards:
    """Of each region of a round: the round's reward, which all share, and its influence, each in its own size so far."""

    def __init__(self, *, standardise: bool, influence: float) -> None:
        """`influence`: what counts of the influence; the rest is the round's reward, as it is unless it is to be standardised."""
        self._standardise, self._influence = standardise, influence
        self._gain, self._own = RunningDeviation(), RunningDeviation(least=1e-12)  # an influence is in any unit

    def of(self, told: Told, regions: int) -> tuple[float, ...]:
        """Rewards of a round of so many regions."""
        shared = self._gain.divide(told.reward) if self._standardise else told.reward
        if not self._influence:
            return (shared,) * regions
        if len(told.influences) != regions:
            raise ValueError(f"{regions} regions came with the influence of {len(told.influences)}.")
        for each in told.influences:
            self._own.take_in(each)
        return tuple(
            (1 - self._influence) * shared + self._influence * self._own.scaled(each) for each in told.influences
        )

    def of_live(self, reward: float, regions: int) -> tuple[float, ...]:
        """Rewards of a live round of so many regions, which is in its size already, and of which no influence is known."""
        return ((1 - self._influence) * reward,) * regions

    def meta(self) -> list[Any]:
        """The numbers, for JSON."""
        return [self._gain.count, self._gain.squares, self._own.count, self._own.squares]

    def load(self, meta: list[Any]) -> None:
        """Go on from what `meta` gave."""
        self._gain.count, self._gain.squares, self._own.count, self._own.squares = meta
