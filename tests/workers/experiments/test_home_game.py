"""Both games on the same images of D_T and D_R: who plays, on what, and what is written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.acquisition import SCORES
from models.strategies import REFERENCES, STRATEGIES
from service.domain.methods import Method
from service.domain.metrics import area_under_curve
from tests.workers.experiments.test_surrogate_check import QUICK, bench_of
from tests.workers.test_simulate import Inline
from tests.workers.tiny import tiny_preset
from workers.experiments.home_game import METHODS, check_at_home
from workers.experiments.policies import game_at_home, policy_of_score
from workers.experiments.surrogate_check import rank_correlation
from workers.experiments.trajectory import strategy_of
from workers.policy.surrogate import play
from workers.report.data.reading import read_runs
from workers.simulate import app

BUDGETS = (4, 8, 16)  # a quarter, a half and all of four rounds of 4
FEW = ("random", "greedy-oracle", "score:novelty")


def test_every_baseline_reference_and_score_plays_once_and_no_policy() -> None:
    names = {name.removeprefix("score:") for name in METHODS}
    # The mean of p2 / p1 is what bvsb goes by.
    assert names == ({*STRATEGIES} - {"learned"}) | {*REFERENCES} | ({*SCORES} - {"runner-up"})
    assert len(METHODS) == len(names) >= 20


@pytest.mark.parametrize("name", SCORES)
def test_a_score_by_itself_orders_candidates_as_its_column_does(name: str) -> None:
    actions_MA = torch.randn(7, 11 * 14 + 93, generator=torch.Generator().manual_seed(3))
    policy = policy_of_score(name)
    found_1M = policy(torch.zeros(1, 5, 14), actions_MA[None])
    torch.testing.assert_close(found_1M[0], actions_MA[:, -len(SCORES) :][:, SCORES.index(name)])


def test_a_score_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no acquisition score 'beauty'; there are entropy, "):
        policy_of_score("beauty")


def test_both_games_are_played_on_one_half_and_measured_on_the_other(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    found = check_at_home(bench, tmp_path, draws=2, methods=FEW)
    game = game_at_home(bench, bench.experiment.loop(11, Method(name="random")), guided=True, redraw=True)
    for point in found["points"]:
        curves = [
            play(game, strategy_of(bench, Method.parse(point["name"]), 0), budget=16, seed=draw) for draw in range(2)
        ]
        areas = [100 * area_under_curve(BUDGETS, [curve[budget // 4] for budget in BUDGETS]) for curve in curves]
        assert point["surrogate"] == pytest.approx(np.mean(areas))
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "home" / "trajectories").glob("*.json"))]
    assert {(each["method"], each["seed"]) for each in records} == {(name, draw) for name in FEW for draw in (0, 1)}
    cells = len(game.pool) // (int(game.pool.image_R.max()) + 1)
    for record in records:
        free_R = game.roles(record["seed"])[0]
        played = sorted(set(game.pool.image_R[free_R].tolist()))
        asked = [cells * played[image] + cell for image, cell in record["asked"]]
        assert len(set(asked)) == BUDGETS[-1]
        assert bool(free_R[asked].all())
    by_method = {name: [each for each in records if each["method"] == name] for name in FEW}
    for point in found["points"]:
        mious = [[each["budgets"][str(budget)]["miou"] for budget in BUDGETS] for each in by_method[point["name"]]]
        assert point["real"] == pytest.approx(np.mean([100 * area_under_curve(BUDGETS, each) for each in mious]))


def test_the_report_reads_it_beside_the_other_check(tmp_path: Path) -> None:
    found = check_at_home(bench_of(tmp_path), tmp_path, draws=1, methods=FEW)
    assert found["rank_correlation"] == pytest.approx(
        rank_correlation([each["surrogate"] for each in found["points"]], [each["real"] for each in found["points"]]),
        nan_ok=True,
    )
    (tmp_path / "trajectories").mkdir()
    for path in (tmp_path / "home" / "trajectories").glob("*.json"):
        (tmp_path / "trajectories" / path.name).write_text(path.read_text())
    (study,) = read_runs([tmp_path])
    (read,) = study.surrogates
    assert [point.name for point in read.points] == list(FEW)
    assert read.game == "tiny: 16 regions of half of D_T's and D_R's images, both games on the same 1 draws of them"


def test_begun_again_it_plays_no_finished_trajectory_twice(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    first = check_at_home(bench, tmp_path, draws=1, methods=FEW)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "home" / "trajectories").iterdir()}
    assert check_at_home(bench, tmp_path, draws=1, methods=FEW) == first
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_the_command_says_the_rank_correlation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.simulate.Processes", Inline)
    monkeypatch.setattr(
        "workers.runs.perform.check_at_home", lambda bench, out: check_at_home(bench, out, draws=1, methods=FEW)
    )
    changes = [part for change in QUICK for part in ("--set", change)]
    run = ["--preset", str(tiny_preset(tmp_path)), *changes, "--out", str(tmp_path / "out"), "surrogate", "--home"]
    finished = CliRunner().invoke(app, run)
    assert finished.exit_code == 0, finished.output
    assert "Rank correlation over 3 methods:" in finished.output
