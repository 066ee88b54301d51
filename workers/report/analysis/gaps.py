"""What a report lacks: methods not played, seeds not finished, figures not recorded."""

from collections import defaultdict
from collections.abc import Iterator

from service.domain.methods import BASELINES, REFERENCES
from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.curves import BLEND, PAPER, SHIPPED, control_of
from workers.report.data.records import UNITS

EXPECTED = {
    "Baselines": BASELINES,
    "Learned methods and controls": (SHIPPED, control_of(BLEND), BLEND, PAPER),
    "References": REFERENCES,
}


def gaps_of(analysis: Analysis) -> list[str]:
    """A sentence for each thing that a complete run would hold and this one does not."""
    return [*_methods(analysis), *_seeds(analysis), *_headroom(analysis), *_costs(analysis), *_extras(analysis)]


def _methods(analysis: Analysis) -> Iterator[str]:
    played = {entry.method for entry in analysis.curves.plays}
    for kind, methods in EXPECTED.items():
        if missing := [method for method in methods if method not in played]:
            yield f"{kind} not played: {', '.join(missing)}."


def _seeds(analysis: Analysis) -> Iterator[str]:
    curves = analysis.curves
    seeds = {seed for plays in curves.plays.values() for seed in plays}
    everything = {budget for plays in curves.plays.values() for play in plays.values() for budget in play.budgets}
    for entry, plays in curves.plays.items():
        if lacking := sorted(seeds - plays.keys()):
            yield f"{entry.method} ({entry.protocol}): no seed {', '.join(map(str, lacking))}."
        short: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for seed, play in plays.items():
            if len(play.budgets) < len(everything):
                short[len(play.budgets), seed in curves.finished(entry)].append(seed)
        for (count, used), some in short.items():
            seeds_of = f"seed{'s' if len(some) > 1 else ''} {', '.join(map(str, sorted(some)))}"
            left_out = "" if used else "; left out of areas and tests"
            yield f"{entry.method} ({entry.protocol}), {seeds_of}: {count} of {len(everything)} budgets measured{left_out}."
    for ablation in analysis.ablations:
        if ablation.unfinished:
            yield f"Ablation {ablation.name}: {ablation.unfinished} trajectories with fewer than two budgets, left out."


def _headroom(analysis: Analysis) -> Iterator[str]:
    headroom = analysis.study.headroom
    if headroom is None:
        yield (
            "No headroom.json, which `headroom` writes: theta_0, full supervision and the labels needed to come near it are not "
            "known."
        )
        return
    if headroom.theta_0 is None:
        yield "theta_0 was not measured; curves begin at the first budget, so labels needed may be upper bounds."
    if headroom.full is None:
        yield "Full supervision was not measured; what is needed to come near it is not known."
    if headroom.std is None:
        yield "The seed-to-seed std was not measured; whether the data set is informative is not known."
    unknown = [unit for unit in UNITS if headroom.extra(unit) is None]
    if unknown:
        yield f"The labels of D_T, D_R and D_S were not recorded in {', '.join(unknown)}."


def _costs(analysis: Analysis) -> Iterator[str]:
    measured = [m for plays in analysis.curves.plays.values() for p in plays.values() for m in p.budgets.values()]
    for unit in UNITS:
        lacking = sum(each.cost.within(unit) is None for each in measured)
        if lacking:
            yield f"{unit.capitalize()} were not recorded in {lacking} of {len(measured)} measurements."
    lacking = sum(each.class_entropy is None for each in measured)
    if lacking:
        yield f"Class entropy was not recorded in {lacking} of {len(measured)} measurements."


def _extras(analysis: Analysis) -> Iterator[str]:
    if not analysis.ablations:
        yield "No ablation was played."
    if not analysis.study.trainings:
        yield "No training of a policy was recorded."
