"""Curves of mIoU over budgets: which methods there are, which budgets they share, and the areas under them."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.domain.methods import BASELINES, SHIPPED_POLICY, Method
from service.domain.metrics import area_under_curve
from workers.report.analysis.statistics import with_most_seeds
from workers.report.data.records import MAIN, Study, Trajectory, Unit

PER_POOL = "per-pool"
BLEND, SHIPPED = str(Method.learned("blend")), str(Method.learned(SHIPPED_POLICY))
REGIONWISE, PAPER = str(Method.learned("regionwise")), str(Method.learned("paper"))
OWN = (BLEND, SHIPPED, REGIONWISE)
"""The project's own policies, in the order of tables."""

Kind = Literal["learned", "baseline", "control", "reference"]
KINDS: tuple[Kind, ...] = ("learned", "baseline", "control", "reference")
Plays = Mapping[int, Trajectory]
Areas = Mapping["Entry", Mapping[int, float]]
"""Area of each entry and seed."""


def control_of(method: str) -> str:
    """The untrained control of a learned method; `shipped` is a blend, and begins where `blend` does."""
    return str(Method.untrained(Method.parse(BLEND if method == SHIPPED else method).policy))


def kind_of(method: str) -> Kind:
    """What a method is; a name that is not known counts as a reference, so that it joins no family of tests."""
    each = Method.parse(method)
    if each.is_learned:
        return "learned"
    if each.is_untrained:
        return "control"
    return "baseline" if each.is_baseline else "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A method under a protocol: one line of a figure."""

    method: str
    protocol: str

    @property
    def kind(self) -> Kind:
        """What the method is."""
        return kind_of(self.method)

    @property
    def rank(self) -> tuple[int, int, str, bool, str]:
        """Where it stands in tables: learned, baselines in their own order, controls, references."""
        known = (*OWN, PAPER, *BASELINES)
        place = known.index(self.method) if self.method in known else len(known)
        return KINDS.index(self.kind), place, self.method, self.protocol != PER_POOL, self.protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The main group of a study: the trajectories of each entry, and the budgets at which entries are compared."""

    plays: Mapping[Entry, Plays]
    budgets: tuple[int, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        """Protocols played, per-pool first."""
        return tuple(sorted({entry.protocol for entry in self.plays}, key=lambda name: (name != PER_POOL, name)))

    def of(self, protocol: str) -> list[Entry]:
        """Entries of one protocol, in the order of tables."""
        return [entry for entry in self.plays if entry.protocol == protocol]

    def finished(self, entry: Entry) -> Plays:
        """The seeds that have measured every compared budget."""
        plays = self.plays.get(entry, {})
        return {seed: play for seed, play in plays.items() if self.budgets and set(self.budgets) <= set(play.budgets)}

    def with_most_seeds(self, entries: Iterable[Entry]) -> list[Entry]:
        """As the function, of those with a finished seed."""
        finished = [(entry, len(self.finished(entry))) for entry in entries]
        return with_most_seeds((entry, seeds) for entry, seeds in finished if seeds)

    def mious(self, entry: Entry, budget: int) -> dict[int, float]:
        """mIoU of each finished seed at a compared budget."""
        return {seed: play.budgets[budget].miou for seed, play in self.finished(entry).items()}

    def areas(self, *, doublings: bool = False) -> dict[Entry, dict[int, float]]:
        """Area under the curve of every entry and finished seed, as `area` has it; without those that have no area."""
        found = {
            entry: {seed: area(play, self.budgets, doublings=doublings) for seed, play in self.finished(entry).items()}
            for entry in self.plays
        }
        known = {entry: {s: a for s, a in by_seed.items() if a is not None} for entry, by_seed in found.items()}
        return {entry: by_seed for entry, by_seed in known.items() if by_seed}


def curves_of(study: Study) -> Curves:
    """The main group by entry and seed, with the budgets that at least half of its trajectories have reached.

    Those that have not reached them all stay out of areas and tests until they do, instead of cutting all curves short.
    """
    plays: dict[Entry, dict[int, Trajectory]] = defaultdict(dict)
    for each in study.trajectories:
        if each.group == MAIN:
            plays[Entry(method=each.method, protocol=each.protocol)][each.seed] = each
    ordered = {entry: dict(sorted(plays[entry].items())) for entry in sorted(plays, key=lambda entry: entry.rank)}
    return Curves(plays=ordered, budgets=reached_by_half([p for by_seed in plays.values() for p in by_seed.values()]))


def reached_by_half(trajectories: Sequence[Trajectory]) -> tuple[int, ...]:
    """Budgets, rising, that at least half of the trajectories that measured anything have measured."""
    started = [play for play in trajectories if play.budgets]
    budgets = sorted({budget for play in started for budget in play.budgets})
    return tuple(b for b in budgets if 2 * sum(b in play.budgets for play in started) >= len(started))


def points(play: Trajectory, budgets: Iterable[int], unit: Unit = "regions") -> list[tuple[float, float]]:
    """(true cost, mIoU) at budgets; where the pool ran out, so that two budgets cost the same, the last stands.

    Raises ValueError where the unit was not recorded.
    """
    found: dict[float, float] = {}
    for budget in budgets:
        measured = play.budgets[budget]
        cost = measured.cost.within(unit)
        if cost is None:
            raise ValueError(f"{play.method}, seed {play.seed}, did not record {unit} at {budget} regions.")
        found[cost] = measured.miou
    return sorted(found.items())


def area(play: Trajectory, budgets: Iterable[int], *, doublings: bool = False) -> float | None:
    """Area under mIoU over the regions that were really labelled, as a mean mIoU; None for fewer than two points.

    With `doublings` over their logarithm, so that every doubling counts the same; no regions have none, and are left out.
    """
    found = points(play, budgets)
    if doublings:
        found = [(math.log2(cost), miou) for cost, miou in found if cost > 0]
    return area_under_curve(*zip(*found, strict=True)) if len(found) > 1 else None


def area_between(curve: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """Area under a curve from `low` to `high`, interpolated at the ends, as a mean mIoU.

    Raises ValueError where the curve does not span the range.
    """
    costs, mious = zip(*curve, strict=True)
    if not costs[0] <= low < high <= costs[-1]:
        raise ValueError(f"The curve spans {costs[0]} to {costs[-1]}, not {low} to {high}.")
    inner = [cost for cost in costs if low < cost < high]
    x = [low, *inner, high]
    return area_under_curve(x, np.interp(x, costs, mious))
