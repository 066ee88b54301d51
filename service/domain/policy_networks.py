"""The architectures of policies as far as they can be told without torch: what they are bound to, and their weights.

They stand in the domain because the API cannot look into models/; a contract test holds them against the networks there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from service.domain.weights import WeightsError

Shapes = dict[str, tuple[int, ...]]

COUNTER = "num_batches_tracked"
"""What a batch normalisation calls the one of its weights that is a whole number."""

SETTINGS = ("deep", "width", "dueling", "state_encoder", "classes")
VIEW = ("class_relative", "uncertainty", "state")

_UNCERTAINTY, _SIMILARITY, _ACQUISITION = 192, 64, 14
# Features of a class by relation, of one by identity, of a region, of a state row.
_CLASS, _IDENTITY, _REGION, _STATE = 11, 2, 11, 14
_QUERIES = 8  # seeds times heads
_BLENDED = 9  # scores, and the distance


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperArchitecture:
    """The paper's query network, models/query_network.py: bound to its classes and to the regions of D_S."""

    classes: int
    state_regions: int
    needs_state: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_count("classes", self.classes, 2)
        _check_count("state_regions", self.state_regions, 1)

    @property
    def bound_to_regions(self) -> int:
        """How many regions D_S must have."""
        return self.state_regions

    def shapes(self) -> Shapes:
        """Its weights by name."""
        features = self.classes + _UNCERTAINTY
        return {
            **_pre_activated("state_rows", features, (256, 128, 1)),
            **_linear("state_code", self.state_regions, 128),
            **_pre_activated("action_rows", features, (512, 256, 128)),
            **_linear("head", 128 + 128, 1),
            **_linear("gate", _SIMILARITY, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionwiseArchitecture:
    """The regionwise network, models/regionwise_network.py: bound to classes only where it was told how many there are."""

    deep: bool = True
    width: int = 32
    dueling: bool = True
    state_encoder: str = "attention"
    classes: int | None = None
    class_relative: bool = True
    needs_state: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_count("width", self.width, 2)
        for name in ("deep", "dueling", "class_relative"):
            _check(type(getattr(self, name)) is bool, f"{name} is true or false")
        if self.classes is not None:
            _check_count("classes", self.classes, 2)
        _check(self.state_encoder in ("attention", "mean"), "state_encoder is attention or mean")
        _check(self.class_relative or self.classes is not None, "without class_relative, classes is given")

    @property
    def bound_to_regions(self) -> None:
        """D_S may have any number of regions."""
        return None

    def shapes(self) -> Shapes:
        """Its weights by name."""
        width = self.width
        return {
            "scores.weight": (1, _ACQUISITION),
            **self._state_encoder(),
            **(self._codes() if self.deep else {}),
            **(_two_layers("value", 0, width, width) if self.dueling else {}),
        }

    def _state_encoder(self) -> Shapes:
        width = self.width
        rows = _linear("state_encoder.rows.0", _STATE, width)
        if self.state_encoder == "mean":
            return rows | _linear("state_encoder.code.0", 2 * width, width)
        return {
            **rows,
            **_norm("state_encoder.rows.2", width),
            "state_encoder.seeds.weight": (_QUERIES, width),
            **_linear("state_encoder.code.0", _QUERIES * width, width),
        }

    def _codes(self) -> Shapes:
        width = self.width
        features = _CLASS if self.class_relative else _IDENTITY + (self.classes or 0)
        codes = 4 * width
        return {
            **_linear("codes.class_branch.phi.0", features, width),
            **_linear("codes.class_branch.phi.2", width, width),
            **_linear("codes.class_branch.attention", width, 1),
            **_linear("codes.class_branch.worth", width, 1),
            **_linear("codes.region_branch.0", _REGION, width),
            **_norm("codes.head.0", codes),
            **_two_layers("codes.head", 1, codes, width),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendArchitecture:
    """The blend, models/blend.py: bound to nothing."""

    known: bool = False
    classes: None = None
    bound_to_regions: None = None
    needs_state: ClassVar[bool] = False

    def shapes(self) -> Shapes:
        """Its weights by name."""
        return {"ends": (2, _BLENDED), **({"known": (_BLENDED,)} if self.known else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsArchitecture:
    """The network of regions chosen in turn, models/turns_network.py: bound to nothing."""

    width: int = 32
    classes: None = None
    bound_to_regions: None = None
    needs_state: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_count("width", self.width, 2)

    def shapes(self) -> Shapes:
        """Its weights by name."""
        of_the_sum = {f"sum.{name}": shape for name, shape in BlendArchitecture(known=True).shapes().items()}
        return {
            **of_the_sum,
            **_two_layers("hidden", 0, _BLENDED + 2, self.width),
            **_two_layers("value", 0, 2, self.width),
            "log_scale": (),
        }


Architecture = PaperArchitecture | RegionwiseArchitecture | BlendArchitecture | TurnsArchitecture


def architecture_of(description: Mapping[str, Any]) -> Architecture:
    """The architecture that a policy's description speaks of. Raises WeightsError `unknown_architecture`."""
    try:
        return _architecture(description.get("architecture"))
    except ValueError as error:
        sentence = f"The architecture of the policy is not one that is known here, where {error}."
        advice = "Take a policy that this version of regionwise has saved."
        raise WeightsError("unknown_architecture", f"{sentence} {advice}") from error


def _architecture(described: Any) -> Architecture:
    _check(isinstance(described, Mapping), "it is an object")
    sizes = dict(described)
    network = sizes.pop("network", "paper")
    _check(network in ("paper", "regionwise", "blend", "turns"), "network is paper, regionwise, blend or turns")
    if network in ("turns", "blend"):
        # It is no weight's shape.
        _check(type(sizes.pop("covers", False)) is bool, "covers is true or false")
    if network == "turns":
        _check(sizes.keys() <= {"width"}, "turns has just width and covers")
        return TurnsArchitecture(**sizes)
    if network == "blend":
        _check(sizes.keys() <= {"known"}, "blend has just known and covers")
        _check(type(sizes.get("known", False)) is bool, "known is true or false")
        return BlendArchitecture(**sizes)
    if network == "paper":
        _check(sizes.keys() == {"classes", "state_regions"}, "paper has just classes and state_regions")
        return PaperArchitecture(**sizes)
    view = sizes.pop("view", {})
    _check(isinstance(view, Mapping) and view.keys() <= set(VIEW), f"view has only {', '.join(VIEW)}")
    _check(all(type(value) is bool for value in view.values()), "what view has is true or false")
    _check(sizes.keys() <= set(SETTINGS), f"regionwise has only {', '.join(SETTINGS)} and view")
    return RegionwiseArchitecture(**sizes, class_relative=view.get("class_relative", True))


def _check_count(name: str, value: Any, least: int) -> None:
    _check(type(value) is int and value >= least, f"{name} is a whole number, {least} at least")


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def _linear(name: str, width_in: int, width_out: int) -> Shapes:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}


def _two_layers(name: str, first: int, width_in: int, width: int) -> Shapes:
    return _linear(f"{name}.{first}", width_in, width) | _linear(f"{name}.{first + 2}", width, 1)


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _pre_activated(name: str, width_in: int, widths: Sequence[int]) -> Shapes:
    """BatchNorm, ReLU, Linear for each width."""
    shapes: Shapes = {}
    for place, width_out in enumerate(widths):
        norm = f"{name}.{3 * place}"
        shapes |= _norm(norm, width_in) | _linear(f"{name}.{3 * place + 2}", width_in, width_out)
        shapes |= {f"{norm}.running_mean": (width_in,), f"{norm}.running_var": (width_in,), f"{norm}.{COUNTER}": ()}
        width_in = width_out
    return shapes
