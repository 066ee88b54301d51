"""What a run of chaos is asked for, and what of it follows from the seed."""

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run. `settings` are those of the project that are not its defaults; two people label each region, and some are gold."""

    seed: int
    labels: int = 2000
    minutes: float = 20.0  # after which nothing is broken any more
    annotators: int = 16
    strikes: int = 90  # spread evenly over the labels
    embedded: bool = (
        False  # SQLite and the worker inside one server, in place of two APIs, two workers, PostgreSQL and Redis
    )
    keep: bool = False  # the logs of all processes, also where all holds
    settings: dict[str, Any] = field(default_factory=lambda: {"overlap": 2, "gold_share": 0.1})

    @property
    def regions(self) -> int:
        """How many are asked for, so that there are about so many labels."""
        return self.labels // self.overlap

    @property
    def overlap(self) -> int:
        """How many people a region is given to."""
        return int(self.settings.get("overlap", 1))

    @property
    def reviewed(self) -> bool:
        """Whether regions may wait for a reviewer."""
        return self.overlap > 1 or "review" in self.settings or "learn_from" in self.settings

    def chance(self, *names: object) -> random.Random:
        """A generator of its own for each purpose."""
        return random.Random("/".join(map(str, (self.seed, *names))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A strike of the plan: what, how long it is left so, a draw of its own, and after how many labels it is due.

    `at_once`: whether or not regions have been given again since the strike before.
    """

    what: str
    seconds: float
    draw: int
    after: int
    at_once: bool


def plan(options: Options, kinds: list[str]) -> list[Planned]:
    """The strikes of a seed, one after the other: all kinds in some order, then all in another one."""
    chance, dealt = options.chance("plan"), list[str]()
    while len(dealt) < options.strikes:
        dealt += chance.sample(kinds, len(kinds))
    return [
        Planned(
            what=what,
            seconds=round(chance.choice((0.0, 0.5, 1.0, 2.0, 4.0)), 1),
            draw=chance.randrange(1 << 30),
            after=options.labels * number // (options.strikes + 1),
            at_once=chance.random() < 0.3,
        )
        for number, what in enumerate(dealt[: options.strikes], start=1)
    ]
