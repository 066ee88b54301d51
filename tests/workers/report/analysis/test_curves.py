"""Which budgets are compared, and the areas under curves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.report.fake import trajectory, write_run
from workers.report.analysis.curves import Curves, Entry, area_between, control_of, curves_of, kind_of
from workers.report.data.reading import read_runs

ENTROPY = Entry(method="entropy", protocol="per-pool")


def curves(folder: Path, *trajectories: dict[str, Any]) -> Curves:
    (study,) = read_runs([write_run(folder / "run", trajectories)])
    return curves_of(study)


def test_area_is_the_trapezoid_over_the_regions_that_were_reached(tmp_path: Path) -> None:
    each = trajectory("entropy", 0, {100: 0.2, 200: 0.4, 400: 0.6})
    each["budgets"]["400"]["regions"] = 300  # the pool ran out
    # (0.3 x 100 + 0.5 x 100) / 200
    assert curves(tmp_path, each).areas() == {ENTROPY: {0: pytest.approx(0.4)}}


def test_area_over_the_logarithm_is_the_trapezoid_over_doublings(tmp_path: Path) -> None:
    mious = {48: 0.21, 96: 0.34, 192: 0.37, 300: 0.46, 1000: 0.52}
    found = curves(tmp_path, trajectory("entropy", 0, mious)).areas(doublings=True)
    x, y = np.log2(list(mious)), np.array(list(mious.values()))
    assert found == {ENTROPY: {0: pytest.approx(np.trapezoid(y, x) / (x[-1] - x[0]))}}


def test_each_doubling_counts_the_same_over_the_logarithm(tmp_path: Path) -> None:
    found = curves(tmp_path, trajectory("entropy", 0, {100: 0.2, 200: 0.4, 400: 0.6, 800: 0.6}))
    # (0.3 + 0.5 + 0.6) / 3, and over regions (0.3 x 100 + 0.5 x 200 + 0.6 x 400) / 700.
    assert found.areas(doublings=True) == {ENTROPY: {0: pytest.approx(1.4 / 3)}}
    assert found.areas() == {ENTROPY: {0: pytest.approx(370 / 700)}}


def test_no_regions_have_no_logarithm(tmp_path: Path) -> None:
    found = curves(tmp_path, trajectory("entropy", 0, {0: 0.1, 100: 0.2, 200: 0.4}))
    assert found.areas(doublings=True) == {ENTROPY: {0: pytest.approx(0.3)}}
    alone = curves(tmp_path / "alone", trajectory("entropy", 0, {0: 0.1, 100: 0.2}))
    assert alone.areas(doublings=True) == {}


def test_two_budgets_of_an_empty_pool_are_one_point(tmp_path: Path) -> None:
    each = trajectory("entropy", 0, {100: 0.2, 200: 0.4, 400: 0.6})
    each["budgets"]["400"]["regions"] = each["budgets"]["200"]["regions"] = 300
    assert curves(tmp_path, each).areas() == {ENTROPY: {0: pytest.approx(0.4)}}


def test_a_budget_that_few_have_reached_is_not_compared(tmp_path: Path) -> None:
    ahead = trajectory("entropy", 0, {100: 0.2, 200: 0.4, 400: 0.6})
    others = [trajectory("random", seed, {100: 0.1, 200: 0.2}) for seed in range(2)]
    found = curves(tmp_path, ahead, *others)
    assert found.budgets == (100, 200)
    assert found.areas()[ENTROPY] == {0: pytest.approx(0.3)}


def test_a_seed_that_lags_is_left_out_instead_of_cutting_all_short(tmp_path: Path) -> None:
    late = trajectory("entropy", 1, {100: 0.2})
    found = curves(tmp_path, late, *(trajectory("entropy", seed, {100: 0.2, 200: 0.4}) for seed in (0, 2)))
    assert found.budgets == (100, 200)
    assert set(found.finished(ENTROPY)) == {0, 2}


def test_one_budget_has_no_area(tmp_path: Path) -> None:
    assert curves(tmp_path, trajectory("entropy", 0, {100: 0.2})).areas() == {}


def test_ablations_stay_out_of_the_curves(tmp_path: Path) -> None:
    variant = trajectory("learned:no-state", 0, {100: 0.2, 200: 0.4}, group="ablation:components")
    found = curves(tmp_path, trajectory("entropy", 0, {100: 0.2, 200: 0.4}), variant)
    assert set(found.plays) == {ENTROPY}


def test_area_between_interpolates_the_ends() -> None:
    # From 0.25 at 150 over 0.3 at 200 to 0.4 at 300.
    assert area_between([(100, 0.2), (200, 0.3), (400, 0.5)], 150, 300) == pytest.approx(
        (0.275 * 50 + 0.35 * 100) / 150
    )
    with pytest.raises(ValueError, match="spans"):
        area_between([(100, 0.2), (200, 0.3)], 50, 150)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("learned:regionwise", "learned"),
        ("learned-untrained:regionwise", "control"),
        ("stratified-random", "baseline"),
        ("greedy-oracle", "reference"),
        ("something-new", "reference"),
    ],
)
def test_kinds_of_methods(method: str, kind: str) -> None:
    assert kind_of(method) == kind


def test_own_policies_come_first_then_the_paper_s() -> None:
    shown = ["random", "learned:paper", "learned:carried", "learned:regionwise", "learned:shipped", "learned:blend"]
    ranked = sorted((Entry(method=method, protocol="per-pool") for method in shown), key=lambda entry: entry.rank)
    assert [entry.method for entry in ranked] == [
        *("learned:blend", "learned:shipped", "learned:regionwise", "learned:paper", "learned:carried"),
        "random",
    ]


def test_shipped_has_the_control_of_blend() -> None:
    found = [control_of(f"learned:{name}") for name in ("blend", "shipped", "regionwise")]
    assert found == ["learned-untrained:blend", "learned-untrained:blend", "learned-untrained:regionwise"]
