"""Tables that set methods against each other: paired differences, the best baselines in hindsight, penalties, ablations."""

import math
from collections.abc import Mapping, Sequence

from workers.report.analysis.comparisons import Ablation, Analysis, Difference, penalties
from workers.report.analysis.curves import Entry
from workers.report.analysis.hindsight import Against
from workers.report.analysis.statistics import column_means
from workers.report.page.content import Cell, Mark, Table
from workers.report.page.tables import NONE, mean_std, percent, title_of


def differences_table(
    found: Mapping[Entry, Difference], logarithmic: Mapping[Entry, Difference], learned: Entry
) -> Table:
    """One learned entry against every other, in area over labels and, in the last column, over their logarithm."""
    rows = [
        (
            Cell(text=entry.method, mark="" if entry.kind == "baseline" else "muted"),
            Cell(text=entry.protocol),
            *difference_cells(difference),
            Cell(text=NONE if difference.corrected is None else _p(difference.corrected)),
            _whole_cell(logarithmic.get(entry)),
        )
        for entry, difference in found.items()
    ]
    columns = ("against", "protocol", "seeds", "difference", "95% interval", "p", "p, Holm", "log labels")
    caption = (
        f"{learned.method} ({learned.protocol}) minus each other method, points of area over labels. p is corrected over the "
        "baselines. Last: points of area over the logarithm of labels, with their 95% interval."
    )
    return Table(caption=caption, columns=columns, rows=tuple(rows), words=2)


def difference_cells(difference: Difference | None) -> tuple[Cell, ...]:
    """Seeds, mean, interval and p of a difference."""
    if difference is None:
        return (Cell(text="0"), Cell(text=NONE), Cell(text=NONE), Cell(text=NONE))
    return (
        Cell(text=str(len(difference.seeds))),
        Cell(text=f"{100 * difference.mean:+.2f}", mark=_mark(difference)),
        Cell(text=_interval(difference) or NONE),
        Cell(text=NONE if difference.p is None else _p(difference.p)),
    )


def hindsight_table(found: Sequence[Against], learned: Entry, analysis: Analysis) -> Table:
    """One learned entry at each budget against the baseline that is best there."""
    rows = [
        (
            Cell(text=f"{each.best.budget:,}"),
            Cell(text=title_of(each.best.baseline, analysis)),
            Cell(text=percent(each.best.miou)),
            *difference_cells(each.difference),
        )
        for each in found
    ]
    columns = ("regions", "best baseline there", "its mIoU", "shared seeds", "difference", "95% interval", "p")
    caption = (
        f"{title_of(learned, analysis)} minus the best baseline at each budget, in hindsight, points of mIoU over shared seeds; "
        "the baseline's own mIoU is over all its seeds."
    )
    return Table(caption=caption, columns=columns, rows=tuple(rows), words=2)


def penalty_table(analysis: Analysis, protocol: str) -> Table | None:
    """How often the method of a row beats that of a column, and below how often each column is beaten; None with one seed."""
    entries, matrix_NN = penalties(analysis.curves, protocol)
    if len(entries) < 2 or all(map(math.isnan, column_means(matrix_NN).tolist())):
        return None
    rows = [
        (Cell(text=entry.method), *(_heated(value) for value in matrix_NN[n].tolist()))
        for n, entry in enumerate(entries)
    ]
    rows.append((Cell(text="column mean", mark="muted"), *(_heated(v) for v in column_means(matrix_NN).tolist())))
    caption = f"Share of budgets at which the row beats the column, {protocol}."
    return Table(
        caption=caption, columns=("beats", *(entry.method for entry in entries)), rows=tuple(rows), kind="matrix"
    )


def ablation_table(ablation: Ablation) -> Table:
    """Area of each variant and its difference to the base."""
    rows = [
        (
            Cell(text=variant.label),
            Cell(text=variant.base or NONE),
            Cell(text=mean_std(list(variant.areas.values()), 2)),
            *difference_cells(variant.difference),
        )
        for variant in ablation.variants
    ]
    columns = ("variant", "base", "area", "shared seeds", "difference", "95% interval", "p")
    return Table(
        caption=f"{ablation.name}: variant minus base, points of area.", columns=columns, rows=tuple(rows), words=2
    )


def _whole_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell(text=NONE)
    return Cell(text=f"{100 * difference.mean:+.2f}", detail=_interval(difference), mark=_mark(difference))


def _mark(difference: Difference) -> Mark:
    return "held" if difference.ahead else "failed" if difference.behind else ""


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}"


def _heated(value: float) -> Cell:
    return Cell(text=NONE) if math.isnan(value) else Cell(text=f"{value:.2f}", heat=value)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
