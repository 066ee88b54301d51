"""The regionwise network Q(state, action): the same weights value candidates for any number of classes in any order.

Shapes: B transitions or rounds, N candidates of each, A features of a candidate, R = B x N rows, r some of them, C
classes, T features of a class, G of a region, Z = 14 acquisition scores, S state rows, F features of a state row, K the
width, H heads of all seeds. The rows are those of models/regionwise_view.py.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.initialisation import drawn_from
from models.regionwise_view import (
    ACQUISITION,
    OWN_FEATURES,
    REGION_FEATURES,
    STATE_FEATURES,
    RegionwiseView,
    ViewSettings,
)

HEADS = 4
SEEDS = 2
_ROWS_AT_ONCE = 2**13  # bounds the memory that the classes of all candidates of a large round take


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionwiseSettings:
    """What a network is made of; kept beside its weights, see `RegionwiseNetwork.describe`.

    view: which rows it is given. deep: beside the weighted acquisition scores, a head over codes of everything. width: K,
    the size of its codes. dueling: Q = V + A - mean of A over the pool. state_encoder: how state rows, a set, are summed
    up. Without `view.class_relative` a class has as many features as there are `classes`.
    """

    view: ViewSettings = field(default_factory=ViewSettings)
    deep: bool = True
    width: int = 32
    dueling: bool = True
    state_encoder: Literal["attention", "mean"] = "attention"
    classes: int | None = None

    def __post_init__(self) -> None:
        if self.width < 2:
            raise ValueError(f"The width is 2 or more, not {self.width}: of one number a norm leaves nothing.")
        if self.state_encoder not in _ENCODERS:
            raise ValueError(f"No state encoder {self.state_encoder!r}: choose among {', '.join(_ENCODERS)}.")
        if not self.view.class_relative and self.classes is None:
            raise ValueError("Without class_relative every class has features of its own: give `classes`.")


class RegionwiseNetwork(nn.Module):
    """Q of a candidate: its acquisition scores, weighed, and, where it is deep, what a head makes of everything.

    The head reads codes of the candidate's classes (a set), its region and the state (a set), and beside it a linear path
    adds, class by class, what a class is worth times the candidate's mass of it. No BatchNorm: a batch of one is as good
    as any.
    """

    def __init__(self, settings: RegionwiseSettings | None = None, generator: torch.Generator | None = None) -> None:
        """Weights are drawn from `generator`; without one they are the same every time."""
        super().__init__()
        self.settings = settings = settings or RegionwiseSettings()
        self.view = RegionwiseView(settings=settings.view)
        self.needs_pool = settings.dueling
        self.class_features = self.view.class_features(settings.classes or 0)
        width = settings.width
        with drawn_from(generator):
            self.scores = nn.Linear(ACQUISITION, 1, bias=False)
            self.state_encoder = _ENCODERS[settings.state_encoder](width)
            self.codes = _Codes(self.class_features, width) if settings.deep else None
            self.value = _two_layers(width, width, 1) if settings.dueling else None

    @property
    def classes(self) -> int | None:
        """How many classes it is bound to; None: any number."""
        return self.settings.classes

    def describe(self) -> dict[str, Any]:
        """The settings as JSON values, for `from_description`."""
        return dataclasses.asdict(self.settings)

    @classmethod
    def from_description(
        cls, description: Mapping[str, Any], generator: torch.Generator | None = None
    ) -> "RegionwiseNetwork":
        """Make a network of the settings that `describe` gave. Raises ValueError for what they do not know."""
        try:
            settings = RegionwiseSettings(**{**description, "view": ViewSettings(**description.get("view", {}))})
        except TypeError as error:
            raise ValueError(f"These are no settings of a regionwise network: {error}.") from error
        return cls(settings, generator)

    def forward(self, state_BSF: Tensor, actions_BNA: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """Q values B x N. Raises ValueError for other shapes.

        Args:
            state_BSF: state rows; encoded once for each of B, whatever N.
            actions_BNA: candidates, each of B one pool. Which candidates make up a pool shifts their Q by one number,
                where the network is dueling, and never changes their order.
            mask_BN: True where there is a candidate and not padding; without it all are candidates.
        """
        self._check(state_BSF, actions_BNA, mask_BN)
        batch, candidates, _ = actions_BNA.shape
        state_BK: Tensor = self.state_encoder(state_BSF)
        state_RK = state_BK.repeat_interleave(candidates, dim=0)
        rows_RA = actions_BNA.flatten(0, 1)
        pieces = zip(torch.split(rows_RA, _ROWS_AT_ONCE), torch.split(state_RK, _ROWS_AT_ONCE), strict=True)
        advantage_BN = torch.cat([self._advantages(*piece) for piece in pieces]).view(batch, candidates)
        if self.value is None:
            return advantage_BN
        value_B1: Tensor = self.value(state_BK)
        return value_B1 + advantage_BN - _mean_of_pool(advantage_BN, mask_BN)

    def _advantages(self, actions_rA: Tensor, state_rK: Tensor) -> Tensor:
        weighed_r1: Tensor = self.scores(actions_rA[:, -ACQUISITION:])
        return weighed_r1 if self.codes is None else weighed_r1 + self.codes(actions_rA, state_rK)

    def _check(self, state_BSF: Tensor, actions_BNA: Tensor, mask_BN: Tensor | None) -> None:
        classes = self.settings.classes
        if state_BSF.ndim != 3 or state_BSF.shape[1] < 1 or state_BSF.shape[2] != STATE_FEATURES:
            raise ValueError(f"The state should be B x S x {STATE_FEATURES}, not {tuple(state_BSF.shape)}.")
        of_classes = actions_BNA.shape[-1] - OWN_FEATURES
        fixed = classes is not None and of_classes != classes * self.class_features
        if actions_BNA.ndim != 3 or of_classes < self.class_features or of_classes % self.class_features or fixed:
            wanted = f"{'C' if classes is None else classes} * {self.class_features} + {OWN_FEATURES}"
            raise ValueError(f"Actions should be B x N x ({wanted}), not {tuple(actions_BNA.shape)}.")
        if actions_BNA.shape[0] != state_BSF.shape[0]:
            raise ValueError(f"{state_BSF.shape[0]} states do not go with {actions_BNA.shape[0]} sets of actions.")
        if mask_BN is not None and mask_BN.shape != actions_BNA.shape[:2]:
            raise ValueError(f"The mask should be {tuple(actions_BNA.shape[:2])}, not {tuple(mask_BN.shape)}.")


class _Codes(nn.Module):
    """The head over codes of classes, region and state, and the linear path, added, to (R, 1)."""

    def __init__(self, class_features: int, width: int) -> None:
        super().__init__()
        self.class_features = class_features
        self.class_branch = _Classes(class_features, width)
        self.region_branch = nn.Sequential(nn.Linear(REGION_FEATURES, width), nn.ReLU())
        codes = 2 * width + width + width
        self.head = nn.Sequential(nn.LayerNorm(codes), *_two_layers(codes, width, 1))

    def forward(self, actions_RA: Tensor, state_RK: Tensor) -> Tensor:
        sizes = [actions_RA.shape[1] - OWN_FEATURES, REGION_FEATURES, ACQUISITION]
        classes_RX, region_RG, _ = torch.split(actions_RA, sizes, dim=1)
        classes_RK, linear_R1 = self.class_branch(classes_RX.reshape(len(actions_RA), -1, self.class_features))
        valued_R1: Tensor = self.head(torch.cat([classes_RK, self.region_branch(region_RG), state_RK], 1)) + linear_R1
        return valued_R1


class _Classes(nn.Module):
    """Codes of a candidate's classes, (R, 2 K), whatever their number and order, and the linear path, (R, 1)."""

    def __init__(self, class_features: int, width: int) -> None:
        super().__init__()
        self.phi = _two_layers(class_features, width, width)
        self.attention = nn.Linear(width, 1)
        self.worth = nn.Linear(width, 1)

    def forward(self, classes_RCT: Tensor) -> tuple[Tensor, Tensor]:
        codes_RCK = self.phi(classes_RCT)
        attended_RK = (self.attention(codes_RCK).softmax(1) * codes_RCK).sum(1)
        # A class's first feature is how much of it the candidate holds.
        linear_R1 = (classes_RCT[..., :1] * self.worth(codes_RCK)).sum(1)
        return torch.cat([attended_RK, codes_RCK.mean(1)], 1), linear_R1


class _AttentionEncoder(nn.Module):
    """State rows pooled by multi-head attention from learned seeds (Lee et al. 2019, equation 11), to (B, K).

    A seed is the same for every state, so that the projection of keys is part of it, and that of values part of the layer
    that follows: each head of each seed is one learned vector that is compared with the rows themselves.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(STATE_FEATURES, width), nn.ReLU(), nn.LayerNorm(width))
        self.seeds = nn.Linear(width, SEEDS * HEADS, bias=False)
        self.code = nn.Sequential(nn.Linear(SEEDS * HEADS * width, width), nn.ReLU())

    def forward(self, state_BSF: Tensor) -> Tensor:
        rows_BSK = self.rows(state_BSF)
        attention_BHS = self.seeds(rows_BSK).transpose(1, 2).softmax(2)
        code_BK: Tensor = self.code((attention_BHS @ rows_BSK).flatten(1))
        return code_BK


class _MeanEncoder(nn.Module):
    """The mean over regions beside the mean over classes, so that the many do not drown the few, to (B, K)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(STATE_FEATURES, width), nn.ReLU())
        self.code = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())

    def forward(self, state_BSF: Tensor) -> Tensor:
        kinds_B2S = torch.stack([state_BSF[..., 0], 1 - state_BSF[..., 0]], 1)
        means_B2K = kinds_B2S / kinds_B2S.sum(2, keepdim=True).clamp(min=1) @ self.rows(state_BSF)
        code_BK: Tensor = self.code(means_B2K.flatten(1))
        return code_BK


_ENCODERS: dict[str, type[_AttentionEncoder] | type[_MeanEncoder]] = {
    "attention": _AttentionEncoder,
    "mean": _MeanEncoder,
}


def _two_layers(width_in: int, width: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, width), nn.ReLU(), nn.Linear(width, width_out))


def _mean_of_pool(values_BN: Tensor, mask_BN: Tensor | None) -> Tensor:
    """The mean over each pool's candidates, padding left out, (B, 1)."""
    if mask_BN is None:
        return values_BN.mean(1, keepdim=True)
    kept_BN = values_BN.masked_fill(~mask_BN, 0.0)
    return kept_BN.sum(1, keepdim=True) / mask_BN.sum(1, keepdim=True).clamp(min=1)
