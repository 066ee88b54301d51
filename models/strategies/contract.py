"""Owns what a strategy is: what it may know of a round's candidates, and what it declares that it needs of that.

Shape suffixes: M candidates, S state regions, F features of a state row, A of an action row, C classes, L labelled
regions, E channels of an embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.features import RegionRows
from models.observation import View
from models.strategies.turns import Turns, apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A round's candidates, as much about them as the strategy declares that it needs, in one order throughout.

    rows: with the strategy's statistics and vectors, where it needs the segmenter.
    actions_MA, state_SF: where it needs the policy.
    spans_M2, cell: where each begins and ends, int64 on the CPU, in units of which a cell has `cell`: those that overlap have
        pixels in common. Without them each is a cell.
    pools_M: the number of each candidate's pool; without it all are taken for one pool, and `wanted` taken from it.
    wanted: K, how many will be taken in all.
    truth_MC, labelled_counts_C: true pixels of each class in each candidate and in all that is labelled so far, where
        it needs the truth.
    labelled_cells_C: how many cells' worth of each class is labelled, where it needs the policy.
    labelled_embeddings_LE: of every labelled region, described with the segmenter as it is now, where it needs them.
    gains_M: the influence of each candidate's true labels, where it needs that.
    dear_M: the logarithm of what a pixel of each candidate costs, in any unit, where costs count and the strategy weighs them.
    """

    count: int
    rows: RegionRows | None = None
    actions_MA: Tensor | None = None
    state_SF: Tensor | None = None
    spans_M2: Tensor | None = None
    cell: int = 1
    pools_M: Tensor | None = None
    wanted: int = 1
    truth_MC: Tensor | None = None
    labelled_counts_C: Tensor | None = None
    labelled_cells_C: Tensor | None = None
    labelled_embeddings_LE: Tensor | None = None
    gains_M: Tensor | None = None
    dear_M: Tensor | None = None

    def turns(self) -> Turns:
        """Who may be chosen next, with none chosen yet."""
        spans_M2 = apart(self.count) if self.spans_M2 is None else self.spans_M2
        return Turns(spans_M2, self.cell, self.pools_M, self.wanted)


class Strategy(Protocol):
    """What the loop knows of a strategy. Scoring changes neither the candidates nor the strategy."""

    @property
    def name(self) -> str:
        """The name by which build_strategy makes it."""

    @property
    def statistics(self) -> frozenset[str]:
        """What `describe` has to compute of each candidate, names among features.STATISTICS."""

    @property
    def vectors(self) -> frozenset[str]:
        """What `describe` has to compute of each candidate besides, names among features.VECTORS."""

    @property
    def adds_up(self) -> bool:
        """Whether a score is a sum over a region's pixels, of which larger ones have more: of several sizes it is divided."""

    @property
    def zero(self) -> float | None:
        """The score of a pixel that is worth nothing: above it scores are values. None where they are an order alone."""

    @property
    def weighs_cost(self) -> bool:
        """Whether it weighs what candidates cost by itself, against what it makes of them in deviations: their `dear_M`."""

    @property
    def needs_segmenter(self) -> bool:
        """Whether candidates must be described at all."""

    @property
    def needs_policy(self) -> bool:
        """Whether state and action rows must be there."""

    @property
    def needs_truth(self) -> bool:
        """Whether true class counts must be there: for simulations only."""

    @property
    def needs_labelled(self) -> bool:
        """Whether the labelled regions' embeddings must be there, which takes a pass over each image that has any."""

    @property
    def needs_gains(self) -> bool:
        """Whether the influence of true labels must be there: for simulations only."""

    @property
    def policy(self) -> nn.Module | None:
        """The network that it acts by; None for one without."""

    @property
    def view(self) -> View | None:
        """How state and action rows are made; None for a strategy that looks at none."""

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return (M,) finite scores, float32 or float64. Chance comes from the generator alone.

        Raises:
            ValueError: the candidates lack something that this strategy declares that it needs.
        """

    def seen_in_turn(self, candidates: Candidates, chosen: Sequence[int]) -> Tensor | None:
        """Return the action rows as each pool's candidates were seen at its turn; `chosen` are places, pool by pool.

        None without action rows.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a strategy needs where it does not say otherwise: nothing."""

    statistics: frozenset[str] = frozenset()
    vectors: frozenset[str] = frozenset()
    needs_segmenter: bool = False
    needs_policy: bool = False
    adds_up: bool = False
    zero: float | None = None
    weighs_cost: bool = False
    needs_truth: bool = False
    needs_labelled: bool = False
    needs_gains: bool = False
    policy: nn.Module | None = None
    view: View | None = None

    def seen_in_turn(self, candidates: Candidates, chosen: Sequence[int]) -> Tensor | None:
        """Return the rows as they are: nothing is told of the choices before."""
        return candidates.actions_MA


def described(candidates: Candidates, strategy: Strategy) -> RegionRows:
    """Return the candidates' rows. Raises ValueError where they, or what the strategy needs of them, are not there."""
    rows = candidates.rows
    if rows is None:
        raise ValueError(f"strategy {strategy.name!r} needs the candidates described")
    missing = sorted(strategy.statistics - set(rows.statistics)) + sorted(strategy.vectors - set(rows.vectors))
    if missing:
        raise ValueError(f"strategy {strategy.name!r} needs the candidates' {', '.join(missing)}")
    return rows
