"""Owns the references that choose by influence on images whose labels are known: with the candidates' own labels, and without.

Shape suffixes: M candidates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.strategies.contract import Candidates, Needs, Strategy, described


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedInfluence(Needs):
    """How far the labels of a region, drawn from what is predicted, may move the segmenter on the measured images."""

    name: str = "influence"
    vectors: frozenset[str] = frozenset({"influence"})
    needs_segmenter: bool = True
    zero: float | None = 0.0

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return the mean deviation of a pixel's gain; it draws nothing."""
        return described(candidates, self).vectors["influence"][:, 0].clone()


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceOracle(Needs):
    """What the true labels of a region would do to the measured images: a reference for simulations, no method."""

    name: str = "influence-oracle"
    needs_segmenter: bool = True
    needs_gains: bool = True
    adds_up: bool = True
    zero: float | None = 0.0

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return the gains; it draws nothing."""
        described(candidates, self)
        if candidates.gains_M is None:
            raise ValueError(f"strategy {self.name!r} needs the influence of the candidates' true labels")
        return candidates.gains_M.clone()


OFFERED: tuple[Strategy, ...] = ()
REFERENCES: tuple[Strategy, ...] = (ExpectedInfluence(), InfluenceOracle())
