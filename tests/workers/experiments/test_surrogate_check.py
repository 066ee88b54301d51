"""How the surrogate game is held against the real one: areas of records, ranks, and the file that the report reads."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

from models.strategies import build_strategy
from service.domain.methods import Method
from tests.workers.test_simulate import Inline
from tests.workers.tiny import tiny_bench, tiny_experiment, tiny_preset
from workers.experiments.policies import untrained_policy
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, theta_pre
from workers.experiments.surrogate_check import check_surrogate, rank_correlation, real_areas
from workers.policy.frozen import freeze
from workers.policy.surrogate import SurrogateGame, play
from workers.report.data.reading import read_runs
from workers.simulate import app

QUICK = ("source.images=0", "theta0_training.max_epochs=1", "theta0=source")
CURVE = {8: 0.1, 12: 0.3, 24: 0.3}  # area ((0.1 + 0.3) / 2 * 4 + 0.3 * 12) / 16 = 0.275, up to 12 regions 0.2
OTHER = {8: 0.2, 12: 0.4}  # area 0.3


def played(folder: Path) -> Experiment:
    return tiny_experiment(folder, *QUICK)


def record(out: Path, method: str, curve: dict[int, float], *, seed: int = 0, **changes: Any) -> None:
    """What a trajectory writes, as far as it is read here; the budget's name is not what was reached."""
    out.mkdir(parents=True, exist_ok=True)
    experiment = {**played(out).model_dump(mode="json", exclude={"policies"}), **changes}
    about = {"dataset": "streets", "preset": experiment["name"], "protocol": experiment["protocol"], "group": "main"}
    values = {**about, "method": method, "seed": seed, "experiment": experiment}
    budgets = {str(regions + 1): {"regions": regions, "miou": miou} for regions, miou in curve.items()}
    folder = out / "trajectories"
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.iterdir()))
    (folder / f"{number}.json").write_text(json.dumps({**values, "group": "main", "budgets": budgets}))


def bench_of(folder: Path, *more: str) -> Bench:
    return tiny_bench(tiny_experiment(folder, *QUICK, *more), folder)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 2.0, 3.0, 4.0], [10.0, 30.0, 20.0, 40.0]),
        ([3.0, 1.0, 2.0], [1.0, 3.0, 2.0]),
        ([1.0, 1.0, 2.0, 5.0, 5.0, 5.0], [0.3, 0.2, 0.2, 0.9, 0.1, 0.9]),
    ],
)
def test_the_rank_correlation_is_spearman_s_with_ties_too(first: list[float], second: list[float]) -> None:
    assert rank_correlation(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


def test_the_rank_correlation_of_many_values_with_ties_is_spearman_s() -> None:
    for first, second in np.random.default_rng(0).integers(0, 5, (20, 2, 12)).astype(float):
        expected = scipy.stats.spearmanr(first, second).statistic
        assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_where_all_values_are_equal_there_is_no_rank_correlation() -> None:
    assert math.isnan(rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert math.isnan(rank_correlation([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]))


def test_a_method_s_real_result_is_its_mean_area_over_the_regions_that_were_reached(tmp_path: Path) -> None:
    record(tmp_path, "random", CURVE, seed=0)
    record(tmp_path, "random", OTHER, seed=1)
    record(tmp_path, "entropy", OTHER)
    assert real_areas(tmp_path, played(tmp_path)) == pytest.approx({"random": (20 + 30) / 2, "entropy": 30})


def test_areas_end_where_the_shortest_curve_does(tmp_path: Path) -> None:
    record(tmp_path, "random", {4: 0.2, 8: 0.3, 12: 0.9})
    record(tmp_path, "entropy", {4: 0.1, 8: 0.2})
    record(tmp_path, "bald", {8: 0.1, 12: 0.2})
    assert real_areas(tmp_path, played(tmp_path)) == pytest.approx({"random": 25.0, "entropy": 15.0})


def test_other_presets_and_protocols_and_single_budgets_are_no_real_result(tmp_path: Path) -> None:
    record(tmp_path, "random", CURVE)
    record(tmp_path, "random", OTHER, name="large")
    record(tmp_path, "random", OTHER, protocol="global")
    record(tmp_path, "random", OTHER, batch_size=8)
    record(tmp_path, "random", {8: 0.9})
    record(tmp_path, "entropy", {8: 0.9})
    assert real_areas(tmp_path, played(tmp_path)) == pytest.approx({"random": 27.5})
    assert real_areas(tmp_path / "nowhere", played(tmp_path)) == {}


def test_methods_are_played_on_the_surrogate_game_and_the_report_reads_their_results(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    methods = {"random": CURVE, "entropy": OTHER, "learned-untrained:paper": {8: 0.2, 12: 0.3}}
    for method, curve in methods.items():
        record(tmp_path, method, curve)
    found = check_surrogate(bench, tmp_path, episodes=2)
    frozen = [
        freeze(theta_pre(bench, 0), bench.split(split), bench.experiment.loop(11, Method(name="random")))
        for split in ("train", "state", "reward")
    ]
    game = SurrogateGame(
        pool=frozen[0],
        state=frozen[1],
        reward=frozen[2],
        segmenter=theta_pre(bench, 0),
        settings=bench.experiment.loop(11, Method(name="random")),
        redraw=True,
    )
    strategies = {
        "entropy": build_strategy("entropy"),
        "learned-untrained:paper": build_strategy("learned", untrained_policy(bench, "paper", 0)),
        "random": build_strategy("random"),
    }
    # D_T and D_R have 60 regions, and two fifths of half of them are three whole rounds of 4.
    areas = {
        name: np.mean([100 * play(game, strategy, budget=12, seed=seed)[1:].mean() for seed in (0, 1)])
        for name, strategy in strategies.items()
    }
    assert {point["name"]: point["surrogate"] for point in found["points"]} == pytest.approx(areas)
    assert found["game"] == "tiny: 12 regions of half of D_T's and D_R's images, 2 episodes each"
    (study,) = read_runs([tmp_path])
    (read,) = study.surrogates
    reals = {"entropy": 30.0, "learned-untrained:paper": 25.0, "random": 20.0}
    assert {point.name: point.real for point in read.points} == pytest.approx(reals)
    assert [point.kind for point in read.points] == ["strategy", "policy", "strategy"]
    assert read.rank_correlation == pytest.approx(
        scipy.stats.spearmanr(list(areas.values()), list(reals.values())).statistic, nan_ok=True
    )
    assert read.episodes_per_hour is not None
    assert read.episodes_per_hour > 0


def test_a_single_method_has_no_rank_and_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    record(tmp_path, "random", CURVE)
    with pytest.raises(ValueError, match="trajectories of 1 methods; to compare ranks there must be at least 2"):
        check_surrogate(bench_of(tmp_path), tmp_path)
    assert not (tmp_path / "cache").exists()


def test_the_command_says_the_rank_correlation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.simulate.Processes", Inline)
    for method, curve in (("random", CURVE), ("entropy", OTHER), ("margin", {8: 0.1, 12: 0.2})):
        record(tmp_path / "out", method, curve)
    changes = [part for change in QUICK for part in ("--set", change)]
    run = ["--preset", str(tiny_preset(tmp_path)), *changes, "--out", str(tmp_path / "out"), "surrogate"]
    finished = CliRunner().invoke(app, run)
    assert finished.exit_code == 0, finished.output
    found = json.loads((tmp_path / "out" / "surrogate.json").read_text())
    assert f"Rank correlation over 3 methods: {found['rank_correlation']:.2f}" in finished.output
