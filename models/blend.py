"""Owns the blend: a policy that adds up acquisition scores and a distance, with weights that move while labels come in.

Shape suffixes: B rounds, N candidates of each, M candidates of a round, S state rows, Z = 8 scores, A = Z + 2 features of an
action row.

What is best to ask for changes during a campaign: far from all that is labelled at first, what is hard later. So each weight
has two ends, and goes from one to the other with the logarithm of what is labelled. Some things are settled where whole images
are known beforehand: a weight may have a third number, which counts by the part that those have in all that is labelled.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.acquisition import SCORES, acquisition_scores, rare_among_labels
from models.features import RegionRows
from models.inference import on_one_thread
from models.observation import RoundContext
from models.regionwise_view import MASS, RUNNER_UP, mean_entropy, novelty, shares_of

BLENDED: tuple[str, ...] = (
    "entropy",
    "runner-up",
    "class-balanced",
    "impurity",
    "novelty",
    "rare among labels",
    "rare among candidates",
    "mass dominance",
)
"""The scores that it adds up, of those that need no labelled image beside the regions. After them comes the distance."""

FIRST, LAST = 24.0, 384.0
"""Cells that are labelled where the weights begin to move, and where they have arrived."""

# A sum of what the literature has: p2 / p1, classes that are rare, and distance, which counts less and less.
_BEGINNING = {"runner-up": (1.0, 1.0), "rare among labels": (0.25, 0.25), "distance": (1.0, 0.25)}
_PLACES = [SCORES.index(name) for name in BLENDED]
_RARE = BLENDED.index("rare among labels")


class BlendView:
    """Action rows (M, Z + 2): z-scores over the round's candidates, how far weights have moved, known_share. No state."""

    vectors: frozenset[str] = frozenset({MASS})
    statistics: frozenset[str] = frozenset({RUNNER_UP})
    needs_confusion = False
    needs_state = False

    def state(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return no rows, (0, 0): what it goes by is the same whatever D_S looks like."""
        return rows.class_part_RC.new_zeros(0, 0)

    @on_one_thread()
    def actions(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return the action rows of all candidates of the round. Raises ValueError where the rows lack the class mass."""
        if MASS not in rows.vectors or RUNNER_UP not in rows.statistics:
            raise ValueError(f"The blend needs {MASS!r} and {RUNNER_UP!r} of each candidate.")
        mass_MC = rows.vectors[MASS]
        share_C = shares_of(context.labelled_counts_C, mass_MC)
        nothing_C = torch.zeros_like(share_C)
        scores_MZ = acquisition_scores(
            rows,
            entropy_M=mean_entropy(rows),
            runner_up_M=rows.statistics[RUNNER_UP],
            novelty_M=novelty(mass_MC, share_C),
            mass_MC=mass_MC,
            labelled_share_C=share_C,
            recall_C=nothing_C,
            precision_C=nothing_C,
        )[:, _PLACES]
        of_the_round_2 = scores_MZ.new_tensor([moved(context.cells), context.known_share])
        return torch.cat([scores_MZ, of_the_round_2.expand(len(scores_MZ), 2)], 1)

    def after(self, actions_MA: Tensor, mass_MC: Tensor, covered_C: Tensor) -> Tensor:
        """Return the rows as they are once so much of each class, in any unit, is labelled or chosen."""
        rare_M = rare_among_labels(mass_MC, shares_of(covered_C, mass_MC))
        return torch.cat([actions_MA[:, :_RARE], rare_M[:, None], actions_MA[:, _RARE + 1 :]], 1)


class Blend(nn.Module):
    """Q of a candidate: a weighted sum of its scores; in its turn its distance to what is labelled or chosen is added."""

    needs_pool = False
    in_turn = True
    classes = None

    def __init__(self, *, known: bool = False, covers: bool = False) -> None:
        """With the weights that a search begins at. known: they have a third number, for what is known as whole images.
        covers: what is chosen counts as labelled, with the classes predicted of it, in the turns after it.
        """
        super().__init__()
        self.view, self.covers = BlendView(), covers
        names = (*BLENDED, "distance")
        self.ends = nn.Parameter(
            torch.tensor([[_BEGINNING.get(name, (0.0, 0.0))[end] for name in names] for end in (0, 1)])
        )
        self.known = nn.Parameter(torch.zeros(len(names))) if known else None

    def describe(self) -> dict[str, Any]:
        """The settings as JSON values, for `from_description`."""
        return ({} if self.known is None else {"known": True}) | ({"covers": True} if self.covers else {})

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Blend":
        """The inverse of `describe`. Raises ValueError for what it does not know."""
        if set(description) - {"known", "covers"} or any(type(each) is not bool for each in description.values()):
            raise ValueError(
                f"A blend has two settings, known and covers, true or false, and here are {dict(description)}."
            )
        return cls(**description)

    def forward(self, state_BSF: Tensor, actions_BNA: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """What candidates are worth but for their distance, B x N. Raises ValueError for other shapes."""
        if actions_BNA.ndim != 3 or actions_BNA.shape[2] != len(BLENDED) + 2:
            raise ValueError(f"Actions should be B x N x {len(BLENDED) + 2}, not {tuple(actions_BNA.shape)}.")
        return (self._weights(actions_BNA)[..., :-1] * actions_BNA[..., :-2]).sum(-1)

    def worth_in_turn(self, state_SF: Tensor, actions_MA: Tensor, far_M: Tensor) -> Tensor:
        """What candidates of one round are worth in their turn, (M,) float64; `far_M`: z-scores of their distances, 0 while
        there are none.
        """
        weights = self._weights(actions_MA[0])  # alike for all of a round
        return (weights[:-1] * actions_MA[:, :-2]).sum(-1).double() + float(weights[-1]) * far_M

    def added_up(self, actions_A: Tensor, far: Tensor) -> Tensor:
        """The sum with the distance in it, of rows of any shape (..., Z + 2)."""
        weights = self._weights(actions_A)
        return (weights[..., :-1] * actions_A[..., :-2]).sum(-1) + weights[..., -1] * far

    def _weights(self, actions_A: Tensor) -> Tensor:
        """Weights of the scores and the distance, (..., Z + 1), by the last two features of each row."""
        weights = torch.lerp(self.ends[0], self.ends[1], actions_A[..., -2:-1])
        return weights if self.known is None else weights + self.known * actions_A[..., -1:]


def moved(cells: float) -> float:
    """How far the weights have moved, in [0, 1], when as much is labelled as so many cells hold."""
    share = math.log(max(cells, FIRST) / FIRST) / math.log(LAST / FIRST)
    return min(1.0, share)
