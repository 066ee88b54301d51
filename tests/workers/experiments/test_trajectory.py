"""A trajectory: the same figures however often it is stopped, and every budget measured where it belongs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from service.domain.methods import Method
from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.experiments.policies import trained_policy
from workers.experiments.settings import Experiment
from workers.experiments.stages import theta_0
from workers.experiments.trajectory import Trajectory
from workers.loop import ActiveLearner
from workers.loop.round import Proposal

FROZEN = (
    "segmenter=efficientnet-lite0",
    "encoder=frozen",
    "learning=refit",
    "magnification=1",
    "stride=4",
    "refit.first_steps=3",
    "refit.steps=2",
    "refit.judge_steps=2",
)


class Stopped(Exception):
    """Stands for a process that is killed."""


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return tiny_experiment(tmp_path)


def play(
    experiment: Experiment, out: Path, method: str = "learned:paper", stop_after: int | None = None
) -> dict[str, Any]:
    reports = 0

    def report(done: float, text: str) -> None:
        nonlocal reports
        reports += 1
        if stop_after is not None and reports > stop_after:
            raise Stopped

    return Trajectory(
        tiny_bench(experiment, out, report), method=Method.parse(method), seed=1, budgets=[8, 12], out=out
    ).run()


def test_one_stopped_again_and_again_ends_with_the_same_figures(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = play(experiment, tmp_path / "straight")
    for module in ("workers.training.resumable", "workers.policy.playing"):
        monkeypatch.setattr(f"{module}.SAVE_SECONDS", -1.0)
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


def test_every_budget_it_passes_is_measured(experiment: Experiment, tmp_path: Path) -> None:
    record = play(experiment, tmp_path, "random")
    assert [entry["regions"] for entry in record["budgets"].values()] == [8, 12]
    assert [entry["regions"] for entry in record["rounds"]] == [4, 8, 12]
    assert len({tuple(region) for region in record["asked"]}) == 12
    for entry in record["budgets"].values():
        assert 0 <= entry["miou"] <= 1
        assert sum(entry["class_counts"]) == entry["pixels"] <= entry["regions"] * 256


def test_a_budget_asked_for_later_is_measured_where_it_belongs(experiment: Experiment, tmp_path: Path) -> None:
    full = play(experiment, tmp_path / "full", "random")
    late = tmp_path / "late"
    Trajectory(tiny_bench(experiment, late), method=Method(name="random"), seed=1, budgets=[12], out=late).run()
    record = Trajectory(
        tiny_bench(experiment, late), method=Method(name="random"), seed=1, budgets=[8, 12], out=late
    ).run()
    assert record["budgets"]["8"] == full["budgets"]["8"]
    assert record["budgets"]["12"] == full["budgets"]["12"]


def play_of(experiment: Experiment, out: Path, budgets: list[int]) -> Trajectory:
    return Trajectory(tiny_bench(experiment, out), method=Method(name="random"), seed=1, budgets=budgets, out=out)


def test_a_budget_asked_for_later_is_measured_where_it_belongs_after_one_that_cuts_a_round_short(
    experiment: Experiment, tmp_path: Path
) -> None:
    # Rounds of 4: 4, 6, 8, 12, and without the budget 8 they are 4, 6, 10, 12.
    straight = play_of(experiment, tmp_path / "straight", [6, 8, 12]).run()
    late = tmp_path / "late"
    assert [each["regions"] for each in play_of(experiment, late, [6, 12]).run()["rounds"]] == [4, 6, 10, 12]
    assert play_of(experiment, late, [6, 8, 12]).run() == straight
    assert [each["regions"] for each in straight["rounds"]] == [4, 6, 8, 12]


def test_records_go_by_the_budgets_that_cut_a_round_short(experiment: Experiment, tmp_path: Path) -> None:
    def kept(*budgets: int) -> Path:
        return play_of(experiment, tmp_path, list(budgets)).result_path

    assert kept(4, 8) == kept(8) == kept(12, 40)
    assert kept(6) == kept(4, 6) == kept(6, 10) != kept(6, 12)  # two rounds, and one from there
    assert kept(8, 10) == kept(10) != kept(8)


def test_a_budget_below_those_measured_is_refused_where_regions_are_of_several_sizes(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path, *FROZEN, "theta0=source", "levels=2")
    record = play_of(experiment, tmp_path, [8]).run()
    assert play_of(experiment, tmp_path, [8]).run() == record
    with pytest.raises(ValueError, match="at 8 regions, on a way that 4 would change"):
        play_of(experiment, tmp_path, [4, 8]).run()


@pytest.mark.parametrize("start", [("theta0=source",), ("theta0=state",), ("theta0=source", "levels=2")])
@pytest.mark.parametrize("method", ["entropy", "diverse", "learned-untrained:blend"])
def test_later_budgets_need_the_record_alone(
    method: str, start: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny_experiment(tmp_path, *FROZEN, *start)
    straight = play(experiment, tmp_path / "straight", method)
    short = tmp_path / "short"
    asked, ask = [], ActiveLearner.ask

    def count(learner: ActiveLearner, size: int | None = None, *, round_number: int) -> Proposal:
        asked.append(round_number)
        return ask(learner, size, round_number=round_number)

    monkeypatch.setattr(ActiveLearner, "ask", count)
    for budgets in ([8], [8, 12]):
        record = Trajectory(
            tiny_bench(experiment, short), method=Method.parse(method), seed=1, budgets=budgets, out=short
        ).run()
        for state in (short / "trajectories").glob("*.state"):
            state.unlink()
    assert record == straight
    assert asked == [0, 1, 2]  # the first two were asked for once


def test_stages_are_made_once(experiment: Experiment, tmp_path: Path) -> None:
    first = theta_0(tiny_bench(experiment, tmp_path), 0).state_dict()
    policy = trained_policy(tiny_bench(experiment, tmp_path), "paper", 0).state_dict()

    def refuse(done: float, text: str) -> None:
        raise AssertionError(f"made again: {text}")

    again = tiny_bench(experiment, tmp_path, refuse)
    assert all(torch.equal(value, first[key]) for key, value in theta_0(again, 0).state_dict().items())
    assert all(torch.equal(value, policy[key]) for key, value in trained_policy(again, "paper", 0).state_dict().items())
