"""Owns what a policy sees of a round: the context that it is played in, and the views that make rows of it.

Shape suffixes: S state regions, F features of a state row, M candidates, A features of an action row, L labelled
regions, C classes.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.features import RegionRows, action_rows, state_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext:
    """What is known in a round besides its candidates; all tensors are on the device of the rows.

    labelled_LC: class distribution of every labelled region that has a labelled pixel, float32, (0, C) at first.
    labelled_counts_C: labelled pixels of each class so far, int64.
    cells: what is labelled, as so many cells of the grid hold, images that are labelled as a whole included.
    known_share: the part of `cells` that is images labelled as a whole, in [0, 1]; 0 while nothing is labelled.
    budget_share: the share of the budget that is spent, in [0, 1]; 0 where no budget is known.
    state_truth_SC: true pixels of each class in each region of D_S, int64; None where D_S has no label maps.
    state_confusion_CC: confusion of the segmenter as it is now on D_S, int64, rows = truth; None where D_S has no label
        maps, or the view does not ask for it.
    """

    labelled_LC: Tensor
    labelled_counts_C: Tensor
    cells: float = 0.0
    known_share: float = 0.0
    budget_share: float = 0.0
    state_truth_SC: Tensor | None = None
    state_confusion_CC: Tensor | None = None


class View(Protocol):
    """How a policy looks at a round. It belongs to the policy's architecture: rows are as wide as the policy expects."""

    @property
    def vectors(self) -> frozenset[str]:
        """What `describe` has to compute of D_S's regions and of the candidates, names among features.VECTORS."""

    @property
    def statistics(self) -> frozenset[str]:
        """What `describe` has to compute of the candidates besides, names among features.STATISTICS."""

    @property
    def needs_confusion(self) -> bool:
        """Whether the context should hold the confusion on D_S."""

    @property
    def needs_state(self) -> bool:
        """Whether D_S is looked at."""

    def state(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return the state, (S, F), from the rows of D_S."""

    def actions(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return the actions, (M, A), from the rows of all candidates of the round."""


@dataclass(frozen=True, slots=True)
class PaperView:
    """The paper's state and action rows (docs/method.md, 3 and 4)."""

    vectors: frozenset[str] = frozenset()
    statistics: frozenset[str] = frozenset()
    needs_confusion: bool = False
    needs_state: bool = True

    def state(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return features.state_rows, (S, C + 192)."""
        return state_rows(rows)

    def actions(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return features.action_rows, (M, C + 192 + 64)."""
        return action_rows(rows, context.labelled_LC)


PAPER: View = PaperView()
