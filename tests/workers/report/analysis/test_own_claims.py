"""The claims of this project, for each of its policies that was played, are decided by the figures."""

import pytest

from service.domain.methods import BASELINES
from tests.workers.report.analysis.conftest import Judged
from tests.workers.report.fake import FULL, flat, trajectory
from workers.report.analysis.curves import control_of
from workers.report.analysis.own_claims import ahead_text, control_text, rivals_text, saves_text
from workers.report.analysis.paper_claims import CAMVID_BUDGETS, CITYSCAPES_TEXT

OURS: dict[str, float] = {
    "learned:regionwise": 0.50,
    **dict.fromkeys(BASELINES, 0.40),
    "learned-untrained:regionwise": 0.41,
}


def test_ahead_holds_only_with_all_baselines(judged: Judged) -> None:
    claim = judged(flat(OURS))[ahead_text("learned:regionwise")]
    assert (claim.verdict, claim.evidence) == (
        "held",
        f"Ahead of all {len(BASELINES)} compared, by +10.00 points or more over labels and +10.00 or more over their logarithm.",
    )


@pytest.mark.parametrize("rival", ["bald", "learned-untrained:regionwise"])
def test_who_is_behind_over_the_logarithm_of_labels_is_not_ahead(judged: Judged, rival: str) -> None:
    # One point ahead at every budget but the first, ten behind there. That one counts 120 of 1,440 regions, and
    # log2(720 / 480) / 2 = 0.2925 of two doublings: 1 - 11 / 12 and 1 - 11 x 0.1462.
    bumps = {(rival, budget): 0.09 for budget in CAMVID_BUDGETS} | {(rival, 480): 0.20}
    found = judged(flat(OURS | {rival: 0.40}, bumps))
    claim = found[(control_text if "untrained" in rival else ahead_text)("learned:regionwise")]
    assert claim.verdict == "failed"
    assert claim.evidence.startswith("+0.08 points")
    assert "(95% interval +0.08 to +0.08), -0.61 over the logarithm (95% interval -0.61 to -0.61)" in claim.evidence


def test_who_is_behind_over_labels_is_not_ahead(judged: Judged) -> None:
    # Ten points ahead at every budget but the last, which counts 240 of 1,440 regions, and log2(1920 / 1440) / 2 = 0.2075
    # of two doublings: 10 - 65 / 6 and 10 - 65 x 0.1038.
    claim = judged(flat(OURS, {("bald", 1920): 0.65}))[ahead_text("learned:regionwise")]
    assert claim.verdict == "failed"
    assert (
        "-0.83 points from bald under per-pool (95% interval -0.83 to -0.83), +3.26 over the logarithm"
        in claim.evidence
    )


@pytest.mark.parametrize("method", ["learned:blend", "learned:shipped", "learned:regionwise"])
def test_each_own_policy_that_was_played_has_its_claims(judged: Judged, method: str) -> None:
    found = judged(flat({method: 0.50, **dict.fromkeys(BASELINES, 0.40), control_of(method): 0.41}))
    own = {text: claim for text, claim in found.items() if claim.whose == "ours"}
    rivals = {rivals_text(method)} if method == "learned:shipped" else set()
    assert set(own) == {ahead_text(method), control_text(method), saves_text(method)} | rivals
    assert all(text.startswith(f"{method} ") for text in own)
    assert all(claim.verdict == "held" for text, claim in own.items() if text != saves_text(method))
    assert own[control_text(method)].evidence.startswith("+9.00 points (95% interval +9.00 to +9.00), +9.00 over")


def test_where_no_own_policy_was_played_the_claims_of_blend_are_not_tested(judged: Judged) -> None:
    own = {t: c.verdict for t, c in judged(flat({"random": 0.4, "learned:paper": 0.5})).items() if c.whose == "ours"}
    texts = [text("learned:blend") for text in (ahead_text, control_text, saves_text)]
    assert own == dict.fromkeys(texts, "not tested")


def test_blend_is_not_claimed_for_where_another_own_policy_was_played(judged: Judged) -> None:
    assert not any(text.startswith("learned:blend ") for text in judged(flat(OURS)))


def test_shipped_is_held_against_the_beginning_of_blend(judged: Judged) -> None:
    found = judged(flat({"learned:shipped": 0.50, "learned-untrained:blend": 0.51, "random": 0.4}))
    text = control_text("learned:shipped")
    assert "learned-untrained:blend, which is its untrained control too," in text
    assert found[text].verdict == "failed"


@pytest.mark.parametrize(("bald", "verdict"), [(0.44, "held"), (0.51, "failed"), (None, "not tested")])
def test_shipped_is_held_against_the_paper_s_rivals_alone(judged: Judged, bald: float | None, verdict: str) -> None:
    levels = {"learned:shipped": 0.50, "random": 0.40, "entropy": 0.45, "coreset": 0.60}
    found = judged(flat(levels | ({} if bald is None else {"bald": bald})))
    assert found[rivals_text("learned:shipped")].verdict == verdict
    assert found[ahead_text("learned:shipped")].verdict == "failed"


def test_ahead_is_not_tested_where_a_baseline_is_missing(judged: Judged) -> None:
    claim = judged(flat({method: level for method, level in OURS.items() if method != "coreset"}))[
        ahead_text("learned:regionwise")
    ]
    assert claim.verdict == "not tested"
    assert "Not compared with coreset" in claim.evidence


def test_ahead_fails_at_one_baseline_even_where_others_are_missing(judged: Judged) -> None:
    claim = judged(flat({"learned:regionwise": 0.50, "random": 0.40, "bald": 0.51}))[ahead_text("learned:regionwise")]
    assert claim.verdict == "failed"
    assert claim.evidence.startswith("-1.00 points from bald under per-pool")


def test_an_interval_that_touches_zero_is_not_ahead(judged: Judged) -> None:
    plays = flat(OURS)
    for play in plays:
        if (play["method"], play["seed"]) == ("bald", 2):
            for at in play["budgets"].values():
                at["miou"] = 0.51
    assert judged(plays)[ahead_text("learned:regionwise")].verdict == "failed"


@pytest.mark.parametrize(("level", "verdict"), [(0.41, "held"), (0.52, "failed")])
def test_control_claim(judged: Judged, level: float, verdict: str) -> None:
    assert (
        judged(flat(OURS | {"learned-untrained:regionwise": level}))[control_text("learned:regionwise")].verdict
        == verdict
    )


def test_control_claim_is_not_tested_without_the_control(judged: Judged) -> None:
    assert (
        judged(flat({"learned:regionwise": 0.5, "random": 0.4}))[control_text("learned:regionwise")].verdict
        == "not tested"
    )


@pytest.mark.parametrize(("baseline_at", "verdict"), [(1500, "held"), (1400, "failed"), (None, "held")])
def test_saving_claim(judged: Judged, baseline_at: int | None, verdict: str) -> None:
    # theta_0 is 0.30 and the target 0.95 x 0.56 = 0.532: straight lines to it at 1,000 regions and at the baseline's.
    target = 0.95 * FULL

    def line(end: int) -> dict[int, float]:
        return {b: 0.30 + (target - 0.30) * b / end for b in (500, 1000, 2000)}

    slow = {500: 0.3, 1000: 0.3, 2000: 0.3} if baseline_at is None else line(baseline_at)
    plays = [trajectory("learned:regionwise", s, line(1000)) for s in range(2)]
    plays += [trajectory(m, s, slow) for m in BASELINES for s in range(2)]
    assert judged(plays)[saves_text("learned:regionwise")].verdict == verdict


def test_saving_is_against_the_baselines_of_the_protocol_that_the_policy_is_compared_under(judged: Judged) -> None:
    target = 0.95 * FULL

    def line(end: int) -> dict[int, float]:
        return {b: 0.30 + (target - 0.30) * b / end for b in (500, 1000, 2000)}

    plays = [trajectory("learned:regionwise", s, line(1000)) for s in range(2)]
    plays += [trajectory("learned:regionwise", s, line(900), protocol="global") for s in range(2)]
    plays += [trajectory(m, s, line(2000)) for m in BASELINES for s in range(2)]
    plays += [trajectory(m, s, line(600), protocol="global") for m in BASELINES for s in range(2)]
    found = judged(plays)[saves_text("learned:regionwise")]
    assert (found.verdict, found.evidence) == ("held", "50% fewer: 1,000 regions.")


def test_a_policy_that_needs_more_is_said_to_need_more(judged: Judged) -> None:
    plays = [trajectory("learned:regionwise", s, {500: 0.3, 1000: 0.532, 2000: 0.6}) for s in range(2)]
    plays += [trajectory(m, s, {500: 0.532, 1000: 0.6, 2000: 0.6}) for m in BASELINES for s in range(2)]
    assert judged(plays)[saves_text("learned:regionwise")].evidence == "100% more: 1,000 regions against 500."


def test_saving_is_not_tested_where_nobody_gets_there(judged: Judged) -> None:
    assert judged(flat(dict.fromkeys(OURS, 0.4)))[saves_text("learned:regionwise")].verdict == "not tested"


@pytest.mark.parametrize(("full", "verdict"), [(0.60, "not tested"), (0.62, "failed")])
def test_saving_is_not_tested_where_theta_0_is_there_already(judged: Judged, full: float, verdict: str) -> None:
    # 95% of 0.60 is 0.57, of 0.62 it is 0.589, to which the policy comes at 90 % of its first budget, the baselines at a third.
    levels: dict[str, float] = {"learned:regionwise": 0.59, **dict.fromkeys(BASELINES, 0.607)}
    plays = [trajectory(m, s, {500: miou, 1000: miou}) for m, miou in levels.items() for s in range(2)]
    claim = judged(plays, theta_0={"miou": [0.58]}, full={"miou": [full]})[saves_text("learned:regionwise")]
    assert claim.verdict == verdict
    assert claim.evidence.startswith("95% of full supervision is reached at theta_0 already.") == (
        verdict == "not tested"
    )


def test_claims_on_an_uninformative_data_set_say_so(judged: Judged) -> None:
    found = judged(flat(OURS), std=0.2)
    assert found[ahead_text("learned:regionwise")].evidence.endswith("The data set is uninformative.")
    assert "uninformative" not in found[CITYSCAPES_TEXT].evidence
