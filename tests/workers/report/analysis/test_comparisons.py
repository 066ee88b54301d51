"""Paired differences, their family of tests, and ablations against their base."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import trajectory, write_run
from workers.report.analysis.comparisons import Analysis, analyse, differences, paired_difference
from workers.report.analysis.curves import Entry
from workers.report.data.reading import read_runs

LEARNED = Entry(method="learned:regionwise", protocol="per-pool")
SETTINGS = {"batch_size": 24, "cell_height": 36, "cell_width": 32}


def analysis(folder: Path, *trajectories: dict[str, Any]) -> Analysis:
    (study,) = read_runs([write_run(folder / "run", trajectories)])
    return analyse(study)


def baseline(method: str, protocol: str = "per-pool") -> Entry:
    return Entry(method=method, protocol=protocol)


def test_difference_is_over_the_seeds_that_both_have() -> None:
    found = paired_difference({0: 0.5, 1: 0.6, 2: 0.9}, {0: 0.4, 1: 0.4, 7: 0.1})
    assert found is not None
    assert found.seeds == (0, 1)
    assert found.mean == pytest.approx(0.15)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.2)
    assert found.p == 0.5
    assert found.ahead


def test_one_shared_seed_gives_a_mean_and_nothing_else() -> None:
    found = paired_difference({0: 0.5, 1: 0.6}, {1: 0.4})
    assert found is not None
    assert (found.low, found.high, found.p, found.ahead, found.behind) == (None, None, None, False, False)
    assert paired_difference({0: 0.5}, {1: 0.4}) is None


def test_only_baselines_are_in_the_family_of_the_correction() -> None:
    areas = {
        LEARNED: dict.fromkeys(range(4), 0.5),
        baseline("entropy"): {0: 0.4, 1: 0.4, 2: 0.4, 3: 0.4},
        baseline("random"): {0: 0.3, 1: 0.3, 2: 0.3, 3: 0.3},
        baseline("greedy-oracle"): {0: 0.6, 1: 0.6, 2: 0.6, 3: 0.6},
    }
    found = differences(LEARNED, areas)
    # Two of 16 patterns each: 0.125, and 0.25 over a family of two.
    assert {entry.method: (d.p, d.corrected) for entry, d in found.items()} == {
        "entropy": (0.125, 0.25),
        "random": (0.125, 0.25),
        "greedy-oracle": (0.125, None),
    }


def test_a_protocol_the_policy_has_not_played_is_compared_across() -> None:
    areas = {LEARNED: {0: 0.5}, baseline("entropy", "global"): {0: 0.6}}
    assert set(differences(LEARNED, areas)) == {baseline("entropy", "global")}
    both = areas | {Entry(method="learned:regionwise", protocol="global"): {0: 0.7}}
    assert differences(LEARNED, both) == {}


def test_an_ablation_is_compared_with_the_projects_policy(tmp_path: Path) -> None:
    main = [trajectory("learned:regionwise", seed, {100: 0.3, 200: 0.5}) for seed in range(2)]
    variants = [
        trajectory("learned:no-state", seed, {100: 0.2, 200: 0.4}, group="ablation:components") for seed in range(2)
    ]
    (ablation,) = analysis(tmp_path, *main, *variants).ablations
    (variant,) = ablation.variants
    assert (ablation.name, ablation.unit, ablation.span) == ("components", "regions", (100, 200))
    assert (variant.label, variant.base) == ("learned:no-state", "learned:regionwise")
    assert variant.difference is not None
    assert variant.difference.mean == pytest.approx(-0.1)


def test_an_ablation_of_another_policy_is_compared_with_that_one(tmp_path: Path) -> None:
    main = [trajectory(f"learned:{name}", 0, {100: 0.3, 200: 0.5}) for name in ("regionwise", "turns")]
    variant = trajectory("learned:turns-untaught", 0, {100: 0.2, 200: 0.4}, group="ablation:turns")
    (ablation,) = analysis(tmp_path, *main, variant).ablations
    assert [(each.label, each.base) for each in ablation.variants] == [("learned:turns-untaught", "learned:turns")]


def test_a_changed_setting_is_compared_with_the_same_method(tmp_path: Path) -> None:
    settings = SETTINGS | {"policy": {"episodes": 10}}
    main = [trajectory(method, 0, {100: 0.3, 200: 0.5}) for method in ("learned:regionwise", "entropy")]
    variant = trajectory(
        "entropy", 0, {100: 0.3, 200: 0.7}, group="ablation:k", experiment=settings | {"batch_size": 48}
    )
    (ablation,) = analysis(tmp_path, *main, variant).ablations
    assert [(each.label, each.base) for each in ablation.variants] == [("batch_size 48", "entropy")]


def test_region_sizes_are_compared_by_pixels_over_the_range_both_cover(tmp_path: Path) -> None:
    main = trajectory("learned:regionwise", 0, {100: 0.3, 300: 0.5})
    variant = trajectory(
        "learned:regionwise",
        0,
        {50: 0.4, 100: 0.5},
        group="ablation:region-size",
        experiment=SETTINGS | {"cell_height": 72, "cell_width": 64},
    )
    for each in variant["budgets"].values():
        each["pixels"] *= 4
    (ablation,) = analysis(tmp_path, main, variant).ablations
    # The large regions span 200 to 400 small ones, the base 100 to 300: compared from 200 to 300.
    assert (ablation.unit, ablation.span) == ("pixels", (200 * 1152, 300 * 1152))
    (found,) = ablation.variants
    assert found.areas == {0: pytest.approx(0.425)}
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(0.425 - 0.45)


def test_an_ablation_without_a_base_has_no_difference(tmp_path: Path) -> None:
    variant = trajectory("learned:no-state", 0, {100: 0.2, 200: 0.4}, group="ablation:components")
    (ablation,) = analysis(tmp_path, variant).ablations
    assert [(each.base, each.difference) for each in ablation.variants] == [("", None)]
