"""Owns the strategies' names. A strategy scores a round's candidates; the highest score in a candidate pool is asked for."""

from torch import nn

from models.strategies.contract import Candidates, Strategy
from models.strategies.greedy import Coreset, GreedyOracle
from models.strategies.learned import Learned
from models.strategies.plain import PLAIN, Random, Scored, StratifiedRandom

__all__ = [
    "REFERENCES",
    "STRATEGIES",
    "Candidates",
    "Coreset",
    "GreedyOracle",
    "Learned",
    "Random",
    "Scored",
    "Strategy",
    "StratifiedRandom",
    "build_strategy",
]

_OFFERED: dict[str, Strategy] = {strategy.name: strategy for strategy in (*PLAIN, Coreset())}
_REFERENCES: dict[str, Strategy] = {strategy.name: strategy for strategy in (GreedyOracle(),)}

STRATEGIES = (*_OFFERED, "learned")
"""What can be chosen by, in a campaign too."""

REFERENCES = tuple(_REFERENCES)
"""What knows the truth: for simulations alone, to compare with."""


def build_strategy(name: str, policy: nn.Module | None = None) -> Strategy:
    """Return the strategy of this name, of STRATEGIES or REFERENCES; "learned" acts by the policy, others ignore it.

    Raises:
        ValueError: there is no such strategy, or no policy for "learned".
    """
    if name == "learned":
        if policy is None:
            raise ValueError("strategy 'learned' needs a policy: train one, or choose another strategy")
        return Learned(policy=policy)
    known = _OFFERED | _REFERENCES
    if name not in known:
        raise ValueError(f"there is no strategy {name!r}; there are {', '.join((*STRATEGIES, *REFERENCES))}")
    return known[name]
