"""Compares methods by the seeds that both have: paired differences in area, penalties, ablations against their base."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.domain.methods import Method
from service.domain.statistics import bootstrap_interval
from workers.report.analysis.curves import REGIONWISE, Areas, Curves, Entry, Plays, area_between, curves_of, points
from workers.report.analysis.statistics import Values, holm, penalty_matrix, sign_flip_p
from workers.report.data.records import MAIN, Study, Trajectory, Unit

BOOTSTRAP_SEED = 20_200_430
_ABLATION = "ablation:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean of paired differences over seeds, with a 95% interval and p where there are two seeds or more.

    `corrected` is p corrected over the family, for the members of one.
    """

    seeds: tuple[int, ...]
    mean: float
    low: float | None
    high: float | None
    p: float | None
    corrected: float | None = None

    @property
    def ahead(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low is not None and self.low > 0

    @property
    def behind(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high is not None and self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant of an ablation: its area over the range of the group, and the difference to its base."""

    label: str
    base: str
    areas: Mapping[int, float]
    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A group of variants, compared over the range of costs that all of them and their bases span; None where none is."""

    name: str
    unit: Unit
    span: tuple[float, float] | None
    variants: tuple[Variant, ...]
    unfinished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A study with everything that sections, figures and claims need computed once.

    Areas and differences are over labels; those that begin with `log_` over the logarithm of labels.
    """

    study: Study
    curves: Curves
    areas: Areas
    log_areas: Areas
    differences: Mapping[Entry, Mapping[Entry, Difference]]
    log_differences: Mapping[Entry, Mapping[Entry, Difference]]
    ablations: tuple[Ablation, ...]

    def best_areas(self, protocol: str) -> dict[Entry, float]:
        """The mean areas of a protocol's entries with most seeds: one of them is the best."""
        enough = self.curves.with_most_seeds(self.curves.of(protocol))
        return {entry: area for entry, area in self.mean_areas.items() if entry in enough}

    @property
    def mean_areas(self) -> dict[Entry, float]:
        """The mean area of every entry that has one."""
        return {entry: float(np.mean(list(by_seed.values()))) for entry, by_seed in self.areas.items()}


def analyse(study: Study) -> Analysis:
    """Curves, areas, differences of every learned entry, and ablations of a study."""
    curves = curves_of(study)
    areas, log_areas = curves.areas(), curves.areas(doublings=True)
    return Analysis(
        study=study,
        curves=curves,
        areas=areas,
        log_areas=log_areas,
        differences=_of_learned(areas),
        log_differences=_of_learned(log_areas),
        ablations=ablations(study),
    )


def _of_learned(areas: Areas) -> dict[Entry, dict[Entry, Difference]]:
    return {entry: differences(entry, areas) for entry in areas if entry.kind == "learned"}


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """First minus second over the seeds both have; None where they share none.

    The generator begins anew for each pair, so that no interval depends on what else is in the report.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    values = [first[seed] - second[seed] for seed in seeds]
    if not seeds:
        return None
    mean = float(np.mean(values))
    if len(seeds) < 2:
        return Difference(seeds=seeds, mean=mean, low=None, high=None, p=None)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    low, high = bootstrap_interval(values, generator)
    return Difference(seeds=seeds, mean=mean, low=low, high=high, p=sign_flip_p(values, generator))


def opponents(learned: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Whom of these a learned entry is held against.

    A protocol that the learned method has also played is left to that entry; one it has not played is compared across protocols,
    so that no baseline escapes.
    """
    known = list(entries)
    own = {entry.protocol for entry in known if entry.method == learned.method}
    return [
        other
        for other in known
        if other.method != learned.method and (other.protocol == learned.protocol or other.protocol not in own)
    ]


def differences(learned: Entry, areas: Areas) -> dict[Entry, Difference]:
    """One learned entry against every opponent, p corrected over all baselines."""
    compared = {other: paired_difference(areas[learned], areas[other]) for other in opponents(learned, areas)}
    found = {other: difference for other, difference in compared.items() if difference is not None}
    family = {e: d.p for e, d in found.items() if e.kind == "baseline" and d.p is not None}
    for entry, corrected in zip(family, holm(list(family.values())), strict=True):
        found[entry] = replace(found[entry], corrected=corrected)
    return found


def penalties(curves: Curves, protocol: str) -> tuple[list[Entry], Values]:
    """Entries of a protocol with a finished seed, and how often each (rows) beats each other (columns)."""
    entries = [entry for entry in curves.of(protocol) if curves.finished(entry)]
    by_budget = [{budget: curves.mious(entry, budget) for budget in curves.budgets} for entry in entries]
    return entries, penalty_matrix(by_budget, curves.budgets)


def ablations(study: Study) -> tuple[Ablation, ...]:
    """Every group but the main one, in order of name."""
    names = sorted({each.group for each in study.trajectories} - {MAIN})
    main = [each for each in study.trajectories if each.group == MAIN]
    return tuple(_ablation(name, [t for t in study.trajectories if t.group == name], main) for name in names)


def _ablation(name: str, members: Sequence[Trajectory], main: Sequence[Trajectory]) -> Ablation:
    finished = [each for each in members if len(each.budgets) > 1]
    bases = {_key(each): _base(each, main) for each in finished}
    compared = [*finished, *(play for plays in bases.values() for play in plays.values())]
    # Regions of different sizes are different amounts of labels; pixels are the same.
    sizes = {(play.settings.get("cell_height"), play.settings.get("cell_width")) for play in compared}
    unit: Unit = "pixels" if len(sizes) > 1 else "regions"
    span = _span(compared, unit)
    groups: dict[str, dict[int, Trajectory]] = defaultdict(dict)
    for each in finished:
        groups[_key(each)][each.seed] = each
    variants = [_variant(plays, bases[key], unit, span) for key, plays in groups.items()] if span else []
    return Ablation(
        name=name.removeprefix(_ABLATION),
        unit=unit,
        span=span,
        variants=tuple(sorted(variants, key=lambda variant: variant.label)),
        unfinished=len(members) - len(finished),
    )


def _variant(plays: Plays, base: Plays, unit: Unit, span: tuple[float, float]) -> Variant:
    areas = {seed: area_between(points(play, play.budgets, unit), *span) for seed, play in sorted(plays.items())}
    base_areas = {seed: area_between(points(play, play.budgets, unit), *span) for seed, play in base.items()}
    one, reference = next(iter(plays.values())), next(iter(base.values()), None)
    return Variant(
        label=_label(one, reference),
        base=reference.method if reference else "",
        areas=areas,
        difference=paired_difference(areas, base_areas),
    )


def _span(plays: Sequence[Trajectory], unit: Unit) -> tuple[float, float] | None:
    """The range of costs that every curve covers; None where there is none, or where one did not record the unit."""
    measured = [[m.cost.within(unit) for m in play.budgets.values()] for play in plays]
    if not measured or any(cost is None for costs in measured for cost in costs):
        return None
    known = [[cost for cost in costs if cost is not None] for costs in measured]
    low, high = max(min(costs) for costs in known), min(max(costs) for costs in known)
    return (low, high) if low < high else None


def _base(variant: Trajectory, main: Sequence[Trajectory]) -> dict[int, Trajectory]:
    """The main trajectories of the same method and protocol, else of the policy that the group is named for, else of ours."""
    for method in (variant.method, str(Method.learned(variant.group.removeprefix(_ABLATION))), REGIONWISE):
        found = {t.seed: t for t in main if (t.method, t.protocol) == (method, variant.protocol) and len(t.budgets) > 1}
        if found:
            return found
    return {}


def _key(play: Trajectory) -> str:
    return json.dumps([play.method, play.protocol, dict(play.settings)], sort_keys=True)


def _label(variant: Trajectory, base: Trajectory | None) -> str:
    """What tells the variant from its base: its method where that is another, and the settings that differ."""
    settings = base.settings if base else variant.settings
    changed = [f"{k} {v}" for k, v in sorted(variant.settings.items()) if settings.get(k) != v]
    shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    if base is None or variant.method != base.method:
        return variant.method if not shown else f"{variant.method} ({shown})"
    return shown or f"{variant.method} again"
