"""Owns the strategy that acts by a policy.

Shape suffixes: M candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from models.blend import BlendView
from models.inference import evaluating
from models.observation import PAPER, View
from models.regionwise_view import MASS
from models.strategies.contract import Candidates, described
from models.strategies.greedy import Cover, scores_of_turns, standard


class InTurn(Protocol):
    """What a policy with `in_turn` has besides Q.

    covers: it is told in each turn of the classes, too, that are predicted of what is chosen before, by its view's `after`.
    """

    covers: bool
    view: BlendView

    def worth_in_turn(self, state_SF: Tensor, actions_MA: Tensor, far_M: Tensor) -> Tensor:
        """Return what each candidate is worth in its turn, (M,) float64.

        `far_M`: z-scores of distances to what is labelled or chosen before, float64; zeros while nothing is.
        """


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
    def weighs_cost(self) -> bool:
        """Those that choose in turn: what they add up is in deviations."""
        return self.needs_labelled

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
        """Return Q of each candidate, in the one state, as a batch of one; of those chosen in turn scores_of_turns."""
        if candidates.state_SF is None or candidates.actions_MA is None:
            raise ValueError(f"strategy {self.name!r} needs the state's and the candidates' rows")
        with evaluating(self.policy):
            if self.needs_labelled:
                return scores_of_turns(self._told(candidates), candidates)
            q_1M: Tensor = self.policy(candidates.state_SF[None], candidates.actions_MA[None])
            return q_1M[0]

    def seen_in_turn(self, candidates: Candidates, chosen: Sequence[int]) -> Tensor | None:
        """Return the action rows as the candidates of each pool were seen at its turn; `chosen` are places, pool by pool.

        Where regions are chosen in turn what `far_M` says is in a last column. None without action rows.
        """
        actions_MA, pools_M = candidates.actions_MA, candidates.pools_M
        if actions_MA is None or pools_M is None or not self.needs_labelled:
            return actions_MA
        told, seen_MA = self._told(candidates), nn.functional.pad(actions_MA, (0, 1))
        for place in chosen:
            members_M1 = (pools_M == pools_M[place]).to(seen_MA.device)[:, None]
            now_MA, far_M = told.seen()
            seen_MA = torch.where(members_M1, torch.cat([now_MA, far_M[:, None].to(now_MA)], 1), seen_MA)
            told.take(place)
        return seen_MA

    def _told(self, candidates: Candidates) -> "_Told":
        if candidates.labelled_embeddings_LE is None:
            raise ValueError(f"strategy {self.name!r} needs the labelled regions' embeddings")
        vectors = described(candidates, self).vectors
        cover = Cover(vectors["embedding"], candidates.labelled_embeddings_LE)
        if not cast(InTurn, self.policy).covers:
            return _Told(self.policy, candidates, cover, None)
        if candidates.labelled_cells_C is None:
            raise ValueError(f"strategy {self.name!r} needs to know how much of each class is labelled")
        return _Told(self.policy, candidates, cover, _Covered(candidates, vectors[MASS], candidates.labelled_cells_C))


class _Covered:
    """How many cells' worth of each class is labelled or, by what is predicted, chosen."""

    def __init__(self, candidates: Candidates, mass_MC: Tensor, labelled_C: Tensor) -> None:
        spans_M2, self.mass_MC, self.cells_C = candidates.spans_M2, mass_MC, labelled_C.to(mass_MC)
        cells_M = None if spans_M2 is None else (spans_M2[:, 1] - spans_M2[:, 0]) / candidates.cell
        self._added_MC = mass_MC if cells_M is None else mass_MC * cells_M[:, None].to(mass_MC)

    def take(self, place: int) -> None:
        """Count the candidate as labelled with what is predicted of it."""
        self.cells_C = self.cells_C + self._added_MC[place]


class _Told:
    """A candidate is worth what the policy makes of it, told of its distance to what is labelled or chosen, and of the classes of
    that where it covers them.
    """

    def __init__(self, policy: nn.Module, candidates: Candidates, cover: Cover, covered: _Covered | None) -> None:
        assert candidates.state_SF is not None
        assert candidates.actions_MA is not None
        self._policy, self._cover, self._covered = cast(InTurn, policy), cover, covered
        self._state_SF, self._actions_MA = candidates.state_SF, candidates.actions_MA

    def seen(self) -> tuple[Tensor, Tensor]:
        """Return the action rows as they are now, and `far_M`."""
        far_M, covered = _far(self._cover, self._actions_MA[:, 0]), self._covered
        if covered is None:
            return self._actions_MA, far_M
        return self._policy.view.after(self._actions_MA, covered.mass_MC, covered.cells_C), far_M

    def worth(self) -> Tensor:
        return self._policy.worth_in_turn(self._state_SF, *self.seen())

    def take(self, place: int) -> None:
        self._cover.take(place)
        if self._covered is not None:
            self._covered.take(place)


def _far(cover: Cover, like_M: Tensor) -> Tensor:
    """Return z-scores of the candidates' distances, (M,) float64; zeros while there is nothing to be far from."""
    return standard(cover.worth()) if cover.has_centre else torch.zeros_like(like_M, dtype=torch.float64)
