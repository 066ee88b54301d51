"""Labels needed for a share of full supervision, against figures worked out by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import headroom, trajectory, write_run
from workers.report.analysis.costs import Reach, best_reach, reach, saving
from workers.report.data.reading import read_runs
from workers.report.data.records import Study


def study(folder: Path, trajectories: list[dict[str, Any]], **changes: Any) -> Study:
    (found,) = read_runs([write_run(folder, trajectories, headroom=headroom(**changes))])
    return found


def test_reach_reads_the_mean_curve_and_each_seed(tmp_path: Path) -> None:
    # A share of 0.75 of full supervision, 0.56, asks for 0.42.
    found = study(
        tmp_path / "a",
        [trajectory("entropy", 0, {100: 0.36, 200: 0.48}), trajectory("entropy", 1, {100: 0.34, 200: 0.40})],
    )
    plays = {play.seed: play for play in found.trajectories}
    assert found.headroom is not None
    result = reach(plays, (100, 200), found.headroom, 0.75, "regions")
    assert result is not None
    # Seed 0: 100 + 100 x 0.06 / 0.12 = 150. Seed 1 does not get there. Mean curve 0.35, 0.44: 100 + 100 x 0.07 / 0.09.
    assert result.mean == pytest.approx(100 + 700 / 9)
    assert result.low == pytest.approx(150)
    assert (result.high, result.median) == (math.inf, math.inf)
    assert (result.reached, result.seeds, result.last) == (1, 2, 200)
    pixels = reach(plays, (100, 200), found.headroom, 0.75, "pixels")
    assert pixels is not None
    assert pixels.mean == pytest.approx(1152 * result.mean)


def test_curves_begin_at_theta_0_which_costs_nothing(tmp_path: Path) -> None:
    found = study(tmp_path / "a", [trajectory("entropy", 0, {100: 0.54})])
    assert found.headroom is not None
    result = reach({0: found.trajectories[0]}, (100,), found.headroom, 0.75, "regions")
    assert result is not None
    assert result.mean == pytest.approx(50)  # 0.42 is half way from 0.30 to 0.54


def test_a_unit_that_was_not_recorded_has_no_reach(tmp_path: Path) -> None:
    each = trajectory("entropy", 0, {100: 0.54})
    del each["budgets"]["100"]["clicks"]
    found = study(tmp_path / "a", [each])
    assert found.headroom is not None
    assert reach({0: found.trajectories[0]}, (100,), found.headroom, 0.75, "clicks") is None


def at(mean: float, last: float = 1000) -> Reach:
    return Reach(mean=mean, median=mean, low=mean, high=mean, reached=1, seeds=1, last=last)


def test_saving_with_and_without_labels_that_both_need() -> None:
    bare, whole = saving(at(70), at(100)), saving(at(70), at(100), extra=100)
    assert bare is not None
    assert whole is not None
    assert bare.share == pytest.approx(0.30)
    assert whole.share == pytest.approx(0.15)
    assert bare.at_least is False


def test_saving_against_a_baseline_that_never_got_there_is_a_lower_bound() -> None:
    found = saving(at(600), at(math.inf, last=1000))
    assert found is not None
    assert found.share == pytest.approx(0.4)
    assert found.at_least is True
    assert saving(at(math.inf), at(600)) is None


def test_the_cheapest_has_at_least_half_as_many_seeds_as_any() -> None:
    def needs(mean: float, seeds: int) -> Reach:
        return Reach(mean=mean, median=mean, low=mean, high=mean, reached=seeds, seeds=seeds, last=960)

    lucky, known, dear = needs(100, 1), needs(200, 2), needs(300, 4)
    assert best_reach([lucky, known, dear]) is known
    assert best_reach([lucky]) is lucky
    assert best_reach([]) is None
