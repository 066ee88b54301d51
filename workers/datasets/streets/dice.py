"""Chance for one scene: cheap draws that depend on the seed alone, never on the size that a scene is drawn at."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """Draws from one generator, taken in blocks because a scene needs many hundreds of single numbers."""

    BLOCK = 2048

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: list[float] = []

    def random(self) -> float:
        """A number in [0, 1)."""
        if not self._numbers:
            self._numbers = self._rng.random(self.BLOCK).tolist()
        return self._numbers.pop()

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.random()

    def whole(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[int(self.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the (option, weight) pairs."""
        left = self.random() * sum(weight for _, weight in options)
        for option, weight in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][0]

    def around(self, color: Sequence[float], spread: float) -> tuple[float, float, float]:
        """A colour near `color`: brightness varies by +-spread (a fraction), each channel by a quarter of it."""
        level = 1 + self.between(-spread, spread)
        r, g, b = (channel * level * (1 + self.between(-spread, spread) / 4) for channel in color)
        return r, g, b
