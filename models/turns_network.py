"""Owns the query network of regions that are chosen in turn: Q of a candidate from its scores and its distance to those before.

Shape suffixes: B rounds, N candidates of each, M candidates of a round, S state rows, F features of one, Z = 8 scores,
A = Z + 3 features of an action row.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.blend import BLENDED, Blend, BlendView
from models.initialisation import drawn_from

FEATURES = len(BLENDED) + 3
"""What BlendView says of a candidate, and its distance in its turn."""

_OF_THE_ROUND = slice(len(BLENDED), len(BLENDED) + 2)
_FIRST_SCALE = 0.1  # of advantages: what one region adds to a round's reward is little


class TurnsNetwork(nn.Module):
    """Q = V + A - mean of A over the pool: A the blend's sum and what a hidden layer makes of all it sees, V of the round alone.

    Its last feature is the distance to the nearest region that is labelled or chosen before in the round, as a z-score, 0
    while there is none. It begins as the sum that a search begins at.
    """

    needs_pool = True
    in_turn = True
    classes = None

    def __init__(self, width: int = 32, generator: torch.Generator | None = None, *, covers: bool = False) -> None:
        """Weights of the hidden layers are drawn from `generator`; without one they are the same every time.

        covers: as a blend's.
        Raises ValueError for a width below 2.
        """
        super().__init__()
        if width < 2:
            raise ValueError(f"The width is 2 or more, not {width}.")
        self.width, self.view, self.covers = width, BlendView(), covers
        self.sum = Blend(known=True)
        with drawn_from(generator):
            self.hidden = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, 1))
            self.value = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))
        for weights in self.hidden[2].parameters():
            nn.init.zeros_(weights)
        self.log_scale = nn.Parameter(
            torch.tensor(math.log(_FIRST_SCALE))
        )  # above 0: Q orders candidates as their sum does

    def describe(self) -> dict[str, Any]:
        """The settings as JSON values, for `from_description`."""
        return {"width": self.width} | ({"covers": True} if self.covers else {})

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "TurnsNetwork":
        """The inverse of `describe`. Raises ValueError for what it does not know."""
        if description.keys() - {"width", "covers"} or type(description.get("covers", False)) is not bool:
            raise ValueError(
                f"This network has two settings, width, and covers, true or false, and here are {dict(description)}."
            )
        return cls(**description)

    def forward(self, state_BSF: Tensor, actions_BNA: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """Q values, B x N; mask_BN is True where there is a candidate and not padding. Raises ValueError for other shapes."""
        if actions_BNA.ndim != 3 or actions_BNA.shape[2] != FEATURES:
            raise ValueError(f"Actions should be B x N x {FEATURES}, not {tuple(actions_BNA.shape)}.")
        advantage_BN = self.log_scale.exp() * self._advantage(actions_BNA)
        there_BN = torch.ones_like(advantage_BN) if mask_BN is None else mask_BN.to(advantage_BN)
        mean_B1 = (advantage_BN * there_BN).sum(1, keepdim=True) / there_BN.sum(1, keepdim=True).clamp(min=1)
        # What is of the round is the same for all candidates, so the first stands for them; padding comes after it.
        value_B1: Tensor = self.value(actions_BNA[:, 0, _OF_THE_ROUND])
        return value_B1 + advantage_BN - mean_B1

    def worth_in_turn(self, state_SF: Tensor, actions_MA: Tensor, far_M: Tensor) -> Tensor:
        """Of candidates of which some may be chosen already, Q in their turn but for what is the same for all, (M,) float64."""
        seen_MA = torch.cat([actions_MA, far_M[:, None].to(actions_MA)], 1)
        return self._advantage(seen_MA).double()

    def _advantage(self, actions_A: Tensor) -> Tensor:
        summed = self.sum.added_up(actions_A[..., :-1], actions_A[..., -1])
        hidden: Tensor = self.hidden(actions_A).squeeze(-1)
        return summed + hidden

    @torch.no_grad()
    def wander(self, deviation: float, generator: torch.Generator) -> None:
        """Draw the sum's weights from around where they are: another way of asking, to explore by."""
        for weights in self.sum.parameters():
            weights.add_(deviation * torch.randn(weights.shape, generator=generator).to(weights))
