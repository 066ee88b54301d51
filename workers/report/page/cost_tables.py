"""Tables of what it costs to reach a share of full supervision, and of what learned policies save."""

import math
from collections.abc import Mapping

from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.costs import SHARES, Reach, best_reach, reach, saving
from workers.report.analysis.curves import Entry
from workers.report.data.records import UNITS, Unit
from workers.report.page.content import Cell, Table
from workers.report.page.tables import NONE, amount, title_of

WITH_LABELS = "with D_T, D_R, D_S"
COLUMNS = (*UNITS, *(f"{unit} {WITH_LABELS}" for unit in UNITS))


def reaches(analysis: Analysis, share: float, unit: Unit) -> dict[Entry, Reach]:
    """What every entry with a finished seed needs; without those whose cost in this unit was not recorded."""
    headroom, curves = analysis.study.headroom, analysis.curves
    if headroom is None:
        return {}
    found = {entry: reach(curves.finished(entry), curves.budgets, headroom, share, unit) for entry in curves.plays}
    return {entry: each for entry, each in found.items() if each is not None}


def best_baseline(found: Mapping[Entry, Reach]) -> tuple[Entry, Reach] | None:
    """The baseline that needs least."""
    baselines = {entry: each for entry, each in found.items() if entry.kind == "baseline"}
    best = best_reach(list(baselines.values()))
    return next(((entry, each) for entry, each in baselines.items() if each is best), None)


def cost_table(analysis: Analysis, share: float) -> Table | None:
    """Regions, pixels and clicks of each entry for one share of full supervision."""
    headroom = analysis.study.headroom
    by_unit = {unit: reaches(analysis, share, unit) for unit in UNITS}
    if headroom is None or headroom.full is None or not by_unit["regions"]:
        return None
    rows = []
    for entry in by_unit["regions"]:
        found = [(unit, by_unit[unit].get(entry)) for unit in UNITS]
        bare = [_reach_cell(each, unit) for unit, each in found]
        whole = [_whole_cell(each, unit, headroom.extra(unit)) for unit, each in found]
        rows.append((Cell(text=title_of(entry, analysis)), *bare, *whole))
    full = [amount(headroom.full_cost.within(unit), unit) for unit in UNITS]
    rows.append(tuple(Cell(text=t, mark="muted") for t in ("full supervision", *full, *[NONE] * len(UNITS))))
    caption = (
        f"Labels needed for {share:.0%} of full supervision ({100 * share * headroom.full:.1f} mIoU), off the mean curve; small: "
        "median over seeds and range. Columns with D_T, D_R, D_S count their labels too, the same for every method."
    )
    return Table(caption=caption, columns=("method", *COLUMNS), rows=tuple(rows))


def saving_table(analysis: Analysis) -> Table | None:
    """What each learned entry saves against the baseline that needs least in that unit."""
    headroom = analysis.study.headroom
    rows = []
    for share in SHARES:
        by_unit = {unit: reaches(analysis, share, unit) for unit in UNITS}
        for entry in (entry for entry in by_unit["regions"] if entry.kind == "learned"):
            bare = [_saving_cell(by_unit[unit], entry, 0.0) for unit in UNITS]
            whole = [_saving_cell(by_unit[unit], entry, headroom.extra(unit) if headroom else None) for unit in UNITS]
            rows.append((Cell(text=title_of(entry, analysis)), Cell(text=f"{share:.0%}"), *bare, *whole))
    caption = "Labels saved against the baseline that needs least, off the mean curves."
    return Table(caption=caption, columns=("method", "share", *COLUMNS), rows=tuple(rows), words=2) if rows else None


def saving_sentence(analysis: Analysis, share: float) -> str:
    """The cheapest learned policy beside the cheapest baseline, in regions."""
    found = reaches(analysis, share, "regions")
    learned = {entry: each for entry, each in found.items() if entry.kind == "learned"}
    best, rival = best_reach(list(learned.values())), best_baseline(found)
    if best is None or rival is None:
        return f"For {share:.0%} of full supervision there is not both a learned policy and a baseline to compare."
    entry = next(entry for entry, each in learned.items() if each is best)
    name, other = title_of(entry, analysis), title_of(rival[0], analysis)
    if math.isinf(best.mean):
        there = "no baseline" if math.isinf(rival[1].mean) else f"{other} needs {rival[1].mean:,.0f} regions"
        return f"No learned policy reaches {share:.0%} of full supervision within {best.last:,.0f} regions; {there}."
    saved = saving(best, rival[1])
    if saved is None:
        return f"theta_0 is at {share:.0%} of full supervision already, so nothing can be saved."
    needs = f"For {share:.0%} of full supervision {name} needs {best.mean:,.0f} regions"
    if saved.at_least:
        return f"{needs}; no baseline gets there within {rival[1].last:,.0f}, so it saves at least {saved.share:.0%}."
    return f"{needs}, {saved.wording} than the best baseline, {other}, with {rival[1].mean:,.0f}."


def _whole_cell(each: Reach | None, unit: Unit, extra: float | None) -> Cell:
    return Cell(text=NONE if each is None or extra is None else amount(each.mean + extra, unit))


def _reach_cell(each: Reach | None, unit: Unit) -> Cell:
    if each is None:
        return Cell(text=NONE)
    detail = f"{amount(each.median, unit)} ({amount(each.low, unit)} to {amount(each.high, unit)})"
    if each.reached == 0:
        detail = "in no seed"
    elif each.reached < each.seeds:
        detail = f"{each.reached} of {each.seeds} seeds: {detail}"
    return Cell(text=amount(each.mean, unit), detail=detail)


def _saving_cell(found: Mapping[Entry, Reach], entry: Entry, extra: float | None) -> Cell:
    rival = best_baseline(found)
    if rival is None or entry not in found or extra is None:
        return Cell(text=NONE)
    saved = saving(found[entry], rival[1], extra)
    if saved is None:  # where it got there, theta_0 was there already: nothing can be saved
        return Cell(text=NONE if math.isfinite(found[entry].mean) else "not reached")
    return Cell(text=f"{'at least ' if saved.at_least else ''}{saved.share:.1%}", detail=f"against {rival[0].method}")
