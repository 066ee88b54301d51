"""What it costs to reach a share of full supervision: regions, pixels and clicks, interpolated between budgets."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.metrics import cost_to_reach
from workers.report.analysis.statistics import with_most_seeds
from workers.report.data.records import Headroom, Trajectory, Unit

SHARES = (0.95, 0.96)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a method needs to reach a target: infinity where its last budget does not get there.

    `mean` is read off the mean curve; `median`, `low` and `high` are over seeds, `reached` of which get there at all;
    `last` is the largest cost that was measured.
    """

    mean: float
    median: float
    low: float
    high: float
    reached: int
    seeds: int
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """The share of a baseline's cost that is saved; at least that where the baseline never got there."""

    share: float
    at_least: bool

    @property
    def wording(self) -> str:
        """The share in words: "30% fewer", or "58% more" where nothing is saved."""
        return f"{abs(self.share):.0%} {'fewer' if self.share >= 0 else 'more'}"


def reach(
    plays: Mapping[int, Trajectory], budgets: Sequence[int], headroom: Headroom, share: float, unit: Unit
) -> Reach | None:
    """What a method needs for a share of full supervision; None where full supervision or the unit was not recorded.

    `plays` holds the trajectory of each seed, all of which have measured all `budgets`. Curves begin at theta_0, which costs
    no label of the pool, where it was measured.
    """
    costs_by_seed = {seed: _costs(play, budgets, unit) for seed, play in plays.items()}
    known = {seed: costs for seed, costs in costs_by_seed.items() if costs is not None}
    if headroom.full is None or not plays or len(known) < len(plays):
        return None
    target = share * headroom.full
    mious = {seed: [play.budgets[budget].miou for budget in budgets] for seed, play in plays.items()}
    start = ([], []) if headroom.theta_0 is None else ([0.0], [headroom.theta_0])

    def found(costs: Sequence[float], values: Sequence[float]) -> float:
        return cost_to_reach([*start[0], *costs], [*start[1], *values], target)

    each = [found(known[seed], mious[seed]) for seed in plays]
    mean_costs = [statistics.fmean(column) for column in zip(*known.values(), strict=True)]
    mean_mious = [statistics.fmean(column) for column in zip(*mious.values(), strict=True)]
    return Reach(
        mean=found(mean_costs, mean_mious),
        median=statistics.median(each),
        low=min(each),
        high=max(each),
        reached=sum(math.isfinite(cost) for cost in each),
        seeds=len(each),
        last=mean_costs[-1],
    )


def best_reach(reaches: Sequence[Reach]) -> Reach | None:
    """The cheapest on the mean curve of those with most seeds; where none gets there, the one that was measured furthest."""
    enough = with_most_seeds((each, each.seeds) for each in reaches)
    return min(enough, key=lambda each: (each.mean, -each.last), default=None)


def saving(learned: Reach, baseline: Reach, extra: float = 0.0) -> Saving | None:
    """What the first saves against the second, `extra` labels counted for both; None where the first did not get there, or both
    are there at theta_0, which costs nothing.
    """
    if not math.isfinite(learned.mean):
        return None
    reached = math.isfinite(baseline.mean)
    whole = (baseline.mean if reached else baseline.last) + extra
    return Saving(share=1 - (learned.mean + extra) / whole, at_least=not reached) if whole > 0 else None


def _costs(play: Trajectory, budgets: Sequence[int], unit: Unit) -> list[float] | None:
    costs = [play.budgets[budget].cost.within(unit) for budget in budgets]
    known = [cost for cost in costs if cost is not None]
    return known if len(known) == len(costs) else None
