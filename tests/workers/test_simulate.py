"""The command line of the simulation: whole runs that are killed and go on, each command, and errors that are sentences."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.domain.methods import Method
from tests.workers.tiny import POOL_REGIONS, TINY, tiny_bench, tiny_preset
from workers.experiments.presets import PRESETS, read_preset
from workers.experiments.trajectory import Trajectory
from workers.runs.options import chosen_experiment
from workers.runs.perform import perform
from workers.runs.progress import Board
from workers.runs.works import Run, Work
from workers.simulate import app
from workers.training.checkpoints import from_bytes

ROOT = Path(__file__).parents[2]
# Rounds enough to be killed between two of them.
LONG = TINY.replace("batch_size = 4", "batch_size = 2").replace("pool = 6", "pool = 12")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    return tiny_preset(tmp_path)


def command(preset: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "workers/simulate.py", "--preset", str(preset), "--out", str(out), *more]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


class Inline:
    """A crew of this process alone, which saves the start of another."""

    at_once = 1

    def __init__(self, run: Run, *, jobs: int | None, device: str) -> None:
        self._run, self._device = run, device

    def submit(self, work: Work, board: Board) -> "Future[None]":
        future: Future[None] = Future()
        perform(self._run, work, device="cpu", report=lambda done, text: board.show(work.title, done, text))
        future.set_result(None)
        return future

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *error: object) -> None: ...


@pytest.fixture
def _inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.simulate.Processes", Inline)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_without_a_command_everything_runs_and_is_reported(preset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = [
        "--dataset",
        "streets",
        "--strategy",
        "learned,random",
        "--seeds",
        "0,1",
        "--budgets",
        "8,12",
        "--jobs",
        "1",
    ]
    finished = run(command(preset, out, *options))
    assert finished.returncode == 0, finished.stderr
    # One line for each of: theta_pre, theta_0, clicks, policy, 4 trajectories, 3 of full supervision, headroom.
    lines = re.findall(r"^(.+): done in .* \((\d+) of 12 works", finished.stdout, re.MULTILINE)
    assert [int(number) for _, number in lines] == list(range(1, 13))
    assert {"theta_pre", "policy paper", "learned:paper, seed 1", "full supervision, seed 2"} <= {
        name for name, _ in lines
    }
    with (out / "results.csv").open() as file:
        rows = {(row["method"], row["seed"], row["budget"]) for row in csv.DictReader(file)}
    assert rows == {
        (name, seed, budget) for name in ("learned:paper", "random") for seed in "01" for budget in ("8", "12")
    }
    assert (out / "report.html").exists()
    headroom = json.loads((out / "headroom.json").read_text())
    assert len(headroom["full"]["miou"]) == 3
    assert json.loads((out / "policies" / "paper.json").read_text())["name"] == "paper"
    for path in (out / "trajectories").glob("*.json"):
        assert all(entry["clicks"] > 0 for entry in json.loads(path.read_text())["budgets"].values())


def test_killed_between_two_rounds_it_goes_on_with_the_next_one_to_the_same_record(tmp_path: Path) -> None:
    preset, out = tmp_path / "long.toml", tmp_path / "out"
    preset.write_text(LONG)
    experiment = read_preset(str(preset), "streets")
    options = ["--jobs", "1", "evaluate", "--strategy", "entropy", "--budgets", "80"]
    process = subprocess.Popen(command(preset, out, *options), cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.rglob("streets-entropy-*.state")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    state = wait_until_still(out)
    rounds = len(from_bytes(state.read_bytes()).description["rounds"])
    assert 0 < rounds < 40
    texts: list[str] = []
    bench = tiny_bench(experiment, out, lambda done, text: texts.append(text))
    again = Trajectory(bench, method=Method(name="entropy"), seed=0, budgets=[80], out=out).run()
    assert f"{2 * (rounds + 1)} of 80 regions" in texts[0]
    straight = replace(bench, report=lambda done, text: None)  # from the same theta_0, but never stopped
    whole = Trajectory(straight, method=Method(name="entropy"), seed=0, budgets=[80], out=tmp_path / "straight").run()
    assert again == whole


def wait_until_still(out: Path) -> Path:
    """The trajectory's state once nobody writes it: a process ends with the one that started it."""
    (state,) = out.rglob("streets-entropy-*.state")
    before = -1
    while before != (before := state.stat().st_mtime_ns):
        time.sleep(1.0)
    return state


@pytest.mark.usefixtures("_inline")
def test_one_trajectory_after_the_other_adds_to_the_run(preset: Path, tmp_path: Path) -> None:
    shared = ["--preset", str(preset), "--out", str(tmp_path / "out"), "--jobs", "1", "--start", "none"]
    options = ["--strategy", "random", "--protocol", "per-pool,global", "--budgets", "8", "--group", "ablation:x"]
    finished = invoke(*shared, "evaluate", *options)
    assert finished.exit_code == 0, finished.output
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "trajectories").glob("*.json"))]
    assert {record["protocol"] for record in records} == {"per-pool", "global"}
    assert {record["group"] for record in records} == {"ablation:x"}
    assert {record["experiment"]["theta0"] for record in records} == {"source"}
    assert not list((tmp_path / "out" / "cache").glob("theta0-*"))
    reported = invoke("report", str(tmp_path / "out"), "--to", str(tmp_path / "report"))
    assert reported.exit_code == 0, reported.output
    assert (tmp_path / "report" / "report.md").exists()


@pytest.mark.usefixtures("_inline")
def test_stages_can_be_made_one_by_one(preset: Path, tmp_path: Path) -> None:
    shared, cache = ["--preset", str(preset), "--out", str(tmp_path), "--jobs", "1"], tmp_path / "cache"

    def made() -> set[str]:
        return {path.name.partition("-")[0] for path in cache.glob("*.safetensors")}

    stages: tuple[tuple[list[str], set[str]], ...] = (
        (["source"], {"source"}),
        (["theta0"], {"source", "theta0"}),
        (["policy", "--policy", "paper"], {"source", "theta0", "policy"}),
    )
    for command, there in stages:
        finished = invoke(*shared, *command)
        assert finished.exit_code == 0, finished.output
        assert made() == there


@pytest.mark.usefixtures("_inline")
def test_what_comes_trained_is_played_like_any_policy(preset: Path, tmp_path: Path) -> None:
    shared = ["--preset", str(preset), "--dataset", "streets", "--out", str(tmp_path), "--jobs", "1"]
    played = invoke(*shared, "evaluate", "--strategy", "learned:shipped", "--seeds", "0", "--budgets", "8")
    assert played.exit_code == 0, played.output
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "trajectories").glob("*.json"))
    assert (record["method"], list(record["budgets"])) == ("learned:shipped", ["8"])
    training = json.loads((tmp_path / "policies" / "shipped.json").read_text())
    assert training["best_episode"] == len(training["returns"]) - 1


def test_settings_are_printed_with_what_was_changed(preset: Path) -> None:
    printed = invoke("--preset", str(preset), "--set", "pool_size=5", "--start", "none", "settings")
    settings = json.loads(printed.output)
    assert (settings["pool_size"], settings["theta0"], settings["dataset"]) == (5, "source", "streets")


@pytest.mark.parametrize(("said", "bytes_"), [([], None), (["--feature-gib", "1.5"], 3 << 29)])
def test_the_room_for_features_is_told_in_gib(
    said: list[str], bytes_: int | None, preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Run] = []

    def watched(run: Run, *, jobs: int | None, device: str) -> Inline:
        runs.append(run)
        return Inline(run, jobs=jobs, device=device)

    monkeypatch.setattr("workers.simulate.Processes", watched)
    finished = invoke("--preset", str(preset), "--set", "source.images=0", "--out", str(tmp_path), *said, "source")
    assert finished.exit_code == 0, finished.output
    assert [run.feature_bytes for run in runs] == [bytes_]


def test_a_preset_is_named_in_short_whole_or_by_its_path() -> None:
    short = chosen_experiment("lite", "camvid", [], None)
    whole = chosen_experiment("camvid", None, [], None)
    path = chosen_experiment(str(PRESETS / "camvid.toml"), "camvid", [], None)
    assert short == whole == path
    assert chosen_experiment("lite", None, [], None).dataset == "streets"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "clever"], "There is no method 'clever'; there are random"),
        (["--protocol", "best"], "there are per-pool, global"),
        (["--seeds", "one"], "whole numbers"),
        (["--budgets", "3"], "at least one round, 4 regions"),
        (["--budgets", "8,900"], f"The pool has {POOL_REGIONS} regions"),
        (["--set", "pool_size=0.5"], "pool_size"),
        (["policy", "--policy", "none"], "There is no policy 'none'; there are paper"),
        (["evaluate", "--strategy", "clever"], "There is no method 'clever'"),
        (["evaluate", "--root", "/data"], "--root stands before the command"),
        (["evaluate", "--set=levels=2", "--seeds", "0"], "--set stands before the command"),
    ],
)
def test_bad_arguments_are_sentences(preset: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    finished = invoke("--preset", str(preset), "--out", str(tmp_path), *arguments)
    assert finished.exit_code == 2
    assert words in " ".join(finished.output.replace("│", " ").split())


def test_a_report_of_nothing_is_refused_with_a_sentence(tmp_path: Path) -> None:
    finished = invoke("report", str(tmp_path), "--to", str(tmp_path / "report"))
    assert finished.exit_code == 1
    assert "no measurement yet" in finished.output


def test_a_missing_data_set_is_told_before_anything_begins(tmp_path: Path) -> None:
    finished = invoke(
        "--preset", "camvid", "--root", "/nowhere", "--out", str(tmp_path), "evaluate", "--strategy", "random"
    )
    assert finished.exit_code == 2
    assert "/nowhere" in finished.output


def test_a_folder_that_nobody_would_look_into_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--dataset folder"):
        chosen_experiment("lite", None, [], None, tmp_path)
    assert chosen_experiment("lite", "folder", [], None, tmp_path).dataset == "folder"
