"""Sections that set methods against each other: differences, penalties, labels needed, ablations, surrogates, training."""

import math
from collections.abc import Sequence

from workers.report.analysis.comparisons import Analysis, penalties
from workers.report.analysis.costs import SHARES
from workers.report.analysis.curves import Entry
from workers.report.analysis.hindsight import Against, against_hindsight
from workers.report.analysis.statistics import column_means, smallest_p
from workers.report.data.records import TRAINING_MEASURES
from workers.report.page.content import Section, slugs_of
from workers.report.page.cost_tables import cost_table, saving_sentence, saving_table
from workers.report.page.difference_tables import ablation_table, differences_table, hindsight_table, penalty_table
from workers.report.page.figures import RUNNING, ablation_figure, differences_figure, surrogate_figure, training_figure
from workers.report.page.tables import amount, surrogate_table, title_of, trainings_table


def differences_sections(analysis: Analysis, slug: str) -> list[Section]:
    """Each learned entry against every other."""
    entries = [learned for learned, found in analysis.differences.items() if found]
    slugs = slugs_of(title_of(each, analysis) for each in entries)
    pairs = zip(entries, slugs, strict=True)
    return [_difference(analysis, learned, f"{slug}-differences-{own}") for learned, own in pairs]


def _difference(analysis: Analysis, learned: Entry, name: str) -> Section:
    found = analysis.differences[learned]
    family = [difference for entry, difference in found.items() if entry.kind == "baseline"]
    seeds = min((len(difference.seeds) for difference in family or found.values()), default=0)
    title = title_of(learned, analysis)
    sentence = (
        f"{title} is ahead of {sum(d.ahead for d in family)} of {len(family)} baselines with an interval that excludes 0, and "
        f"behind {sum(d.behind for d in family)}; "
        f"{sum(d.corrected is not None and d.corrected < 0.05 for d in family)} differences have a corrected p below 0.05."
    )
    limit = (
        f"With {seeds} seed{'s' if seeds != 1 else ''} no p can fall below {smallest_p(seeds):.2g} before correction."
    )
    hindsight = against_hindsight(analysis.curves, learned)
    tables = [differences_table(found, analysis.log_differences.get(learned, {}), learned)]
    tables += [hindsight_table(hindsight, learned, analysis)] if hindsight else []
    return Section(
        slug=name,
        title=f"Paired differences of {title}",
        sentences=(
            sentence,
            *((limit,) if smallest_p(seeds) > 0.005 else ()),
            *((_hindsight(hindsight, title),) if hindsight else ()),
        ),
        figures=(differences_figure(found, name, learned.method),),
        tables=tuple(tables),
    )


def _hindsight(found: Sequence[Against], title: str) -> str:
    known = [each.difference for each in found if each.difference is not None]
    return (
        "The best fixed score in hindsight is at each budget the baseline with the highest mean there, better than any single "
        f"baseline can be: {title} is ahead of it at {sum(d.ahead for d in known)} of {len(found)} budgets with an interval that "
        f"excludes 0, and behind at {sum(d.behind for d in known)}."
    )


def penalties_section(analysis: Analysis, slug: str) -> Section | None:
    """Which method beats which, a matrix for each protocol."""
    tables = [table for protocol in analysis.curves.protocols if (table := penalty_table(analysis, protocol))]
    beaten = [said for protocol in analysis.curves.protocols if (said := _least_beaten(analysis, protocol))]
    sentence = (
        "An entry is the share of budgets at which the method of its row beats that of its column (paired t-test over seeds, "
        "two-sided, 0.05). The last row says how often a method is beaten: lower is better (Ash et al. 2020)."
    )
    if not tables:
        return None
    return Section(
        slug=f"{slug}-penalties", title="Who beats whom", sentences=(sentence, *beaten), tables=tuple(tables)
    )


def _least_beaten(analysis: Analysis, protocol: str) -> str:
    entries, matrix_NN = penalties(analysis.curves, protocol)
    pairs = zip(entries, column_means(matrix_NN).tolist(), strict=True)
    known = {entry.method: mean for entry, mean in pairs if not math.isnan(mean)}
    if not known:
        return ""
    least, most = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    if known[most] == 0:
        return f"Under {protocol} no method beats another at any budget."
    return f"Under {protocol} {least} is beaten least ({known[least]:.2f}), {most} most ({known[most]:.2f})."


def costs_section(analysis: Analysis, slug: str) -> Section | None:
    """Labels needed for a share of full supervision, and what learned methods save."""
    tables = [*(cost_table(analysis, share) for share in SHARES), saving_table(analysis)]
    if not any(tables):
        return None
    how = "Curves begin at theta_0, which costs no label of the pool, and are interpolated between budgets."
    return Section(
        slug=f"{slug}-costs",
        title="Labels needed",
        sentences=(*(saving_sentence(analysis, share) for share in SHARES), how),
        tables=tuple(table for table in tables if table),
    )


def ablations_sections(analysis: Analysis, slug: str) -> list[Section]:
    """Each group of variants against its base."""
    found = []
    slugs = slugs_of(ablation.name for ablation in analysis.ablations)
    for ablation, own in zip(analysis.ablations, slugs, strict=True):
        name = f"{slug}-ablation-{own}"
        if ablation.span is None or not ablation.variants:
            sentence = "There is no range of costs that all its curves cover, so nothing is compared."
            found.append(Section(slug=name, title=f"Ablation: {ablation.name}", sentences=(sentence,)))
            continue
        labels = [variant.label for variant in ablation.variants]
        names = [v.label if labels.count(v.label) == 1 else f"{v.base} with {v.label}" for v in ablation.variants]
        found_of = [variant.difference for variant in ablation.variants]
        behind = [label for label, d in zip(names, found_of, strict=True) if d and d.behind]
        ahead = [label for label, d in zip(names, found_of, strict=True) if d and d.ahead]
        span = " to ".join(amount(cost, ablation.unit) for cost in ablation.span)
        sentence = (
            f"Area from {span} {ablation.unit}, which all curves cover. Behind their base with an interval that excludes 0: "
            f"{', '.join(behind) or 'none'}; ahead: {', '.join(ahead) or 'none'}."
        )
        figure = ablation_figure(ablation, name)
        found.append(
            Section(
                slug=name,
                title=f"Ablation: {ablation.name}",
                sentences=(sentence,),
                figures=(figure,) if figure else (),
                tables=(ablation_table(ablation),),
            )
        )
    return found


def surrogates_section(analysis: Analysis, slug: str) -> Section | None:
    """How the surrogate game ranks against the real one."""
    games = [each for each in analysis.study.surrogates if each.points]
    if not games:
        return None
    sentences = []
    for each in games:
        known = "not recorded" if each.rank_correlation is None else f"{each.rank_correlation:.2f}"
        speed = "" if each.episodes_per_hour is None else f" It plays {each.episodes_per_hour:,.0f} episodes an hour."
        sentences.append(
            f"{each.game}: rank correlation with the real game over {len(each.points)} points {known}.{speed}"
        )
    figures = tuple(surrogate_figure(each, f"{slug}-surrogate-{n}") for n, each in enumerate(games))
    legend = "Filled points are strategies, open ones policies."
    return Section(
        slug=f"{slug}-surrogate",
        title="Surrogate game",
        sentences=(*sentences, legend),
        figures=figures,
        tables=tuple(surrogate_table(each) for each in games),
    )


def trainings_section(analysis: Analysis, slug: str) -> Section | None:
    """The episodes that trained the policies, apart by the game they were played in."""
    trainings = [each for each in analysis.study.trainings if each.returns]
    if not trainings:
        return None
    games = [game for game in TRAINING_MEASURES if any(each.game == game for each in trainings)]
    how = f"Pale lines are episodes, strong ones means of {RUNNING}, stars the episodes after which policies were kept."
    by_game = [[each for each in trainings if each.game == game] for game in games]
    return Section(
        slug=f"{slug}-training",
        title="Training of the policies",
        sentences=(how,),
        figures=tuple(training_figure(each, f"{slug}-training-{each[0].game}") for each in by_game),
        tables=(trainings_table(trainings),),
    )
