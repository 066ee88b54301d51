"""Owns the strategies' names. A strategy scores a round's candidates; the highest score in a candidate pool is asked for.

A new one is a new module here, with the strategy in its OFFERED, and a line in service/domain/methods.py (CONTRIBUTING.md).
"""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

from torch import nn

from models.strategies.contract import Candidates, Strategy
from models.strategies.greedy import Coreset, GreedyOracle
from models.strategies.learned import Learned
from models.strategies.plain import Random, Scored, StratifiedRandom

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


def _listed(attribute: str) -> dict[str, Strategy]:
    """The strategies that this package's modules list under an attribute, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found: Iterable[Strategy] = (strategy for module in modules for strategy in getattr(module, attribute, ()))
    return {strategy.name: strategy for strategy in found}


_OFFERED, _REFERENCES = _listed("OFFERED"), _listed("REFERENCES")

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
