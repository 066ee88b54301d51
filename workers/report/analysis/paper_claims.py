"""The claims of the paper, decided from what was measured."""

import math
import statistics
from collections.abc import Sequence

from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.curves import PAPER, PER_POOL, Entry, Plays
from workers.report.analysis.statistics import paired_t_sign
from workers.report.analysis.verdicts import Claim, decided, few, region_reach
from workers.report.data.records import Trajectory

RIVALS = ("random", "entropy", "bald")
CAMVID_BUDGETS = (480, 720, 960, 1200, 1440, 1920)
CAMVID_EQUAL_AT = 1440
CITYSCAPES_BUDGET = 19_200
CITYSCAPES_MORE = 6_000

CAMVID_TEXT = "CamVid: the policy beats random, entropy and BALD at every budget but 1,440, where it equals entropy."
CITYSCAPES_TEXT = "Cityscapes: the policy reaches 96% of full supervision at 19,200 regions; entropy needs 6,000 more."
ENTROPY_TEXT = "The pixels that the policy selects have the highest class entropy."


def paper_claims(analyses: Sequence[Analysis]) -> list[Claim]:
    """Each claim on the data set it speaks of, and that of entropy on every one.

    Where one of the paper's data sets was played, what is said of the other stands there as not tested; where none was, neither.
    """
    judges = {"camvid": (CAMVID_TEXT, _camvid), "cityscapes": (CITYSCAPES_TEXT, _cityscapes)}
    replicated = any(analysis.study.dataset in judges for analysis in analyses)
    claims: list[Claim] = []
    for dataset, (text, judge_paper) in judges.items():
        claims += [judge_paper(analysis) for analysis in analyses if analysis.study.dataset == dataset] or (
            [decided("paper", dataset, text, gaps=[f"no run of {dataset} was given"])] if replicated else []
        )
    return claims + [_entropy(analysis) for analysis in analyses]


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
    return decided("paper", analysis.study.name, CAMVID_TEXT, against=few(against), gaps=few(gaps), support=support)


def _cityscapes(analysis: Analysis) -> Claim:
    where = analysis.study.name
    headroom = analysis.study.headroom
    mious = [
        p.budgets[CITYSCAPES_BUDGET].miou for p in _plays(analysis, PAPER).values() if CITYSCAPES_BUDGET in p.budgets
    ]
    ours, theirs = (region_reach(analysis, Entry(method=m, protocol=PER_POOL), 0.96) for m in (PAPER, "entropy"))
    if headroom is None or headroom.full is None or not mious or ours is None or theirs is None:
        return decided(
            "paper", where, CITYSCAPES_TEXT, gaps=[f"full supervision, {PAPER} at 19,200 regions or entropy is missing"]
        )
    share = statistics.fmean(mious) / headroom.full
    level = (
        f"at 19,200 regions it is at {100 * share:.1f}% of full supervision ({100 * statistics.fmean(mious):.1f} mIoU)"
    )
    if share < 0.96 or math.isinf(ours.mean):
        return decided("paper", where, CITYSCAPES_TEXT, against=[level])
    if ours.mean == theirs.mean == 0:
        return decided("paper", where, CITYSCAPES_TEXT, gaps=["96% of full supervision is reached at theta_0 already"])
    more = min(theirs.mean, theirs.last) - ours.mean
    if math.isfinite(theirs.mean):
        said = f"entropy needs {abs(more):,.0f} regions {'more' if more >= 0 else 'fewer'}"
        held = more >= CITYSCAPES_MORE
        return decided("paper", where, CITYSCAPES_TEXT, against=[] if held else [said, level], support=[level, said])
    said = f"entropy is not there after {more:,.0f} regions more"
    gaps = [] if more >= CITYSCAPES_MORE else [f"{said}, and was not measured further"]
    return decided("paper", where, CITYSCAPES_TEXT, gaps=gaps, support=[level, said] if not gaps else [level])


def _entropy(analysis: Analysis) -> Claim:
    """Compared as the paper does, with random, entropy and BALD, at the last budget that is compared."""
    where, budgets = analysis.study.name, analysis.curves.budgets
    means = {method: _mean_entropy(analysis, method) for method in (PAPER, *RIVALS)}
    known = {method: mean for method, mean in means.items() if mean is not None}
    gaps = [f"{method} has no class entropy" for method in means if method not in known]
    if PAPER not in known:
        return decided("paper", where, ENTROPY_TEXT, gaps=gaps)
    own = f"{known[PAPER]:.3f} nats at {budgets[-1]:,} regions"
    against = [
        f"{m} selects {v:.3f} nats, the policy {own}" for m, v in known.items() if m != PAPER and v >= known[PAPER]
    ]
    others = ", ".join(f"{method} {mean:.3f}" for method, mean in known.items() if method != PAPER)
    return decided("paper", where, ENTROPY_TEXT, against=against, gaps=gaps, support=[f"{own} ({others or 'alone'})"])


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
