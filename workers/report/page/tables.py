"""Tables of a report: cells of text with what is best marked, the same for HTML and Markdown."""

import math
import statistics
from collections.abc import Mapping, Sequence

from service.domain.statistics import sample_std
from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.curves import Entry
from workers.report.analysis.statistics import with_most_seeds
from workers.report.analysis.verdicts import Claim
from workers.report.data.records import TRAINING_MEASURES, Ious, Surrogate, Training, Unit
from workers.report.page.content import Cell, Mark, Table

NONE = "–"
MARKED = "Bold: best learned. Underlined, or italic in Markdown: best baseline; of those with at least half as many seeds as any."


def percent(miou: float) -> str:
    """mIoU in percent."""
    return f"{100 * miou:.1f}"


def mean_std(values: Sequence[float], digits: int = 1) -> str:
    """Mean and sample std in percent; the mean alone for one seed."""
    std = sample_std(values)
    return f"{100 * statistics.fmean(values):.{digits}f}" + ("" if std is None else f" ± {100 * std:.2f}")


def amount(cost: float | None, unit: Unit) -> str:
    """A cost as people read it: many pixels in millions."""
    if cost is None:
        return NONE
    if math.isinf(cost):
        return "not reached"
    return f"{cost / 1e6:.2f} M" if unit == "pixels" and cost >= 1e5 else f"{cost:,.0f}"


def title_of(entry: Entry, analysis: Analysis) -> str:
    """The method, and its protocol where more than one was played."""
    return entry.method if len(analysis.curves.protocols) < 2 else f"{entry.method} ({entry.protocol})"


def curves_table(analysis: Analysis) -> Table:
    """mIoU of every entry at every budget that any trajectory has reached."""
    curves = analysis.curves
    budgets = sorted({b for plays in curves.plays.values() for play in plays.values() for b in play.budgets})
    means: dict[Entry, list[float | None]] = {}
    seeds: dict[Entry, list[int]] = {}
    texts: dict[Entry, list[str]] = {}
    for entry, plays in curves.plays.items():
        at = [[play.budgets[budget].miou for play in plays.values() if budget in play.budgets] for budget in budgets]
        means[entry] = [statistics.fmean(values) if values else None for values in at]
        seeds[entry] = [len(values) for values in at]
        texts[entry] = [_with_seeds(values, len(plays)) for values in at]
    rows = [
        (Cell(text=title_of(entry, analysis)), Cell(text=str(len(curves.plays[entry]))), *cells)
        for entry, cells in _marked(means, texts, seeds).items()
    ]
    caption = f"Test mIoU in percent by regions, mean ± std over seeds. {MARKED}"
    return Table(caption=caption, columns=("method", "seeds", *(f"{b:,}" for b in budgets)), rows=tuple(rows))


def class_ious(analysis: Analysis, protocol: str) -> dict[Entry, list[float | None]]:
    """mIoU and then IoU of each class at the last compared budget, means over seeds, of each entry with a finished seed."""
    curves = analysis.curves
    entries = [entry for entry in curves.of(protocol) if curves.finished(entry)]
    if not entries:
        return {}
    last = curves.budgets[-1]
    count = max(len(p.budgets[last].iou_C) for e in entries for p in curves.finished(e).values())
    return {
        e: [
            statistics.fmean(curves.mious(e, last).values()),
            *_mean_ious([p.budgets[last].iou_C for p in curves.finished(e).values()], count),
        ]
        for e in entries
    }


def class_names(analysis: Analysis, protocol: str) -> list[str]:
    """The names of the classes of `class_ious`; numbers where no run says them."""
    count = max((len(row) - 1 for row in class_ious(analysis, protocol).values()), default=0)
    names = analysis.study.classes
    return list(names) if len(names) == count else [f"class {n}" for n in range(count)]


def class_table(analysis: Analysis, protocol: str) -> Table | None:
    """IoU of each class at the last compared budget, with theta_0 and full supervision as rows (Table 1 of the paper)."""
    values, headroom = class_ious(analysis, protocol), analysis.study.headroom
    if not values:
        return None
    names = class_names(analysis, protocol)
    texts = {e: [NONE if value is None else percent(value) for value in row] for e, row in values.items()}
    seeds = {e: [len(analysis.curves.finished(e))] * len(row) for e, row in values.items()}
    rows = [(Cell(text=entry.method), *cells) for entry, cells in _marked(values, texts, seeds).items()]
    if headroom:
        rows += [
            _muted("theta_0", headroom.theta_0, headroom.theta_0_iou_C, len(names)),
            _muted("full supervision", headroom.full, headroom.full_iou_C, len(names)),
        ]
    caption = f"IoU in percent at {analysis.curves.budgets[-1]:,} regions, {protocol}, mean over seeds. {MARKED}"
    return Table(caption=caption, columns=("method", "mIoU", *names), rows=tuple(rows))


def areas_table(analysis: Analysis) -> Table:
    """Area under the budget curve, over labels and over their logarithm, best first by the former."""
    both = (analysis.areas, analysis.log_areas)
    ranked = sorted(analysis.areas, key=lambda entry: -statistics.fmean(analysis.areas[entry].values()))
    values = {entry: [list(areas.get(entry, {}).values()) for areas in both] for entry in ranked}
    cells = _marked(
        {entry: [statistics.fmean(each) if each else None for each in found] for entry, found in values.items()},
        {entry: [mean_std(each, 2) if each else NONE for each in found] for entry, found in values.items()},
        {entry: [len(each) for each in found] for entry, found in values.items()},
    )
    rows = [
        (
            Cell(text=entry.method),
            Cell(text=entry.protocol),
            Cell(text=str(rank)),
            *cells[entry],
            Cell(text=str(len(analysis.areas[entry]))),
        )
        for rank, entry in enumerate(ranked, 1)
    ]
    caption = (
        "Area under the budget curve as a mean mIoU in percent, mean ± std over seeds: over labels, which ranks, and over the "
        f"logarithm of labels. {MARKED}"
    )
    columns = ("method", "protocol", "rank", "area", "area, log", "seeds")
    return Table(caption=caption, columns=columns, rows=tuple(rows), words=2)


def claims_table(claims: Sequence[Claim], caption: str) -> Table:
    """Each claim, where it was put to the test, the verdict, and what decided it."""
    marks: dict[str, Mark] = {"held": "held", "failed": "failed", "not tested": "not-tested"}
    rows = [
        (Cell(text=c.text), Cell(text=c.where), Cell(text=c.verdict, mark=marks[c.verdict]), Cell(text=c.evidence))
        for c in claims
    ]
    return Table(
        caption=caption, columns=("claim", "data set", "verdict", "measured"), rows=tuple(rows), words=4, kind="prose"
    )


def best_entries(values: Mapping[Entry, Sequence[float | None]]) -> list[tuple[Entry | None, Entry | None]]:
    """For each column the best learned entry and the best baseline; None where there is none."""
    columns = range(max((len(row) for row in values.values()), default=0))

    def best(kind: str, column: int) -> Entry | None:
        known = {e: v for e, row in values.items() if e.kind == kind and (v := row[column]) is not None}
        return max(known, key=known.__getitem__, default=None)

    return [(best("learned", column), best("baseline", column)) for column in columns]


def best_of(values: Mapping[Entry, float]) -> tuple[Entry | None, Entry | None]:
    """The learned entry and the baseline with the largest value; None where there is none."""
    best = best_entries({entry: [value] for entry, value in values.items()})
    return best[0] if best else (None, None)


def _marked(
    values: Mapping[Entry, Sequence[float | None]],
    texts: Mapping[Entry, Sequence[str]],
    seeds: Mapping[Entry, Sequence[int]],
) -> dict[Entry, list[Cell]]:
    """Cells of the texts. `seeds`: of how many each value is the mean."""
    enough = [with_most_seeds(zip(seeds, column, strict=True)) for column in zip(*seeds.values(), strict=True)]
    best = best_entries(
        {e: [value if e in enough[n] else None for n, value in enumerate(row)] for e, row in values.items()}
    )

    def mark(entry: Entry, column: int) -> Mark:
        learned, baseline = best[column]
        return "learned" if entry == learned else "baseline" if entry == baseline else ""

    return {entry: [Cell(text=text, mark=mark(entry, n)) for n, text in enumerate(row)] for entry, row in texts.items()}


def _with_seeds(values: Sequence[float], seeds: int) -> str:
    if not values:
        return NONE
    return mean_std(values) + (f" ({len(values)} of {seeds} seeds)" if len(values) < seeds else "")


def _mean_ious(rows: Sequence[Ious], count: int) -> list[float | None]:
    columns = [[row[n] for row in rows if n < len(row)] for n in range(count)]
    known = [[value for value in column if value is not None] for column in columns]
    return [statistics.fmean(column) if column else None for column in known]


def _muted(name: str, miou: float | None, iou_C: Ious, count: int) -> tuple[Cell, ...]:
    values = [miou, *(iou_C if len(iou_C) == count else [None] * count)]
    return tuple(Cell(text=t, mark="muted") for t in (name, *(NONE if v is None else percent(v) for v in values)))


def surrogate_table(surrogate: Surrogate) -> Table:
    """Both results of each strategy and policy, and their ranks, the best in the real game first."""
    points = sorted(surrogate.points, key=lambda point: -point.real)
    quick = sorted(points, key=lambda point: -point.surrogate)
    rows = [
        (
            Cell(text=point.name),
            *(Cell(text=text) for text in (f"{point.real:.2f}", str(rank))),
            *(Cell(text=text) for text in (f"{point.surrogate:.2f}", str(quick.index(point) + 1))),
        )
        for rank, point in enumerate(points, 1)
    ]
    caption = f"{surrogate.game}: areas in points of mIoU."
    return Table(caption=caption, columns=("method", "real", "rank", "surrogate", "rank"), rows=tuple(rows))


def trainings_table(trainings: Sequence[Training]) -> Table:
    """How long each policy was trained, in which game, and how its episodes went."""
    rows = [
        (
            *(Cell(text=text) for text in (each.name, each.game, TRAINING_MEASURES[each.game])),
            Cell(text=str(len(each.returns))),
            *(Cell(text=f"{statistics.fmean(part):.1f}") for part in _tenths(each.returns)),
            Cell(text=NONE if each.best_episode is None else str(each.best_episode + 1)),
        )
        for each in trainings
    ]
    caption = "Training, in points of mIoU: the mean of the first and of the last tenth of the episodes."
    columns = ("policy", "game", "measured", "episodes", "first tenth", "last tenth", "kept after")
    return Table(caption=caption, columns=columns, rows=tuple(rows), words=3)


def _tenths(returns: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    size = max(1, len(returns) // 10)
    return returns[:size], returns[-size:]
