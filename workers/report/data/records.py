"""What a run recorded, as values that do not change: trajectories, headroom, surrogate games and policy training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Shapes: C classes, S seeds. mIoU and IoU are in [0, 1]; None stands for what a run did not record.

Unit = Literal["regions", "pixels", "clicks"]
UNITS: tuple[Unit, ...] = ("regions", "pixels", "clicks")
LABELLED_SPLITS = ("train", "reward", "state")
MAIN = "main"

Ious = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What labels cost, in each unit that was recorded."""

    regions: float | None = None
    pixels: float | None = None
    clicks: float | None = None

    def within(self, unit: Unit) -> float | None:
        """The cost in one unit."""
        return {"regions": self.regions, "pixels": self.pixels, "clicks": self.clicks}[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured at one budget, after training to convergence: test mIoU, and the cost that was really reached."""

    cost: Cost
    miou: float
    iou_C: Ious
    class_entropy: float | None
    epochs: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A method and a seed, measured at each budget it has reached so far."""

    dataset: str
    preset: str
    method: str
    protocol: str
    seed: int
    group: str
    settings: Mapping[str, object]
    budgets: Mapping[int, Measured]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What methods can differ in: theta_0 below, full supervision above, and the seed-to-seed std of both."""

    classes: tuple[str, ...]
    theta_0_S: tuple[float, ...]
    theta_0_iou_C: Ious
    full_S: tuple[float, ...]
    full_iou_C: Ious
    full_cost: Cost
    labels: Mapping[str, Cost]
    std: float | None
    settings: Mapping[str, object] = field(default_factory=dict, compare=False)  # an earlier version recorded fewer

    @property
    def theta_0(self) -> float | None:
        """Mean mIoU before any label of the pool."""
        return sum(self.theta_0_S) / len(self.theta_0_S) if self.theta_0_S else None

    @property
    def full(self) -> float | None:
        """Mean mIoU under full supervision."""
        return sum(self.full_S) / len(self.full_S) if self.full_S else None

    @property
    def informative(self) -> bool | None:
        """Whether full supervision lies above theta_0, by 5 std or more; None where a figure is missing."""
        if self.theta_0 is None or self.full is None or self.std is None:
            return None
        return self.full > self.theta_0 and self.full - self.theta_0 >= 5 * self.std

    def extra(self, unit: Unit) -> float | None:
        """The labels of D_T, D_R and D_S together; None unless all three were recorded."""
        costs = [self.labels[split].within(unit) if split in self.labels else None for split in LABELLED_SPLITS]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogatePoint:
    """A strategy or policy on the surrogate game and in the real one."""

    name: str
    kind: str
    surrogate: float
    real: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """How well a fast game, which an earlier version had, ranks strategies as the real one does."""

    game: str
    points: tuple[SurrogatePoint, ...]
    rank_correlation: float | None
    episodes_per_hour: float | None


# What is recorded of each episode that trains a policy, by the game: where f is trained as a whole, on a frozen encoder, and in
# a game that an earlier version had.
TRAINING_MEASURES = {"real": "Return", "frozen": "Mean mIoU", "surrogate": "Mean mIoU"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the episodes went that a policy was trained on, in points of mIoU.

    returns: of each episode its gain, where f is trained as a whole, or the mean mIoU over its rounds.
    """

    name: str
    returns: tuple[float, ...]
    best_episode: int | None
    game: str = "real"
    group: str = MAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All that run folders hold of one data set at one preset."""

    dataset: str
    preset: str
    trajectories: tuple[Trajectory, ...] = ()
    headroom: Headroom | None = None
    surrogates: tuple[Surrogate, ...] = ()
    trainings: tuple[Training, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none where no record says them."""
        recorded = (each.classes for each in (self.headroom, *self.trajectories) if each is not None)
        return next((names for names in recorded if names), ())

    @property
    def name(self) -> str:
        """The data set and its preset, for titles."""
        return f"{self.dataset} ({self.preset})"
