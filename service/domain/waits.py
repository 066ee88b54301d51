"""How long a job waits after a failure before it is tried again."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

FIRST_SECONDS = 1.0

# After how many failures in a row, how long to wait.
Waits = Callable[[int], timedelta]


def wait_after(failures: int, *, longest: float, chance: float) -> timedelta:
    """One second after the first failure, twice as long after each further one, at most `longest` seconds.

    `chance`, from 0 to 1, moves it by up to a quarter either way, so that what failed together is not tried again together.
    """
    # From 2 ** 30 seconds on, longer than anybody waits, the exponent is held: it would leave the range of floats.
    seconds = min(longest, FIRST_SECONDS * 2.0 ** min(max(failures, 1) - 1, 30))
    return timedelta(seconds=seconds * (0.75 + 0.5 * chance))


def longest_of(longest: float) -> timedelta:
    """The longest that `wait_after` ever says."""
    return wait_after(1 << 30, longest=longest, chance=1.0)


def waits_of(longest: float) -> Waits:
    """`wait_after` with chances of its own: processes that share a database are to wait differently."""
    chances = Random()
    return lambda failures: wait_after(failures, longest=longest, chance=chances.random())


def at_once(failures: int) -> timedelta:
    """No wait."""
    return timedelta(0)
