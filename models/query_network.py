"""The query network Q(state, action): what asking for a candidate region is worth while the segmenter is in a state.

Shapes (docs/method.md, 6): B transitions or rounds, S state regions, F = C + 192 features of a state region,
N candidates of each, A = F + 64 features of a candidate (the last: 32 of similarity to the labelled regions and 32 to
the unlabelled ones), K features of a code, R = B x N rows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.initialisation import drawn_from
from models.observation import PAPER, View

UNCERTAINTY = 192  # min, mean and max of entropy over an 8 x 8 grid
SIMILARITY = 64  # two histograms of 32 bins
STATE_WIDTHS = (256, 128, 1)
STATE_CODE = 128
ACTION_WIDTHS = (512, 256, 128)


def pre_activated(width_in: int, widths: Sequence[int]) -> nn.Sequential:
    """BatchNorm, ReLU, Linear for each width, over rows: what a 1x1 Conv1d is when rows are laid out as a batch."""
    layers: list[nn.Module] = []
    for width_out in widths:
        layers += [nn.BatchNorm1d(width_in), nn.ReLU(inplace=False), nn.Linear(width_in, width_out)]
        width_in = width_out
    return nn.Sequential(*layers)


class QueryNetwork(nn.Module):
    """Q = sigmoid(gate(similarity)) * head(state code, action code). BatchNorm runs over batch and rows."""

    view: View = PAPER

    def __init__(self, classes: int, state_regions: int, *, generator: torch.Generator | None = None) -> None:
        """Weights are drawn from `generator`; without one they are the same every time. `state_regions` is S."""
        super().__init__()
        if classes < 2 or state_regions < 1:
            raise ValueError(f"A query network needs 2 classes and 1 state region, not {classes} and {state_regions}.")
        self.classes, self.state_regions = classes, state_regions
        self.state_features = classes + UNCERTAINTY
        self.action_features = self.state_features + SIMILARITY
        with drawn_from(generator):
            self.state_rows = pre_activated(self.state_features, STATE_WIDTHS)
            self.state_code = nn.Linear(state_regions, STATE_CODE)
            self.action_rows = pre_activated(self.state_features, ACTION_WIDTHS)
            self.head = nn.Linear(STATE_CODE + ACTION_WIDTHS[-1], 1)
            self.gate = nn.Linear(SIMILARITY, 1)

    def forward(self, state_BSF: Tensor, actions_BNA: Tensor) -> Tensor:
        """Q values B x N. The state branch runs once for each of B, whatever N. Raises ValueError for other shapes."""
        self._check(state_BSF, actions_BNA)
        batch, candidates, _ = actions_BNA.shape
        state_BK = self._state_codes(state_BSF)
        actions_RA = actions_BNA.reshape(batch * candidates, self.action_features)
        own_RF, similarity_RM = actions_RA[:, : self.state_features], actions_RA[:, self.state_features :]
        action_RK = self.action_rows(own_RF)
        codes_RK = torch.cat([state_BK.repeat_interleave(candidates, dim=0), action_RK], dim=1)
        q_R1: Tensor = torch.sigmoid(self.gate(similarity_RM)) * self.head(codes_RK)
        return q_R1.view(batch, candidates)

    def _state_codes(self, state_BSF: Tensor) -> Tensor:
        batch = state_BSF.shape[0]
        rows_B_S = self.state_rows(state_BSF.reshape(-1, self.state_features)).view(batch, self.state_regions)
        codes_BK: Tensor = self.state_code(rows_B_S)
        return codes_BK

    def _check(self, state_BSF: Tensor, actions_BNA: Tensor) -> None:
        wanted = (self.state_regions, self.state_features)
        if state_BSF.ndim != 3 or tuple(state_BSF.shape[1:]) != wanted:
            raise ValueError(f"The state should be B x {wanted[0]} x {wanted[1]}, not {tuple(state_BSF.shape)}.")
        if actions_BNA.ndim != 3 or actions_BNA.shape[2] != self.action_features:
            raise ValueError(f"Actions should be B x N x {self.action_features}, not {tuple(actions_BNA.shape)}.")
        if actions_BNA.shape[0] != state_BSF.shape[0]:
            raise ValueError(f"{state_BSF.shape[0]} states do not go with {actions_BNA.shape[0]} sets of actions.")
