"""The baseline that is best at each budget, chosen when all is known, and learned entries against it."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import trajectory, write_run
from workers.report.analysis.curves import Curves, Entry, curves_of
from workers.report.analysis.hindsight import against_hindsight, best_in_hindsight, chosen_in_hindsight
from workers.report.data.reading import read_runs

BLEND = Entry(method="learned:blend", protocol="per-pool")


def curves(folder: Path, *trajectories: dict[str, Any]) -> Curves:
    (study,) = read_runs([write_run(folder / "run", trajectories)])
    return curves_of(study)


def seeds(method: str, mious: dict[int, list[float]], **changes: Any) -> list[dict[str, Any]]:
    count = len(next(iter(mious.values())))
    return [trajectory(method, s, {b: each[s] for b, each in mious.items()}, **changes) for s in range(count)]


PLAYED = [
    *seeds("learned:blend", {100: [0.30, 0.34], 200: [0.50, 0.52]}),
    *seeds("entropy", {100: [0.28, 0.30], 200: [0.51, 0.55]}),
    *seeds("random", {100: [0.31, 0.31], 200: [0.40, 0.42]}),
    *seeds("greedy-oracle", {100: [0.60, 0.60], 200: [0.70, 0.70]}),
    *seeds("learned-untrained:blend", {100: [0.60, 0.60], 200: [0.70, 0.70]}),
]


def test_the_best_of_each_budget_is_a_baseline_by_its_mean(tmp_path: Path) -> None:
    found = best_in_hindsight(known := curves(tmp_path, *PLAYED), known.plays)
    assert [(each.budget, each.baseline.method) for each in found] == [(100, "random"), (200, "entropy")]
    assert [each.miou for each in found] == [pytest.approx(0.31), pytest.approx(0.53)]
    assert chosen_in_hindsight(known, "per-pool") == found


def test_a_baseline_of_few_seeds_is_not_the_best(tmp_path: Path) -> None:
    several = [*seeds("entropy", {100: [0.3] * 3, 200: [0.5] * 3}), *seeds("random", {100: [0.2] * 3, 200: [0.4] * 3})]
    found = chosen_in_hindsight(curves(tmp_path, *several, *seeds("bald", {100: [0.9], 200: [0.9]})), "per-pool")
    assert {each.baseline.method for each in found} == {"entropy"}


def test_a_learned_entry_is_held_against_it_by_shared_seeds(tmp_path: Path) -> None:
    first, second = against_hindsight(curves(tmp_path, *PLAYED, trajectory("entropy", 7, {100: 0.2, 200: 0.9})), BLEND)
    assert first.difference is not None
    assert second.difference is not None
    assert first.difference.seeds == second.difference.seeds == (0, 1)
    # -1 and +3 points at 100 regions, -1 and -3 at 200.
    assert first.difference.mean == pytest.approx(0.01)
    assert first.difference.low == pytest.approx(-0.01)
    assert first.difference.high == pytest.approx(0.03)
    assert second.difference.mean == pytest.approx(-0.02)
    assert second.difference.behind
    # Its mean is over all its seeds: (0.51 + 0.55 + 0.90) / 3.
    assert second.best.miou == pytest.approx(1.96 / 3)


def test_without_a_shared_seed_there_is_no_difference(tmp_path: Path) -> None:
    known = curves(tmp_path, *PLAYED[:2], trajectory("random", 9, {100: 0.3, 200: 0.4}))
    assert [each.difference for each in against_hindsight(known, BLEND)] == [None, None]


def test_baselines_of_a_protocol_that_it_has_played_otherwise_are_left_out(tmp_path: Path) -> None:
    strong = seeds("entropy", {100: [0.9, 0.9], 200: [0.9, 0.9]}, protocol="global")
    across = against_hindsight(curves(tmp_path, *PLAYED, *strong), BLEND)
    assert {each.best.baseline.protocol for each in across} == {"global"}
    both = seeds("learned:blend", {100: [0.3, 0.3], 200: [0.5, 0.5]}, protocol="global")
    within = against_hindsight(curves(tmp_path / "both", *PLAYED, *strong, *both), BLEND)
    assert {each.best.baseline.protocol for each in within} == {"per-pool"}


def test_there_is_nothing_to_choose_from_one_baseline_or_none(tmp_path: Path) -> None:
    assert chosen_in_hindsight(curves(tmp_path, *PLAYED[:4]), "per-pool") == []
    assert against_hindsight(curves(tmp_path / "none", *PLAYED[:2]), BLEND) == []
