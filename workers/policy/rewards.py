"""The size of rewards, so that what a policy learns from is alike whatever the data set is."""

import math


class RunningDeviation:
    """Divides rewards by the root of their mean square so far: their size, whatever the data set, is about 1."""

    def __init__(self) -> None:
        self.count, self.squares = 0, 0.0

    def divide(self, reward: float) -> float:
        """Take a reward in and give it scaled."""
        self.count += 1
        self.squares += reward * reward
        return reward / max(1e-3, math.sqrt(self.squares / self.count))
