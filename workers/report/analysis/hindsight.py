"""The best fixed score in hindsight: at each budget the baseline with the highest mean there, and learned entries against it."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from workers.report.analysis.comparisons import Difference, opponents, paired_difference
from workers.report.analysis.curves import Curves, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best of some baselines at a budget, and its mean mIoU over its finished seeds."""

    budget: int
    baseline: Entry
    miou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A learned entry at a budget minus the best baseline there, by the seeds that both have; None where they share none."""

    best: Best
    difference: Difference | None


def best_in_hindsight(curves: Curves, entries: Iterable[Entry]) -> list[Best]:
    """The best of the baselines among these entries at each compared budget; none where no baseline has a finished seed.

    It is chosen after all was measured, so that no single baseline is above it at any budget, but for those of few seeds; of
    equals the first counts.
    """
    baselines = curves.with_most_seeds(entry for entry in entries if entry.kind == "baseline")
    found = []
    for budget in curves.budgets if baselines else ():
        means = {entry: statistics.fmean(curves.mious(entry, budget).values()) for entry in baselines}
        best = max(means, key=means.__getitem__)
        found.append(Best(budget=budget, baseline=best, miou=means[best]))
    return found


def chosen_in_hindsight(curves: Curves, protocol: str) -> list[Best]:
    """The best baseline of a protocol at each compared budget; nothing where there are not two to choose from."""
    known = curves.with_most_seeds(entry for entry in curves.of(protocol) if entry.kind == "baseline")
    return best_in_hindsight(curves, known) if len(known) > 1 else []


def against_hindsight(curves: Curves, learned: Entry) -> list[Against]:
    """A learned entry against the best of its opponents among the baselines, at each compared budget."""
    rivals = opponents(learned, [entry for entry in curves.plays if curves.finished(entry)])
    found = []
    for best in best_in_hindsight(curves, rivals):
        ours, theirs = (curves.mious(entry, best.budget) for entry in (learned, best.baseline))
        found.append(Against(best=best, difference=paired_difference(ours, theirs)))
    return found
