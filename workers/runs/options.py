"""The options that all commands of the simulation share, and their reading; what is wrong with them is told in a sentence."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.domain.methods import BASELINES
from service.reading_options import ReadingOptions
from workers.datasets import NAMES
from workers.experiments.parts import OwnFiles
from workers.experiments.presets import read_preset
from workers.experiments.settings import Experiment
from workers.runs.processes import Crew
from workers.runs.works import Run

T = TypeVar("T")
Start = Literal["none", "state", "dt"]
_THETA_0: dict[Start, str] = {"none": "source", "state": "state", "dt": "dt"}

STRATEGY_HELP = (
    f"Methods with commas: {', '.join(BASELINES)}; learned:POLICY and its control learned-untrained:POLICY for each policy "
    "of the preset (learned alone: the paper's); greedy-oracle, a reference that knows the truth; or all. Without it the "
    "policy that comes with regionwise, or, where f is trained as a whole, the paper's, beside entropy and random."
)
DATASET_HELP = f"{', '.join(NAMES)}; streets without it, which need no data."
_SEEDS = "0"
SEEDS_HELP = f"Seeds with commas; {_SEEDS} without it. The same seed gives every method the same draws."
BUDGETS_HELP = (
    "Labelled regions at which a copy is trained to convergence and tested; without it 2, 4, 8 and 16 rounds, as far as the pool "
    "goes, or, where f is trained as a whole, 240,480."
)
PROTOCOL_HELP = (
    "per-pool (one region of each candidate pool), global (the best of all candidates), or both with a comma."
)
GROUP_HELP = "What the trajectories are for: main, or ablation:NAME."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is to be played: the options of `evaluate`, as they were typed; None where nothing was."""

    strategy: Annotated[str | None, typer.Option(help=STRATEGY_HELP)] = None
    protocol: Annotated[str | None, typer.Option(help=PROTOCOL_HELP)] = None
    seeds: Annotated[str | None, typer.Option(help=SEEDS_HELP)] = None
    budgets: Annotated[str | None, typer.Option(help=BUDGETS_HELP)] = None
    group: Annotated[str | None, typer.Option(help=GROUP_HELP)] = None

    def over(self, other: "Evaluation") -> "Evaluation":
        """These options, and the other's where there are none."""
        values = {each.name: getattr(self, each.name) for each in fields(Evaluation)}
        return replace(other, **{name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class Everything(ReadingOptions, Evaluation):
    """The options before the command's name, and those of `evaluate`, as they were typed."""

    dataset: Annotated[str | None, typer.Option(help=DATASET_HELP)] = None
    root: Annotated[Path | None, typer.Option(help="Folder of the data set; not needed for streets.")] = None
    preset: Annotated[
        str,
        typer.Option(help="lite (two CPU cores), paper (a GPU), a preset's whole name, or the path of a .toml file."),
    ] = "lite"
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Over the preset: name=value or table.name=value.")
    ] = None
    start: Annotated[
        Start | None,
        typer.Option(
            help="Over the preset, what f has learned from before the first region: none, state (D_S), or dt (D_T)."
        ),
    ] = None
    out: Annotated[Path, typer.Option(help="Folder of cache, states and results; the same command goes on there.")] = (
        Path("runs")
    )
    jobs: Annotated[int | None, typer.Option(help="Works at once; none: one per core, one on a GPU.", min=1)] = None
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto"
    celery: Annotated[
        bool,
        typer.Option(
            "--celery", help="Have the works done by `regionwise worker --simulations`; --out is a folder they share."
        ),
    ] = False
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files to OUT/tensorboard too.")
    ] = False
    feature_gib: Annotated[
        float | None,
        typer.Option(
            help="Largest size of OUT/cache/features, in GiB; none: 20 or what the data set needs, 80 % of the disk at most.",
            min=0.001,
        ),
    ] = None


def usual_evaluation(experiment: Experiment, pool_regions: int) -> Evaluation:
    """What is played where nothing is said of it."""
    strategy, budgets = "learned,entropy,random", "240,480"
    if experiment.learning == "refit":
        strategy = "learned:shipped,entropy,random"
        rounds = [number for number in (2, 4, 8, 16) if number * experiment.batch_size <= pool_regions] or [1]
        budgets = ",".join(str(number * experiment.batch_size) for number in rounds)
    return Evaluation(strategy=strategy, protocol="per-pool", seeds=_SEEDS, budgets=budgets, group="main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The options before the command's name. at_once: works that this machine does side by side; 1 where others do them."""

    experiment: Experiment
    root: Path | None
    out: Path
    crew: Callable[[Run], Crew]
    tensorboard: bool
    evaluation: Evaluation
    feature_bytes: int | None = None
    at_once: int = 1
    most_ignored: float = 0.5
    anyway: bool = False


def checked(read: Callable[[], T]) -> T:
    """What `read` gives; its ValueError as one of the command line."""
    try:
        return read()
    except ValidationError as error:
        raise typer.BadParameter(" ".join(map(_of_setting, error.errors()))) from error
    except (ValueError, FileNotFoundError, ConnectionError) as error:
        raise typer.BadParameter(str(error)) from error


def _of_setting(error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"There is no setting {place}: the command `settings` prints those that there are."
    said = error["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{place}: {said}." if place else f"{said}."


def chosen_experiment(
    preset: str,
    dataset: str | None,
    overrides: Sequence[str],
    start: Start | None,
    root: Path | None = None,
    reading: ReadingOptions | None = None,
) -> Experiment:
    """The experiment of a preset; the data set, unless it is given, is the one that the preset's name ends in. `reading`: how
    own files are read, over the preset.

    Raises ValueError, also for a folder that nobody would look into.
    """
    own = Path(preset).stem.rpartition("-")[2]
    more = [] if start is None else [f"theta0={_THETA_0[start]}"]
    name = dataset or (own if own in NAMES else "streets")
    if name == "streets" and root is not None:
        raise ValueError(
            f"Synthetic streets need no {root}: say what lies there, --dataset folder, camvid or cityscapes."
        )
    return read_preset(preset, name, [*_said(reading or ReadingOptions()), *overrides, *more])


def _said(reading: ReadingOptions) -> list[str]:
    """What is said of own files, as settings."""
    said = {name: getattr(reading, name) for name in OwnFiles.model_fields}
    return [f"reading.{name}={json.dumps(value)}" for name, value in said.items() if value != getattr(OwnFiles(), name)]


def numbers_of(text: str, name: str) -> list[int]:
    """Whole numbers from a list with commas, each once. Raises ValueError."""
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError(f"--{name} takes whole numbers with commas between them, not {text!r}.") from error
    if not found or min(found) < 0:
        raise ValueError(f"--{name} needs at least one number, none below 0.")
    return list(dict.fromkeys(found))


def checked_budgets(text: str, experiment: Experiment, pool_regions: int) -> list[int]:
    """Budgets in ascending order. Raises ValueError for one below a round or beyond the pool."""
    budgets = sorted(numbers_of(text, "budgets"))
    if budgets[0] < experiment.batch_size:
        raise ValueError(
            f"A budget is at least one round, {experiment.batch_size} regions: set greater ones by --budgets, or smaller rounds "
            "by --set batch_size=N."
        )
    if pool_regions < experiment.batch_size:
        raise ValueError(
            f"The pool has {pool_regions} regions, less than a round of {experiment.batch_size}: set smaller rounds by --set "
            f"batch_size=N, and budgets of {pool_regions} at most by --budgets."
        )
    if budgets[-1] > pool_regions:
        raise ValueError(
            f"The pool has {pool_regions} regions, less than the budget {budgets[-1]}: set smaller ones by --budgets."
        )
    return budgets
