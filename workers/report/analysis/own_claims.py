"""The claims of this project, for each of its own policies that a study has played, decided from what was measured."""

import math
from collections.abc import Sequence

from service.domain.methods import BASELINES
from workers.report.analysis.comparisons import Analysis, Difference
from workers.report.analysis.costs import Reach, best_reach, saving
from workers.report.analysis.curves import BLEND, OWN, PER_POOL, SHIPPED, Entry, control_of
from workers.report.analysis.paper_claims import RIVALS
from workers.report.analysis.verdicts import Claim, decided, few, region_reach

PROMISED_SAVING = 0.30
BOTH_AREAS = "in area over labels and over their logarithm"
# A difference over labels, and the same over their logarithm; None where one of both has none.
Pair = tuple[Difference, Difference | None]


def ahead_text(method: str) -> str:
    """The claim that a policy is ahead of all baselines."""
    return f"{method} is ahead of every baseline {BOTH_AREAS}, each interval excluding 0."


def rivals_text(method: str) -> str:
    """The claim that a policy is ahead of the strategies that the paper names."""
    return f"{method} is ahead of random, entropy and BALD {BOTH_AREAS}, each interval excluding 0."


def control_text(method: str) -> str:
    """The claim that training is worth something."""
    control = "its untrained control"
    if method == SHIPPED:
        control = f"{control_of(method)}, which is its untrained control too,"
    return f"{method} is ahead of {control} {BOTH_AREAS}, each interval excluding 0."


def saves_text(method: str) -> str:
    """The claim that a policy saves labels."""
    return f"{method} needs 30% fewer regions than the best baseline for 95% of full supervision."


def own_claims(analyses: Sequence[Analysis]) -> list[Claim]:
    """The claims of each own policy on every data set that has played it; those of `blend` too where none was played."""
    claims: list[Claim] = []
    for method in OWN:
        where = [analysis for analysis in analyses if method in _claimed(analysis)]
        claims += [_ahead(analysis, method) for analysis in where]
        claims += [_ahead_of_rivals(analysis, method) for analysis in where if method == SHIPPED]
        claims += [_beats_control(analysis, method) for analysis in where]
        claims += [_saves(analysis, method) for analysis in where]
    return claims


def _claimed(analysis: Analysis) -> list[str]:
    played = {entry.method for entry in analysis.curves.plays}
    return [method for method in OWN if method in played] or [BLEND]


def _ahead(analysis: Analysis, method: str) -> Claim:
    return _ahead_of(analysis, method, ahead_text(method), BASELINES)


def _ahead_of_rivals(analysis: Analysis, method: str) -> Claim:
    return _ahead_of(analysis, method, rivals_text(method), RIVALS)


def _ahead_of(analysis: Analysis, method: str, text: str, methods: Sequence[str]) -> Claim:
    where, learned = analysis.study.name, _entry_of(analysis, method)
    if learned is None:
        return decided("ours", where, text, gaps=[f"{method} has no area yet"])
    rivals = {entry: pair for entry, pair in _pairs(analysis, learned).items() if entry.method in methods}
    missing = [rival for rival in methods if rival not in {entry.method for entry in rivals}]
    gaps = [f"not compared with {', '.join(missing)}"] if missing else []
    gaps += [f"only one seed shared with {entry.method}" for entry, pair in rivals.items() if not _known(pair)]
    against = [
        f"{_said(pair, f' from {entry.method} under {entry.protocol}')}"
        for entry, pair in rivals.items()
        if _known(pair) and not _leads(pair)
    ]
    least = min((first.mean for first, _ in rivals.values()), default=0.0)
    least_log = min((second.mean for _, second in rivals.values() if second is not None), default=0.0)
    lead = f"{100 * least:+.2f} points or more over labels and {100 * least_log:+.2f} or more over their logarithm"
    support = [f"ahead of all {len(rivals)} compared, by {lead}"] if rivals else []
    return decided("ours", where, text, against=few(against), gaps=gaps, support=support)


def _beats_control(analysis: Analysis, method: str) -> Claim:
    where, learned, text = analysis.study.name, _entry_of(analysis, method), control_text(method)
    found = _pairs(analysis, learned) if learned else {}
    pair = next((pair for entry, pair in found.items() if entry.method == control_of(method)), None)
    if pair is None or not _known(pair):
        return decided("ours", where, text, gaps=[f"{method} and {control_of(method)} share fewer than two seeds"])
    return decided("ours", where, text, against=[] if _leads(pair) else [_said(pair)], support=[_said(pair)])


def _saves(analysis: Analysis, method: str) -> Claim:
    where, learned, text = analysis.study.name, _entry_of(analysis, method), saves_text(method)
    rivals = analysis.areas if learned is None else analysis.differences[learned]
    baselines = [entry for entry in rivals if entry.kind == "baseline"]
    ours = None if learned is None else region_reach(analysis, learned, 0.95)
    best = best_reach([r for r in (region_reach(analysis, entry, 0.95) for entry in baselines) if r is not None])
    if ours is None or best is None:
        return decided("ours", where, text, gaps=["full supervision, a baseline or the policy is missing"])
    missing = [each for each in BASELINES if each not in {entry.method for entry in baselines}]
    return _saving_claim(where, text, ours, best, [f"without {', '.join(missing)}"] if missing else [])


def _saving_claim(where: str, text: str, ours: Reach, best: Reach, gaps: Sequence[str]) -> Claim:
    saved = saving(ours, best)
    if saved is None and math.isfinite(ours.mean):
        return decided("ours", where, text, gaps=["95% of full supervision is reached at theta_0 already"])
    if saved is None:
        said = f"the policy is not there after {ours.last:,.0f} regions"
        reached = math.isfinite(best.mean)
        return decided(
            "ours",
            where,
            text,
            against=[f"{said}, the best baseline is after {best.mean:,.0f}"] if reached else [],
            gaps=[f"{said}, nor is a baseline"],
        )
    said = f"{'at least ' if saved.at_least else ''}{saved.wording}: {ours.mean:,.0f} regions"
    if saved.share >= PROMISED_SAVING:
        return decided("ours", where, text, gaps=gaps, support=[said])
    if saved.at_least:
        return decided("ours", where, text, gaps=[f"{said}, and no baseline was measured until it got there"])
    return decided("ours", where, text, against=[f"{said} against {best.mean:,.0f}"])


def _entry_of(analysis: Analysis, method: str) -> Entry | None:
    """A policy under the paper's protocol where it has played that; None without an area."""
    found = [entry for entry in analysis.differences if entry.method == method]
    return min(found, key=lambda entry: entry.protocol != PER_POOL, default=None)


def _pairs(analysis: Analysis, learned: Entry) -> dict[Entry, Pair]:
    logarithmic = analysis.log_differences.get(learned, {})
    return {entry: (found, logarithmic.get(entry)) for entry, found in analysis.differences[learned].items()}


def _known(pair: Pair) -> bool:
    return all(each is not None and each.low is not None for each in pair)


def _leads(pair: Pair) -> bool:
    return all(each is not None and each.ahead for each in pair)


def _said(pair: Pair, whom: str = "") -> str:
    first, second = pair
    said = f"{100 * first.mean:+.2f} points{whom}{_interval(first)}"
    return said if second is None else f"{said}, {100 * second.mean:+.2f} over the logarithm{_interval(second)}"


def _interval(found: Difference) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" (95% interval {100 * found.low:+.2f} to {100 * found.high:+.2f})"
