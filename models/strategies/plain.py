"""Owns the plain strategies: chance, and functions of what the segmenter predicts of the candidates.

Shape suffixes: M candidates, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.acquisition import class_balanced, impurity
from models.features import RegionRows
from models.strategies.contract import Candidates, Needs, Strategy, described


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Needs):
    """A strategy that is a name, its needs and a function of what is known of the candidates."""

    name: str
    score: Callable[[RegionRows], Tensor]
    needs_segmenter: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return the function's value for each candidate; it draws nothing."""
        return self.score(described(candidates, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Random(Needs):
    """Uniform (paper, section 5: U)."""

    name: str = "random"

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return uniform numbers in [0, 1)."""
        return torch.rand(candidates.count, generator=generator, dtype=torch.float64, device=generator.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedRandom(Needs):
    """Uniform over the dominant predicted classes of a pool, then uniform over its regions of that class (nnActive)."""

    name: str = "stratified-random"
    needs_segmenter: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return -(place in a random order of the pool's regions of that class) + a random number of (pool, class).

        The places 0 of all classes come first, so the highest of them belongs to a class chosen uniformly and to a
        region chosen uniformly within it. The next highest take the other classes, once each before any comes twice:
        the first k of a pool are stratified too. Every pool has draws of its own; if all shared one for each class,
        each pool would be right by itself, and yet a round's pools would all choose the same class.
        """
        rows = described(candidates, self)
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


def _by_statistic(name: str, statistic: str, sign: int = 1) -> Scored:
    return Scored(
        name=name,
        score=lambda rows: sign * rows.statistics[statistic],
        statistics=frozenset({statistic}),
        adds_up=statistic.endswith("_sum"),
        # Statistics are 0 at least, and the margin, which counts against a region, is 1 at most.
        zero=min(0.0, float(sign)),
    )


OFFERED: tuple[Strategy, ...] = (
    Random(),
    _by_statistic("entropy", "entropy_sum"),
    _by_statistic("bald", "bald_sum"),
    _by_statistic("margin", "margin_mean", -1),
    _by_statistic("bvsb", "bvsb_mean"),
    Scored(
        name="class-balanced",
        score=lambda rows: class_balanced(rows.statistics["bvsb_mean"], rows.class_part_RC),
        statistics=frozenset({"bvsb_mean"}),
    ),
    Scored(
        name="impurity",
        score=lambda rows: impurity(rows.class_part_RC, rows.statistics["entropy_mean"]),
        statistics=frozenset({"entropy_mean"}),
        zero=0.0,
    ),
    StratifiedRandom(),
)
