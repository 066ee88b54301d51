"""The simulation: the same figures however often it is stopped, tables that add up, and errors that are sentences."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from workers.experiment import PRESETS, Experiment, read_preset
from workers.report import curves
from workers.simulate import app
from workers.stages import Bench, open_experiment_data, theta_0, trained_policy
from workers.trajectory import Trajectory

ROOT = Path(__file__).parents[2]
TINY = """
height = 48
width = 64
cell_height = 16
cell_width = 16
segmenter_width = 4
batch_size = 4
pool_size = 3
counts = { state = 2, train = 3, reward = 2, pool = 6, test = 2 }
[round]
crop_height = 32
crop_width = 32
batch = 4
[source]
images = 8
crop_height = 32
crop_width = 32
batch = 8
max_epochs = 2
[theta0_training]
crop_height = 32
crop_width = 32
batch = 4
max_epochs = 2
[converge]
crop_height = 32
crop_width = 32
batch = 4
max_epochs = 3
[policy]
episodes = 2
budget = 8
pool_size = 3
batch = 4
"""


class Stopped(Exception):
    """Stands for a process that is killed."""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def experiment(preset: Path) -> Experiment:
    return read_preset(str(preset), "streets")


def bench(experiment: Experiment, out: Path, report: Callable[[float, str], None] = lambda done, text: None) -> Bench:
    return Bench(
        experiment=experiment,
        dataset=open_experiment_data(experiment, None),
        cache=out / "cache",
        device="cpu",
        report=report,
    )


def play(experiment: Experiment, out: Path, strategy: str = "learned", stop_after: int | None = None) -> dict:
    reports = 0

    def report(done: float, text: str) -> None:
        nonlocal reports
        reports += 1
        if stop_after is not None and reports > stop_after:
            raise Stopped

    return Trajectory(bench(experiment, out, report), strategy=strategy, seed=1, budgets=[8, 12], out=out).run()


def test_a_trajectory_stopped_again_and_again_ends_with_the_same_figures(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = play(experiment, tmp_path / "straight")
    monkeypatch.setattr("workers.resume.SAVE_SECONDS", -1.0)
    stops = 0
    while True:
        try:
            stopped = play(experiment, tmp_path / "stopped", stop_after=2)
            break
        except Stopped:
            stops += 1
    assert stops > 5
    assert stopped == straight
    assert not list((tmp_path / "stopped").rglob("*.8.state"))


def test_a_trajectory_measures_every_budget_it_passes(experiment: Experiment, tmp_path: Path) -> None:
    record = play(experiment, tmp_path, "random")
    assert [entry["regions"] for entry in record["budgets"].values()] == [8, 12]
    assert [entry["regions"] for entry in record["rounds"]] == [4, 8, 12]
    for entry in record["budgets"].values():
        assert 0 <= entry["miou"] <= 1
        assert sum(entry["class_counts"]) == entry["pixels"] <= entry["regions"] * 256


def test_a_budget_asked_for_later_is_measured_where_it_belongs(experiment: Experiment, tmp_path: Path) -> None:
    full = play(experiment, tmp_path / "full", "random")
    late = tmp_path / "late"
    Trajectory(bench(experiment, late), strategy="random", seed=1, budgets=[12], out=late).run()
    record = Trajectory(bench(experiment, late), strategy="random", seed=1, budgets=[8, 12], out=late).run()
    assert record["budgets"]["8"] == full["budgets"]["8"]
    assert record["budgets"]["12"] == full["budgets"]["12"]


def test_stages_are_made_once(experiment: Experiment, tmp_path: Path) -> None:
    first = theta_0(bench(experiment, tmp_path), 0).state_dict()
    policy = trained_policy(bench(experiment, tmp_path), 0).state_dict()

    def refuse(done: float, text: str) -> None:
        raise AssertionError(f"made again: {text}")

    again = bench(experiment, tmp_path, refuse)
    assert all(torch.equal(value, first[key]) for key, value in theta_0(again, 0).state_dict().items())
    assert all(torch.equal(value, policy[key]) for key, value in trained_policy(again, 0).state_dict().items())


def test_what_a_stage_does_not_depend_on_does_not_change_its_key(experiment: Experiment) -> None:
    other = experiment.model_copy(update={"pool_size": 7})
    assert other.key("theta0") == experiment.key("theta0")
    assert other.key("trajectory") != experiment.key("trajectory")
    episodes = experiment.model_copy(update={"policy": experiment.policy.model_copy(update={"episodes": 9})})
    assert episodes.key("policy") != experiment.key("policy")
    assert episodes.key("trajectory") == experiment.key("trajectory")


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_reads(path: Path) -> None:
    preset, _, dataset = path.stem.partition("-")
    assert read_preset(preset, dataset).dataset == dataset


def test_overrides_are_typed_and_unknown_names_refused() -> None:
    changed = read_preset("lite", "streets", ["pool_size=3", "round.lr=0.5", "sampling=uniform"])
    assert (changed.pool_size, changed.round.lr, changed.sampling) == (3, 0.5, "uniform")
    for wrong in ("nonsense=1", "pool_size=many", "pool_size"):
        with pytest.raises(ValueError, match=r"nonsense|pool_size"):
            read_preset("lite", "streets", [wrong])
    with pytest.raises(ValueError, match="there are"):
        read_preset("heavy", "streets")


def test_curves_gather_seeds_by_strategy_and_budget() -> None:
    records = [
        {"strategy": "a", "budgets": {"48": {"miou": 0.5}, "24": {"miou": 0.25}}},
        {"strategy": "a", "budgets": {"24": {"miou": 0.75}}},
    ]
    assert curves(records) == {"a": {24: [0.25, 0.75], 48: [0.5]}}


def command(preset: Path, out: Path, *more: str) -> list[str]:
    known = ["--dataset", "streets", "--preset", str(preset), "--out", str(out), "--seeds", "0,1", "--budgets", "8,12"]
    return [sys.executable, "workers/simulate.py", *known, *more]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_killed_and_started_again_writes_tables_and_a_plot(preset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command(preset, out, "--strategy", "learned,random", "--jobs", "1")
    process = subprocess.Popen(arguments, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.rglob("*.state")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = run(arguments)
    assert finished.returncode == 0, finished.stderr
    assert "| learned |" in finished.stdout
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["strategy"], row["seed"], row["budget"]) for row in rows} == {
        (strategy, seed, budget) for strategy in ("learned", "random") for seed in "01" for budget in ("8", "12")
    }
    assert (out / "results.md").read_text().count("±") == 4
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "clever"], "There is no strategy 'clever'"),
        (["--seeds", "one"], "whole numbers"),
        (["--budgets", "3"], "at least one round"),
        (["--set", "pool_size=0.5"], "pool_size"),
    ],
)
def test_bad_arguments_are_sentences(preset: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    finished = CliRunner().invoke(app, command(preset, tmp_path, *arguments)[2:])
    assert finished.exit_code == 2
    assert words in " ".join(finished.output.replace("│", " ").split())
