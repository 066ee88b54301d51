"""Claims, the paper's and the project's own, decided from what was measured: held, failed, or not tested."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.domain.methods import BASELINES, Method
from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.costs import Reach, reach, saving
from workers.report.analysis.curves import CONTROL, PAPER, PER_POOL, REGIONWISE, Entry, Plays
from workers.report.analysis.statistics import paired_t_sign
from workers.report.data.records import Trajectory

Verdict = Literal["held", "failed", "not tested"]

RIVALS = ("random", "entropy", "bald")
CAMVID_BUDGETS = (480, 720, 960, 1200, 1440, 1920)
CAMVID_EQUAL_AT = 1440
CITYSCAPES_BUDGET = 19_200
CITYSCAPES_MORE = 6_000
PROMISED_SAVING = 0.30

CAMVID_TEXT = "CamVid: the policy beats random, entropy and BALD at every budget but 1,440, where it equals entropy."
CITYSCAPES_TEXT = "Cityscapes: the policy reaches 96% of full supervision at 19,200 regions; entropy needs 6,000 more."
ENTROPY_TEXT = "The pixels that the policy selects have the highest class entropy."
AHEAD_TEXT = f"{REGIONWISE} is ahead of every baseline in area, each interval excluding 0."
CONTROL_TEXT = f"{REGIONWISE} is ahead of its untrained control in area, the interval excluding 0."
SAVES_TEXT = f"{REGIONWISE} needs 30% fewer regions than the best baseline for 95% of full supervision."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim, the data set it was put to, and what decided it."""

    whose: Literal["paper", "ours"]
    where: str
    text: str
    verdict: Verdict
    evidence: str


def judge(analyses: Sequence[Analysis]) -> list[Claim]:
    """Every claim on every data set it speaks of. One that fails anywhere it was measured has failed; it has held only where
    everything it speaks of was measured; else it was not tested."""
    claims: list[Claim] = []
    for dataset, judge_paper in (("camvid", _camvid), ("cityscapes", _cityscapes)):
        found = [judge_paper(analysis) for analysis in analyses if analysis.study.dataset == dataset]
        claims += found or [_absent(dataset)]
    claims += [_entropy(analysis) for analysis in analyses]
    for decide in (_ahead, _beats_control, _saves):
        claims += [decide(analysis) for analysis in analyses]
    blunt = {analysis.study.name for analysis in analyses if _uninformative(analysis)}
    return [
        replace(claim, evidence=f"{claim.evidence} The data set is uninformative.") if claim.where in blunt else claim
        for claim in claims
    ]


def _absent(dataset: str) -> Claim:
    text = CAMVID_TEXT if dataset == "camvid" else CITYSCAPES_TEXT
    return _decided("paper", dataset, text, gaps=[f"no run of {dataset} was given"])


def _decided(
    whose: Literal["paper", "ours"],
    where: str,
    text: str,
    *,
    against: Iterable[str] = (),
    gaps: Iterable[str] = (),
    support: Iterable[str] = (),
) -> Claim:
    failures, missing, good = list(against), list(gaps), list(support)
    verdict: Verdict = "failed" if failures else "not tested" if missing else "held"
    said = {"failed": failures, "not tested": [*missing, *good], "held": good}[verdict]
    evidence = "; ".join(said)
    # Names of methods such as learned:paper keep their small letter.
    if Method.parse(evidence.partition(" ")[0]).is_plain:
        evidence = f"{evidence[:1].upper()}{evidence[1:]}"
    return Claim(whose=whose, where=where, text=text, verdict=verdict, evidence=f"{evidence}.")


def _camvid(analysis: Analysis) -> Claim:
    """Beaten: a higher mean over the seeds both have. Equal: a paired t-test at 0.05 does not tell them apart."""
    against: list[str] = []
    gaps: list[str] = []
    support: list[str] = []
    smallest = math.inf
    for rival in RIVALS:
        for budget in CAMVID_BUDGETS:
            ours, theirs = _shared_mious(analysis, PAPER, rival, budget)
            if len(ours) < 2:
                gaps.append(f"{PAPER} and {rival} share fewer than two seeds at {budget:,} regions")
                continue
            difference = statistics.fmean(ours) - statistics.fmean(theirs)
            said = f"at {budget:,} regions it is {100 * difference:+.2f} points from {rival}"
            if budget == CAMVID_EQUAL_AT and rival == "entropy":
                (against if paired_t_sign(ours, theirs) else support).append(said)
            elif difference <= 0:
                against.append(said)
            else:
                smallest = min(smallest, difference)
    if math.isfinite(smallest):
        support.insert(0, f"the smallest lead is {100 * smallest:+.2f} points")
    return _decided("paper", analysis.study.name, CAMVID_TEXT, against=_few(against), gaps=_few(gaps), support=support)


def _cityscapes(analysis: Analysis) -> Claim:
    where = analysis.study.name
    headroom = analysis.study.headroom
    mious = [
        p.budgets[CITYSCAPES_BUDGET].miou for p in _plays(analysis, PAPER).values() if CITYSCAPES_BUDGET in p.budgets
    ]
    ours, theirs = (_reach(analysis, Entry(method=m, protocol=PER_POOL), 0.96) for m in (PAPER, "entropy"))
    if headroom is None or headroom.full is None or not mious or ours is None or theirs is None:
        return _decided(
            "paper", where, CITYSCAPES_TEXT, gaps=[f"full supervision, {PAPER} at 19,200 regions or entropy is missing"]
        )
    share = statistics.fmean(mious) / headroom.full
    level = (
        f"at 19,200 regions it is at {100 * share:.1f}% of full supervision ({100 * statistics.fmean(mious):.1f} mIoU)"
    )
    if share < 0.96 or math.isinf(ours.mean):
        return _decided("paper", where, CITYSCAPES_TEXT, against=[level])
    more = min(theirs.mean, theirs.last) - ours.mean
    if math.isfinite(theirs.mean):
        said = f"entropy needs {abs(more):,.0f} regions {'more' if more >= 0 else 'fewer'}"
        held = more >= CITYSCAPES_MORE
        return _decided("paper", where, CITYSCAPES_TEXT, against=[] if held else [said, level], support=[level, said])
    said = f"entropy is not there after {more:,.0f} regions more"
    gaps = [] if more >= CITYSCAPES_MORE else [f"{said}, and was not measured further"]
    return _decided("paper", where, CITYSCAPES_TEXT, gaps=gaps, support=[level, said] if not gaps else [level])


def _entropy(analysis: Analysis) -> Claim:
    """Compared as the paper does, with random, entropy and BALD, at the last budget that is compared."""
    where, budgets = analysis.study.name, analysis.curves.budgets
    means = {method: _mean_entropy(analysis, method) for method in (PAPER, *RIVALS)}
    known = {method: mean for method, mean in means.items() if mean is not None}
    gaps = [f"{method} has no class entropy" for method in means if method not in known]
    if PAPER not in known:
        return _decided("paper", where, ENTROPY_TEXT, gaps=gaps)
    own = f"{known[PAPER]:.3f} nats at {budgets[-1]:,} regions"
    against = [
        f"{m} selects {v:.3f} nats, the policy {own}" for m, v in known.items() if m != PAPER and v >= known[PAPER]
    ]
    others = ", ".join(f"{method} {mean:.3f}" for method, mean in known.items() if method != PAPER)
    return _decided("paper", where, ENTROPY_TEXT, against=against, gaps=gaps, support=[f"{own} ({others or 'alone'})"])


def _ahead(analysis: Analysis) -> Claim:
    where, learned = analysis.study.name, _own(analysis)
    if learned is None:
        return _decided("ours", where, AHEAD_TEXT, gaps=[f"{REGIONWISE} has no area yet"])
    rivals = {e: d for e, d in analysis.differences[learned].items() if e.kind == "baseline"}
    missing = [method for method in BASELINES if method not in {entry.method for entry in rivals}]
    gaps = [f"not compared with {', '.join(missing)}"] if missing else []
    gaps += [f"only one seed shared with {entry.method}" for entry, d in rivals.items() if d.low is None]
    against = [
        f"{100 * d.mean:+.2f} points from {e.method} under {e.protocol}{_interval(d.low, d.high)}"
        for e, d in rivals.items()
        if d.low is not None and not d.ahead
    ]
    least = min((d.mean for d in rivals.values()), default=0.0)
    support = [f"ahead of all {len(rivals)} compared, by {100 * least:+.2f} points or more"] if rivals else []
    return _decided("ours", where, AHEAD_TEXT, against=_few(against), gaps=gaps, support=support)


def _beats_control(analysis: Analysis) -> Claim:
    where, learned = analysis.study.name, _own(analysis)
    found = analysis.differences.get(learned, {}) if learned else {}
    difference = next((d for entry, d in found.items() if entry.method == CONTROL), None)
    if difference is None or difference.low is None:
        return _decided("ours", where, CONTROL_TEXT, gaps=[f"{REGIONWISE} and {CONTROL} share fewer than two seeds"])
    said = [f"{100 * difference.mean:+.2f} points{_interval(difference.low, difference.high)}"]
    return _decided("ours", where, CONTROL_TEXT, against=[] if difference.ahead else said, support=said)


def _saves(analysis: Analysis) -> Claim:
    where, learned = analysis.study.name, _own(analysis)
    rivals = analysis.areas if learned is None else analysis.differences[learned]
    baselines = [entry for entry in rivals if entry.kind == "baseline"]
    ours = None if learned is None else _reach(analysis, learned, 0.95)
    best = best_reach([r for r in (_reach(analysis, entry, 0.95) for entry in baselines) if r is not None])
    if ours is None or best is None:
        return _decided("ours", where, SAVES_TEXT, gaps=["full supervision, a baseline or the policy is missing"])
    missing = [method for method in BASELINES if method not in {entry.method for entry in baselines}]
    gaps = [f"without {', '.join(missing)}"] if missing else []
    saved = saving(ours, best)
    if saved is None:
        said = f"the policy is not there after {ours.last:,.0f} regions"
        reached = math.isfinite(best.mean)
        return _decided(
            "ours",
            where,
            SAVES_TEXT,
            against=[f"{said}, the best baseline is after {best.mean:,.0f}"] if reached else [],
            gaps=[f"{said}, nor is a baseline"],
        )
    said = f"{'at least ' if saved.at_least else ''}{saved.wording}: {ours.mean:,.0f} regions"
    if saved.share >= PROMISED_SAVING:
        return _decided("ours", where, SAVES_TEXT, gaps=gaps, support=[said])
    if saved.at_least:
        return _decided("ours", where, SAVES_TEXT, gaps=[f"{said}, and no baseline was measured until it got there"])
    return _decided("ours", where, SAVES_TEXT, against=[f"{said} against {best.mean:,.0f}"])


def best_reach(reaches: Sequence[Reach]) -> Reach | None:
    """The cheapest on the mean curve; where none gets there, the one that was measured furthest."""
    return min(reaches, key=lambda each: (each.mean, -each.last), default=None)


def _uninformative(analysis: Analysis) -> bool:
    return analysis.study.headroom is not None and analysis.study.headroom.informative is False


def _own(analysis: Analysis) -> Entry | None:
    """The project's own policy, under the paper's protocol where it has played that."""
    found = [entry for entry in analysis.differences if entry.method == REGIONWISE]
    return min(found, key=lambda entry: entry.protocol != PER_POOL, default=None)


def _reach(analysis: Analysis, entry: Entry, share: float) -> Reach | None:
    headroom, curves = analysis.study.headroom, analysis.curves
    return None if headroom is None else reach(curves.finished(entry), curves.budgets, headroom, share, "regions")


def _plays(analysis: Analysis, method: str) -> Plays:
    return analysis.curves.plays.get(Entry(method=method, protocol=PER_POOL), {})


def _shared_mious(analysis: Analysis, first: str, second: str, budget: int) -> tuple[list[float], list[float]]:
    def measured(method: str) -> dict[int, Trajectory]:
        return {seed: play for seed, play in _plays(analysis, method).items() if budget in play.budgets}

    ours, theirs = measured(first), measured(second)
    seeds = sorted(ours.keys() & theirs.keys())
    return [ours[s].budgets[budget].miou for s in seeds], [theirs[s].budgets[budget].miou for s in seeds]


def _mean_entropy(analysis: Analysis, method: str) -> float | None:
    curves = analysis.curves
    finished = curves.finished(Entry(method=method, protocol=PER_POOL)).values()
    known = [e for p in finished if (e := p.budgets[curves.budgets[-1]].class_entropy) is not None]
    return statistics.fmean(known) if known else None


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% interval {100 * low:+.2f} to {100 * high:+.2f})"


def _few(said: list[str]) -> list[str]:
    return said if len(said) <= 3 else [*said[:2], f"and {len(said) - 2} more like these"]
