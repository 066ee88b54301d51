"""The sections of a report: for each study, figures and tables with a sentence that says what one sees."""

import statistics
from collections.abc import Sequence

from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.gaps import gaps_of
from workers.report.analysis.hindsight import chosen_in_hindsight
from workers.report.analysis.verdicts import Claim
from workers.report.data.records import UNITS
from workers.report.page.comparison_sections import (
    ablations_sections,
    costs_section,
    differences_sections,
    penalties_section,
    surrogates_section,
    trainings_section,
)
from workers.report.page.content import Cell, Section, Table, slugs_of
from workers.report.page.figures import areas_figure, curves_figure, entropy_figure
from workers.report.page.tables import (
    NONE,
    amount,
    areas_table,
    best_entries,
    best_of,
    claims_table,
    class_ious,
    class_names,
    class_table,
    curves_table,
    mean_std,
    percent,
    title_of,
)


def sections_of(analyses: Sequence[Analysis], claims: Sequence[Claim]) -> list[Section]:
    """Summary, claims, and a section for each study."""
    first = [_summary(analyses, claims), _claims(claims)]
    taken = [each.slug for each in first]
    slugs = slugs_of([*taken, *(analysis.study.name for analysis in analyses)])[len(taken) :]
    return [*first, *(_study(analysis, slug) for analysis, slug in zip(analyses, slugs, strict=True))]


def _summary(analyses: Sequence[Analysis], claims: Sequence[Claim]) -> Section:
    counts = {
        verdict: sum(claim.verdict == verdict for claim in claims) for verdict in ("held", "failed", "not tested")
    }
    judged = (
        f"Of {len(claims)} claims put to the figures {counts['held']} held, {counts['failed']} failed, "
        f"{counts['not tested']} could not be tested."
    )
    return Section(
        slug="in-short",
        title="In short",
        sentences=(judged,),
        points=tuple(_headline(each, protocol) for each in analyses for protocol in each.curves.protocols),
    )


def _headline(analysis: Analysis, protocol: str) -> str:
    """The best learned method of a protocol beside the best baseline there, of those with at least half as many seeds as any."""
    several = len(analysis.curves.protocols) > 1
    name = f"{analysis.study.name}, {protocol}" if several else analysis.study.name
    areas = analysis.best_areas(protocol)
    learned, any_baseline = best_of(areas)
    rivals = {} if learned is None else analysis.differences[learned]
    baseline = best_of({entry: area for entry, area in areas.items() if entry in rivals})[1]
    if learned is not None and baseline is None and any_baseline is not None:
        return f"{name}: {learned.method} is the best learned method by area; it shares no seed with a baseline."
    if learned is None or baseline is None:
        return f"{name}: there is not yet both a learned method and a baseline with an area."
    found = rivals[baseline]
    said = f"{name}: {learned.method} is the best learned method by area, {baseline.method} the best baseline"
    interval = "" if found.low is None or found.high is None else f", 95% interval {_range(found.low, found.high)}"
    seeds = f"{len(found.seeds)} seed{'s' if len(found.seeds) > 1 else ''}"
    return f"{said}; the difference is {100 * found.mean:+.2f} points ({seeds}{interval})."


def _claims(claims: Sequence[Claim]) -> Section:
    tables = [
        claims_table([claim for claim in claims if claim.whose == whose], caption)
        for whose, caption in (("paper", "The claims of the paper."), ("ours", "The claims of this project."))
    ]
    sentence = (
        "Verdicts are decided by the figures below. A claim fails where any part of it does; it holds only where all it speaks "
        "of was measured, which for every baseline means all of them."
    )
    return Section(
        slug="claims", title="Claims", sentences=(sentence,), tables=tuple(table for table in tables if table.rows)
    )


def _study(analysis: Analysis, slug: str) -> Section:
    parts = [
        _headroom(analysis, slug),
        _curves(analysis, slug),
        _entropy(analysis, slug),
        _classes(analysis, slug),
        _areas(analysis, slug),
        *differences_sections(analysis, slug),
        penalties_section(analysis, slug),
        costs_section(analysis, slug),
        *ablations_sections(analysis, slug),
        surrogates_section(analysis, slug),
        trainings_section(analysis, slug),
    ]
    gaps = gaps_of(analysis)
    what = ("What is missing:",) if gaps else ("Nothing is missing.",)
    title = analysis.study.name
    kept = tuple(part for part in parts if part is not None)
    return Section(slug=slug, title=title, sentences=(_played(analysis), *what), points=tuple(gaps), parts=kept)


def _played(analysis: Analysis) -> str:
    plays = analysis.curves.plays
    if not plays:
        return "No trajectory of the main group was played."
    seeds = sorted({seed for each in plays.values() for seed in each})
    budgets = ", ".join(f"{budget:,}" for budget in analysis.curves.budgets) or "none yet"
    divided = any(play.settings.get("levels", 1) != 1 for each in plays.values() for play in each.values())
    unit = "whole cells' worth of regions of several sizes" if divided else "regions"
    return (
        f"{len({entry.method for entry in plays})} methods under {' and '.join(analysis.curves.protocols)}, seeds "
        f"{', '.join(map(str, seeds))}; compared at {budgets} {unit}."
    )


def _headroom(analysis: Analysis, slug: str) -> Section | None:
    headroom = analysis.study.headroom
    if headroom is None:
        return None
    rows = []
    for name, values, cost in (
        ("theta_0", headroom.theta_0_S, None),
        ("full supervision", headroom.full_S, headroom.full_cost),
    ):
        shown = [amount(cost.within(unit), unit) if cost else "0" for unit in UNITS]
        miou = mean_std(values) if values else NONE
        rows.append(tuple(Cell(text=text) for text in (name, miou, str(len(values)), *shown)))
    table = Table(
        caption="Test mIoU in percent, mean ± std over seeds, and the labels of the pool it took.",
        columns=("", "mIoU", "seeds", *UNITS),
        rows=tuple(rows),
    )
    sentence, alarm = "A figure is missing, so the headroom is not known.", ""
    if headroom.theta_0 is not None and headroom.full is not None and headroom.std is not None:
        room, std = headroom.full - headroom.theta_0, headroom.std
        times = f", {room / std:.1f} times the seed-to-seed std of {100 * std:.2f}" if std > 0 else ""
        sentence = (
            f"theta_0 is at {percent(headroom.theta_0)}%, full supervision at {percent(headroom.full)}%: all that selection can "
            f"win lies in these {100 * room:.2f} points{times}."
        )
        if room <= 0:
            nothing = "full supervision is not above theta_0"
            sentence = (
                f"theta_0 is at {percent(headroom.theta_0)}%, full supervision at {percent(headroom.full)}%: {nothing}, and "
                "there is nothing to win."
            )
            alarm = f"UNINFORMATIVE: {nothing}."
        elif headroom.informative is False:
            alarm = f"UNINFORMATIVE: a headroom of {100 * room:.2f} points is less than 5 std (5 x {100 * std:.2f})."
    return Section(slug=f"{slug}-headroom", title="Headroom", sentences=(sentence,), alarm=alarm, tables=(table,))


def _curves(analysis: Analysis, slug: str) -> Section | None:
    curves = analysis.curves
    if not curves.budgets:
        return None
    last = curves.budgets[-1]
    means = {e: statistics.fmean(found.values()) for e in curves.plays if (found := curves.mious(e, last))}
    first = max(means, key=means.__getitem__)
    sentence = f"At {last:,} regions {title_of(first, analysis)} is first with {percent(means[first])}%"
    if len(means) > 1:
        worst = min(means, key=means.__getitem__)
        sentence += f", {title_of(worst, analysis)} last with {percent(means[worst])}%"
    full = analysis.study.headroom.full if analysis.study.headroom else None
    sentence += f"; full supervision reaches {percent(full)}%." if full is not None else "."
    thin = "The thin dashed line is the best baseline at each budget, chosen in hindsight."
    return Section(
        slug=f"{slug}-curves",
        title="mIoU by budget",
        sentences=(
            sentence,
            "Bands, of learned methods and of the best baseline, are one std over seeds; the axis does not begin at 0, "
            "and what lies far below is not shown.",
            *((thin,) if any(chosen_in_hindsight(curves, protocol) for protocol in curves.protocols) else ()),
        ),
        figures=(curves_figure(analysis, f"{slug}-curves"),),
        tables=(curves_table(analysis),),
    )


def _entropy(analysis: Analysis, slug: str) -> Section | None:
    figure = entropy_figure(analysis, f"{slug}-entropy")
    if figure is None:
        return None
    curves, last = analysis.curves, analysis.curves.budgets[-1]
    found = {e: [p.budgets[last].class_entropy for p in curves.finished(e).values()] for e in curves.plays}
    means = {
        e: statistics.fmean(known) for e, values in found.items() if (known := [v for v in values if v is not None])
    }
    most = max(means, key=means.__getitem__)
    sentence = (
        f"Entropy of the classes of all pixels selected until {last:,} regions: the further right, the more evenly a method asks "
        f"for classes. {title_of(most, analysis)} has the highest, {means[most]:.3f} nats. Small dots are seeds, lines one std."
    )
    return Section(slug=f"{slug}-entropy", title="Class entropy", sentences=(sentence,), figures=(figure,))


def _classes(analysis: Analysis, slug: str) -> Section | None:
    curves = analysis.curves
    tables = [table for protocol in curves.protocols if (table := class_table(analysis, protocol))]
    if not tables:
        return None
    sentences = tuple(said for protocol in curves.protocols if (said := _class_lead(analysis, protocol)))
    return Section(slug=f"{slug}-classes", title="IoU per class", sentences=sentences, tables=tuple(tables))


def _class_lead(analysis: Analysis, protocol: str) -> str:
    """In which classes the best learned method is ahead of the best baseline, both by mIoU."""
    ious = class_ious(analysis, protocol)
    enough = analysis.curves.with_most_seeds(ious)
    best = best_entries({entry: row[:1] for entry, row in ious.items() if entry in enough})
    learned, baseline = best[0] if best else (None, None)
    if learned is None or baseline is None:
        return f"Under {protocol} there is not both a learned method and a baseline."
    pairs = zip(class_names(analysis, protocol), ious[learned][1:], ious[baseline][1:], strict=True)
    leads = {name: ours - theirs for name, ours, theirs in pairs if ours is not None and theirs is not None}
    ahead = sum(lead > 0 for lead in leads.values())
    said = (
        f"{title_of(learned, analysis)}, the best learned method, is ahead of {title_of(baseline, analysis)}, the best "
        "baseline,"
    )
    if not leads:
        return f"{said} in no class: none was measured."
    most, least = max(leads, key=leads.__getitem__), min(leads, key=leads.__getitem__)
    where = f"most in {most} ({100 * leads[most]:+.2f} points), least in {least} ({100 * leads[least]:+.2f})"
    return f"{said} in {ahead} of {len(leads)} classes, {where}."


def _areas(analysis: Analysis, slug: str) -> Section | None:
    figure = areas_figure(analysis, f"{slug}-areas")
    if figure is None:
        return None
    ranked = sorted(analysis.areas, key=lambda entry: -statistics.fmean(analysis.areas[entry].values()))
    learned = [n for n, entry in enumerate(ranked, 1) if entry.kind == "learned"]
    places = f"; learned methods are at place {', '.join(map(str, learned))}" if learned else ""
    sentence = (
        f"The area sums up a whole curve: {title_of(ranked[0], analysis)} is first of {len(ranked)}{places}. Over labels the "
        "large budgets decide; over their logarithm every doubling counts the same."
    )
    return Section(
        slug=f"{slug}-areas",
        title="Area under the budget curve",
        sentences=(sentence,),
        figures=(figure,),
        tables=(areas_table(analysis),),
    )


def _range(low: float, high: float) -> str:
    return f"{100 * low:+.2f} to {100 * high:+.2f}"
