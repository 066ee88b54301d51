"""Owns the strategies: each scores a round's candidates, and the highest score in a candidate pool is asked for.

Shape suffixes: M candidates, S state regions, F features of a state row, A of an action row, C classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.features import RegionRows
from models.inference import evaluating
from models.query_network import QueryNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A round's candidates, as much about them as the strategy declares that it needs, in one order throughout.

    rows: with the strategy's statistics, where it needs the segmenter.
    actions_MA, state_SF: where it needs the policy.
    pools_M: the number of each candidate's pool; without it all are taken for one pool.
    """

    count: int
    rows: RegionRows | None = None
    actions_MA: Tensor | None = None
    state_SF: Tensor | None = None
    pools_M: Tensor | None = None


class Strategy(Protocol):
    """What `ActiveLearner` knows of a strategy. Scoring changes neither the candidates nor the strategy."""

    @property
    def name(self) -> str:
        """The name by which build_strategy makes it."""

    @property
    def statistics(self) -> frozenset[str]:
        """What `describe` has to compute of each candidate, names among features.STATISTICS."""

    @property
    def needs_segmenter(self) -> bool:
        """Whether candidates must be described at all."""

    @property
    def needs_policy(self) -> bool:
        """Whether state and action rows must be there."""

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return (M,) finite scores, float32 or float64. Chance comes from the generator alone.

        Raises:
            ValueError: the candidates lack something that this strategy declares that it needs.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A strategy that is a name, its needs and a function of what is known of the candidates."""

    name: str
    score: Callable[[RegionRows], Tensor]
    statistics: frozenset[str] = frozenset()
    needs_segmenter: bool = True
    needs_policy: bool = False

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return the function's value for each candidate; it draws nothing."""
        return self.score(_described(candidates, self))


@dataclass(frozen=True, slots=True)
class Random:
    """Uniform (paper, section 5: U)."""

    name: str = "random"
    statistics: frozenset[str] = frozenset()
    needs_segmenter: bool = False
    needs_policy: bool = False

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return uniform numbers in [0, 1)."""
        return torch.rand(candidates.count, generator=generator, dtype=torch.float64, device=generator.device)


@dataclass(frozen=True, slots=True)
class StratifiedRandom:
    """Uniform over the dominant predicted classes of a pool, then uniform over its regions of that class (nnActive)."""

    name: str = "stratified-random"
    statistics: frozenset[str] = frozenset()
    needs_segmenter: bool = True
    needs_policy: bool = False

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return -(place in a random order of the pool's regions of that class) + a random number of (pool, class).

        The places 0 of all classes come first, so the highest of them belongs to a class chosen uniformly and to a
        region chosen uniformly within it. The next highest take the other classes, once each before any comes twice:
        the first k of a pool are stratified too. Every pool has draws of its own; if all shared one for each class,
        each pool would be right by itself, and yet a round's pools would all choose the same class.
        """
        rows = _described(candidates, self)
        dominant_M = rows.class_part_RC.argmax(1).to(generator.device)
        pools_M = torch.zeros_like(dominant_M) if candidates.pools_M is None else candidates.pools_M.to(dominant_M)
        pairs_M = pools_M * rows.class_part_RC.shape[1] + dominant_M
        _, strata_M, sizes = torch.unique(pairs_M, return_inverse=True, return_counts=True)
        # A permutation, sorted stably by stratum, is a random order within each stratum.
        shuffled_M = torch.randperm(candidates.count, generator=generator, device=generator.device)
        order_M = shuffled_M[strata_M[shuffled_M].argsort(stable=True)]
        first_of_stratum = sizes.cumsum(0) - sizes
        places_M = torch.empty_like(order_M)
        places_M[order_M] = torch.arange(candidates.count, device=order_M.device) - first_of_stratum[strata_M[order_M]]
        strata_draws = torch.rand(len(sizes), generator=generator, dtype=torch.float64, device=generator.device)
        return strata_draws[strata_M] - places_M


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Q(state, action) of a trained policy (paper, section 3), in evaluation mode."""

    policy: QueryNetwork
    name: str = "learned"
    statistics: frozenset[str] = frozenset()
    needs_segmenter: bool = True
    needs_policy: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return Q of each candidate, in the one state, as a batch of one."""
        if candidates.state_SF is None or candidates.actions_MA is None:
            raise ValueError(f"strategy {self.name!r} needs the state's and the candidates' rows")
        with evaluating(self.policy):
            q_1M: Tensor = self.policy(candidates.state_SF[None], candidates.actions_MA[None])
        return q_1M[0]


def _described(candidates: Candidates, strategy: Strategy) -> RegionRows:
    rows = candidates.rows
    if rows is None:
        raise ValueError(f"strategy {strategy.name!r} needs the candidates described")
    missing = sorted(strategy.statistics - set(rows.statistics))
    if missing:
        raise ValueError(f"strategy {strategy.name!r} needs the candidates' {', '.join(missing)}")
    return rows


def _class_balanced(rows: RegionRows) -> Tensor:
    """Return minmax(bvsb) * exp(-share of candidates with the same dominant predicted class) (Cai et al. 2021)."""
    bvsb_M = rows.statistics["bvsb_mean"]
    spread = bvsb_M.amax() - bvsb_M.amin()
    scaled_M = (bvsb_M - bvsb_M.amin()) / spread if bool(spread > 0) else torch.ones_like(bvsb_M)
    dominant_M = rows.class_part_RC.argmax(1)
    shares_C = torch.bincount(dominant_M, minlength=rows.class_part_RC.shape[1]) / len(rows)
    return scaled_M * torch.exp(-shares_C[dominant_M])


def _impurity(rows: RegionRows) -> Tensor:
    """Return entropy of the predicted classes' histogram times mean pixel entropy, both over ln C (RIPU, 2022)."""
    histogram_MC = rows.class_part_RC
    entropy_M = -torch.xlogy(histogram_MC, histogram_MC).sum(1) / math.log(histogram_MC.shape[1])
    return entropy_M * rows.statistics["entropy_mean"]


def _by_statistic(name: str, statistic: str, sign: int = 1) -> Scored:
    return Scored(name=name, score=lambda rows: sign * rows.statistics[statistic], statistics=frozenset({statistic}))


_PLAIN: tuple[Strategy, ...] = (
    Random(),
    _by_statistic("entropy", "entropy_sum"),
    _by_statistic("bald", "bald_sum"),
    _by_statistic("margin", "margin_mean", -1),
    _by_statistic("bvsb", "bvsb_mean"),
    Scored(name="class-balanced", score=_class_balanced, statistics=frozenset({"bvsb_mean"})),
    Scored(name="impurity", score=_impurity, statistics=frozenset({"entropy_mean"})),
    StratifiedRandom(),
)
_BY_NAME = {strategy.name: strategy for strategy in _PLAIN}

STRATEGIES = (*_BY_NAME, "learned")


def build_strategy(name: str, policy: QueryNetwork | None = None) -> Strategy:
    """Return the strategy of this name, among STRATEGIES; "learned" acts by the policy, others ignore it.

    Raises:
        ValueError: there is no such strategy, or no policy for "learned".
    """
    if name == "learned":
        if policy is None:
            raise ValueError("strategy 'learned' needs a policy: train one, or choose another strategy")
        return Learned(policy=policy)
    if name not in _BY_NAME:
        raise ValueError(f"there is no strategy {name!r}; there are {', '.join(STRATEGIES)}")
    return _BY_NAME[name]
