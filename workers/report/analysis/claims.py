"""Claims, the paper's and the project's own, decided from what was measured: held, failed, or not tested."""

from collections.abc import Sequence
from dataclasses import replace

from workers.report.analysis.comparisons import Analysis
from workers.report.analysis.own_claims import own_claims
from workers.report.analysis.paper_claims import paper_claims
from workers.report.analysis.verdicts import Claim


def judge(analyses: Sequence[Analysis]) -> list[Claim]:
    """Every claim on every data set it speaks of. One that fails anywhere it was measured has failed; it has held only where
    everything it speaks of was measured; else it was not tested."""
    blunt = {analysis.study.name for analysis in analyses if _uninformative(analysis)}
    return [
        replace(claim, evidence=f"{claim.evidence} The data set is uninformative.") if claim.where in blunt else claim
        for claim in (*paper_claims(analyses), *own_claims(analyses))
    ]


def _uninformative(analysis: Analysis) -> bool:
    return analysis.study.headroom is not None and analysis.study.headroom.informative is False
