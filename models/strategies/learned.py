"""Owns the strategy that acts by a policy.

Shape suffixes: M candidates.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from models.inference import evaluating
from models.observation import PAPER, View
from models.strategies.contract import Candidates, described
from models.strategies.greedy import Apart, Cover, scores_of_turns


class InTurn(Protocol):
    """What a policy with `in_turn` has besides Q."""

    def distance_weight(self, actions_MA: Tensor) -> Tensor:
        """Return what a deviation of a candidate's distance is worth in this round, a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Q(state, action) of a trained policy (paper, section 3), in evaluation mode.

    The policy says how it looks at a round: by its attribute `view`, the paper's where it has none. One with `in_turn` has its
    regions chosen one after the other, each told of those before it by its distance to them.
    """

    policy: nn.Module
    name: str = "learned"
    needs_segmenter: bool = True
    needs_policy: bool = True
    adds_up: bool = False
    zero: float | None = None
    needs_truth: bool = False
    needs_gains: bool = False

    @property
    def needs_labelled(self) -> bool:
        """Whether the policy is told distances to what is labelled."""
        return bool(getattr(self.policy, "in_turn", False))

    @property
    def view(self) -> View:
        """The policy's view."""
        view: View = getattr(self.policy, "view", PAPER)
        return view

    @property
    def statistics(self) -> frozenset[str]:
        """What its view asks for."""
        return self.view.statistics

    @property
    def vectors(self) -> frozenset[str]:
        """What the policy asks for by itself, and what its view asks for."""
        own: frozenset[str] = frozenset(getattr(self.policy, "vectors", frozenset()))
        return own | self.view.vectors | (frozenset({"embedding"}) if self.needs_labelled else frozenset())

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return Q of each candidate, in the one state, as a batch of one; of those chosen in turn scores_of_turns of Apart."""
        if candidates.state_SF is None or candidates.actions_MA is None:
            raise ValueError(f"strategy {self.name!r} needs the state's and the candidates' rows")
        with evaluating(self.policy):
            q_1M: Tensor = self.policy(candidates.state_SF[None], candidates.actions_MA[None])
            if not self.needs_labelled:
                return q_1M[0]
            weight = float(cast(InTurn, self.policy).distance_weight(candidates.actions_MA))
        if candidates.labelled_embeddings_LE is None:
            raise ValueError(f"strategy {self.name!r} needs the labelled regions' embeddings")
        cover = Cover(described(candidates, self).vectors["embedding"], candidates.labelled_embeddings_LE)
        return scores_of_turns(Apart(q_1M[0], cover, weight), candidates)
