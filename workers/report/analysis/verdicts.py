"""What a claim is, and how what speaks for it and against it becomes its verdict and its evidence."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.domain.methods import Method
from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.costs import Reach, reach
from workers.report.analysis.curves import Entry

Verdict = Literal["held", "failed", "not tested"]
Whose = Literal["paper", "ours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim, the data set it was put to, and what decided it."""

    whose: Whose
    where: str
    text: str
    verdict: Verdict
    evidence: str


def decided(
    whose: Whose,
    where: str,
    text: str,
    *,
    against: Iterable[str] = (),
    gaps: Iterable[str] = (),
    support: Iterable[str] = (),
) -> Claim:
    """Failed where anything speaks against it, else not tested where anything is missing, else held."""
    failures, missing, good = list(against), list(gaps), list(support)
    verdict: Verdict = "failed" if failures else "not tested" if missing else "held"
    said = {"failed": failures, "not tested": [*missing, *good], "held": good}[verdict]
    evidence = "; ".join(said)
    # Names of methods such as learned:paper keep their small letter.
    if Method.parse(evidence.partition(" ")[0]).is_plain:
        evidence = f"{evidence[:1].upper()}{evidence[1:]}"
    return Claim(whose=whose, where=where, text=text, verdict=verdict, evidence=f"{evidence}.")


def region_reach(analysis: Analysis, entry: Entry, share: float) -> Reach | None:
    """Regions that an entry needs for a share of full supervision; None where that was not measured."""
    headroom, curves = analysis.study.headroom, analysis.curves
    return None if headroom is None else reach(curves.finished(entry), curves.budgets, headroom, share, "regions")


def few(said: list[str]) -> list[str]:
    """Three of what is said at most, or two and how many more there are."""
    return said if len(said) <= 3 else [*said[:2], f"and {len(said) - 2} more like these"]
