"""Figures that a run writes while it goes on, by name and step; docs/metrics.md says what each means."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from workers.policy.progress import Progress

METRICS = (
    "episode_return",
    "td_loss",
    "q_mean",
    "epsilon",
    "target_gap",
    "reward",
    "miou",
    "trial_miou",
    "class_entropy",
)


class Scalars(Protocol):
    """Takes figures."""

    def add(self, name: str, value: float, step: int) -> None:
        """Write one value of a metric. Raises ValueError for a name that is not among METRICS."""


class NullScalars:
    """Forgets them."""

    def add(self, name: str, value: float, step: int) -> None:
        """Nothing is written."""
        require_known(name)


class JsonLines:
    """Appends a line of JSON for each value; work that was stopped repeats a few steps, and the later line counts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str, value: float, step: int) -> None:
        """Append and flush."""
        require_known(name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"name": name, "step": step, "value": value}) + "\n")


class TensorBoardScalars:
    """Writes TensorBoard's event files."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError where the package tensorboard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # an extra, which need not be installed
        except ModuleNotFoundError as error:
            raise ValueError(
                f"TensorBoard needs the package {error.name}: pip install 'regionwise[tensorboard]'."
            ) from error
        self._writer: Any = SummaryWriter(str(folder))

    def add(self, name: str, value: float, step: int) -> None:
        """Write and flush: the process may be killed at any time."""
        require_known(name)
        self._writer.add_scalar(name, value, step)
        self._writer.flush()


class Several:
    """Writes to each of several."""

    def __init__(self, scalars: Sequence[Scalars]) -> None:
        self._scalars = tuple(scalars)

    def add(self, name: str, value: float, step: int) -> None:
        """Write to all."""
        for each in self._scalars:
            each.add(name, value, step)


def scalars_of(out: Path, name: str, *, tensorboard: bool = False) -> Scalars:
    """Where a work's figures go: out/scalars/NAME.jsonl, and out/tensorboard/NAME where that is wanted."""
    lines = JsonLines(out / "scalars" / f"{name}.jsonl")
    return Several([lines, TensorBoardScalars(out / "tensorboard" / name)]) if tensorboard else lines


def read_scalars(path: Path) -> dict[str, dict[int, float]]:
    """Values by metric and step from a file of JsonLines; the last line of a step counts, half a line at the end does not."""
    found: dict[str, dict[int, float]] = {}
    for line in path.read_text().splitlines():
        try:
            each = json.loads(line)
        except json.JSONDecodeError:
            continue
        found.setdefault(each["name"], {})[each["step"]] = each["value"]
    return found


def add_present(scalars: Scalars, step: int, **values: float | None) -> None:
    """Write the values that are there: None and NaN stand for what was not measured."""
    for name, value in values.items():
        if value is not None and not math.isnan(value):
            scalars.add(name, value, step)


def add_progress(scalars: Scalars, progress: Progress) -> None:
    """Write what a round of a policy's training brought; its step is the number of rounds, of what ended that of episodes."""
    add_present(
        scalars,
        progress.rounds_done,
        td_loss=progress.loss,
        q_mean=progress.mean_q,
        target_gap=progress.target_gap,
        epsilon=progress.epsilon,
        reward=progress.reward,
        miou=progress.miou,
    )
    if progress.ended is not None:
        trial = None if progress.trial is None else progress.trial / 100
        add_present(scalars, progress.episode + 1, episode_return=progress.ended[0], trial_miou=trial)


def require_known(name: str) -> None:
    """Raises ValueError for a name that docs/metrics.md does not define."""
    if name not in METRICS:
        raise ValueError(f"There is no metric {name!r}: define it in docs/metrics.md and name it in METRICS.")
