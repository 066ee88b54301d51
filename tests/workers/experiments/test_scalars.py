"""Figures of a run: each is defined in docs/metrics.md, each definition is written, and files survive a stop."""

import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.schemas.policies import PolicySettings
from tests.workers.tiny import tiny_experiment
from workers.experiments import policies
from workers.experiments.scalars import (
    METRICS,
    JsonLines,
    NullScalars,
    TensorBoardScalars,
    add_present,
    add_progress,
    read_scalars,
    scalars_of,
)
from workers.policy.building import dqn_trainer
from workers.policy.ground import Ground
from workers.policy.labelling import LabellingGame
from workers.policy.progress import Progress
from workers.policy.trainer import Trainer
from workers.runs.perform import best_episode, perform
from workers.runs.works import Run, Work

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


class Noted(list[tuple[str, float, int]]):
    """Scalars that keep what they are given."""

    def add(self, name: str, value: float, step: int) -> None:
        self.append((name, value, step))


def with_trials(settings: PolicySettings, ground: Ground, seed: int) -> Trainer:
    """As built, but ours is tried without a frozen encoder too."""
    trainer = dqn_trainer(settings, ground, seed)
    for game in trainer.games:
        assert isinstance(game, LabellingGame)
        game.trials = settings.network == "regionwise"
    return trainer


def test_every_metric_that_a_run_writes_is_documented_and_the_other_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "build_trainer", with_trials)
    # Four transitions a round: the buffer holds a batch of four after the second.
    ours = [
        f"policies.other.{each}"
        for each in ("network=regionwise", "episodes=2", "budget=8", "batch=4", "pool_size=3", "width=4")
    ]
    run = Run(experiment=tiny_experiment(tmp_path, *ours), root=None, out=tmp_path / "out", budgets=(8,))
    works = [Work(stage="policy", name="paper"), Work(stage="policy", name="other")]
    for work in (*works, Work(stage="trajectory", name="random")):
        perform(run, work, device="cpu", report=lambda done, text: None)
    files = {path.stem[:-7]: read_scalars(path) for path in (run.out / "scalars").glob("*.jsonl")}
    written = {name for found in files.values() for name in found}
    documented = set(re.findall(r"^## ([a-z_]+)$", PAGE.read_text(), re.MULTILINE))
    assert written == documented == set(METRICS)
    assert list(files["policy-paper"]["episode_return"]) == list(files["policy-other"]["episode_return"]) == [1, 2]
    assert list(files["policy-other"]["trial_miou"]) == [2]
    assert list(files["policy-paper"]["reward"]) == [1, 2, 3, 4]
    assert list(files["random-seed-0"]["miou"]) == [8]
    assert list(files["random-seed-0"]["class_entropy"]) == [4, 8]


def test_unknown_metrics_are_refused(tmp_path: Path) -> None:
    for each in (NullScalars(), JsonLines(tmp_path / "x.jsonl")):
        with pytest.raises(ValueError, match=r"docs/metrics\.md"):
            each.add("happiness", 1.0, 0)
    assert not (tmp_path / "x.jsonl").exists()


def test_of_a_step_that_was_repeated_the_later_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for step, value in ((1, 0.1), (2, 0.2), (2, 0.3)):
        JsonLines(path).add("reward", value, step)
    with path.open("a") as file:
        file.write('{"name": "rew')
    assert read_scalars(path) == {"reward": {1: 0.1, 2: 0.3}}


def test_what_was_not_measured_is_not_written() -> None:
    noted = Noted()
    add_present(noted, 3, td_loss=None, q_mean=math.nan, epsilon=0.5)
    assert noted == [("epsilon", 0.5, 3)]


def test_a_return_is_written_once_at_the_end_of_its_episode() -> None:
    noted = Noted()
    for episode, rounds, ended in ((0, 1, None), (0, 2, (4.0, 41.0)), (1, 3, None), (1, 4, (5.0, 42.0))):
        add_progress(
            noted,
            Progress(
                episode=episode, round_number=0, rounds_done=rounds, done=0.5, epsilon=0.1, reward=1.0, miou=0.5, loss=None,
                mean_q=None, target_gap=None, ended=ended, trial=None if rounds < 4 else 43.0,
            ),
        )  # fmt: skip
    at_ends = [each for each in noted if each[0] in ("episode_return", "trial_miou")]
    assert at_ends == [("episode_return", 4.0, 1), ("episode_return", 5.0, 2), ("trial_miou", 0.43, 2)]
    assert [each for each in noted if each[0] == "reward"] == [("reward", 1.0, rounds) for rounds in range(1, 5)]


def test_tensorboard_is_asked_for_by_its_extra_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install 'regionwise\[tensorboard\]'"):
        TensorBoardScalars(tmp_path)


def test_tensorboard_gets_the_same_values_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "tensorboard" / "policy")

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None: ...

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    scalars_of(tmp_path, "policy", tensorboard=True).add("reward", 1.5, 7)
    assert written == [("reward", 1.5, 7)]
    assert json.loads((tmp_path / "scalars" / "policy.jsonl").read_text()) == {
        "name": "reward",
        "step": 7,
        "value": 1.5,
    }
    assert isinstance(scalars_of(tmp_path, "policy"), JsonLines)


@pytest.mark.parametrize(
    ("returns", "best"),
    [([], None), ([2.0], 0), ([1.0, 5.0], 1), ([9.0, 0.0, 0.0, 3.0, 3.0, 3.0], 5), ([3.0, 3.0, 3.0, 0.0], 2)],
)
def test_the_best_episode_ends_the_window_of_three_with_the_highest_mean(
    returns: list[float], best: int | None
) -> None:
    assert best_episode(returns) == best


def test_the_best_episode_is_the_first_best_trials_where_trials_were_held() -> None:
    # Trials follow every twentieth episode and the last.
    assert best_episode([0.0] * 45, [1.0, 3.0, 3.0]) == 39
    assert best_episode([0.0] * 45, [1.0, 2.0, 3.0]) == 44
