"""What each command of the simulation has done: the works of a run, by processes of this machine or behind a broker."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console

from service.schemas.policies import MAIN
from workers.experiments.headroom import headroom_table
from workers.experiments.settings import Experiment
from workers.report import write_report
from workers.runs.options import Evaluation, Shared, checked, checked_budgets, numbers_of, usual_evaluation
from workers.runs.perform import kept_data
from workers.runs.processes import Failure, run_works
from workers.runs.soundness import require_sound, require_split
from workers.runs.works import (
    FULL_SEEDS,
    Run,
    Work,
    away_from,
    headroom_works,
    methods_of,
    parts_of,
    policies_of,
    policy_works,
    protocols_of,
    stage_works,
    trajectory_works,
    whole_run,
)


def everything(shared: Shared) -> None:
    """Every stage, the policies that the methods need, every trajectory, full supervision, then the report."""
    run, trajectories = _evaluation(shared, Evaluation())
    failed = _do(shared, run, whole_run(shared.experiment, trajectories, FULL_SEEDS))
    _tell_headroom(shared.out)
    report([shared.out], shared.out)
    _end(failed)


def source(shared: Shared) -> None:
    """theta_pre."""
    _end(_do(shared, _run(shared), stage_works(shared.experiment, "source")))


def theta0(shared: Shared) -> None:
    """theta_0."""
    _end(_do(shared, _run(shared), stage_works(shared.experiment, "theta0")))


def headroom(shared: Shared, seeds: int) -> None:
    """theta_0 and full supervision on test."""
    failed = _do(shared, _run(shared, full_seeds=seeds), headroom_works(shared.experiment, seeds))
    _tell_headroom(shared.out)
    _end(failed)


def policy(shared: Shared, names: str | None) -> None:
    """Trained policies."""
    away = checked(lambda: _away(shared.experiment, shared.root))
    chosen = checked(lambda: policies_of(names, shared.experiment, away))
    if names is None:
        _tell_away(shared.experiment, away)
    _end(_do(shared, _run(shared), policy_works(chosen)))


def evaluate(shared: Shared, evaluation: Evaluation) -> None:
    """Trajectories, and what they need."""
    run, works = _evaluation(shared, evaluation)
    _end(_do(shared, run, works))


def report(runs: Sequence[Path], out: Path) -> None:
    """The report of runs, and its Markdown for people."""
    try:
        typer.echo(write_report(runs, out))
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error


def _evaluation(shared: Shared, evaluation: Evaluation) -> tuple[Run, list[Work]]:
    experiment = shared.experiment
    away = checked(lambda: _away(experiment, shared.root))
    regions = checked(lambda: pool_regions(experiment, shared.root))
    chosen = evaluation.over(shared.evaluation).over(usual_evaluation(experiment, regions))
    methods = checked(lambda: methods_of(chosen.strategy or "", experiment, away))
    if "all" in parts_of(chosen.strategy or ""):
        _tell_away(experiment, away)
    protocols = checked(lambda: protocols_of(chosen.protocol or ""))
    numbers = checked(lambda: numbers_of(chosen.seeds or "", "seeds"))
    reached = checked(lambda: checked_budgets(chosen.budgets or "", experiment, regions))
    run = _run(shared, budgets=tuple(reached), group=chosen.group or "main")
    return run, trajectory_works(experiment, methods, protocols, numbers)


def _away(experiment: Experiment, root: Path | None) -> dict[str, str]:
    return away_from(experiment, kept_data(experiment, root).classes)


def _tell_away(experiment: Experiment, away: Mapping[str, str]) -> None:
    for name, why in away.items():
        if experiment.policy(name).group == MAIN:
            typer.echo(f"Note: the policy {name} is left out. {why}")


def pool_regions(experiment: Experiment, root: Path | None) -> int:
    """How many regions D_V has. Raises ValueError for a data set that cannot be read."""
    dataset = kept_data(experiment, root)
    require_split(dataset, "pool", filled=True)
    pool = dataset.splits["pool"]
    return sum(experiment.grid(pool.size(number)).cells.size for number in range(len(pool)))


def _run(shared: Shared, *, budgets: tuple[int, ...] = (), group: str = "main", full_seeds: int = FULL_SEEDS) -> Run:
    return Run(
        experiment=shared.experiment,
        root=shared.root,
        out=shared.out,
        budgets=budgets,
        group=group,
        full_seeds=full_seeds,
        tensorboard=shared.tensorboard,
        feature_bytes=shared.feature_bytes,
    )


def _do(shared: Shared, run: Run, works: Sequence[Work]) -> list[Failure]:
    console = Console()
    try:
        dataset = kept_data(shared.experiment, shared.root)
        require_sound(run, dataset, works, most_ignored=shared.most_ignored, anyway=shared.anyway, console=console)
        return run_works(works, shared.crew(replace(run, players=_players(shared, works))), console)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (ValueError, FileNotFoundError, ConnectionError) as error:
        console.print(f"Error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


def _players(shared: Shared, works: Sequence[Work]) -> int:
    """How many play a search's games: the cores that no other work has a use for while policies are trained."""
    beside = [each for each in works if each.stage == "policy"]
    titles = {each.title for each in beside}
    beside += [each for each in works if each.stage == "trajectory" and not titles.intersection(each.after)]
    return max(1, shared.at_once // max(1, len(beside)))


def _tell_headroom(out: Path) -> None:
    path = out / "headroom.json"
    if path.exists():
        typer.echo(headroom_table(json.loads(path.read_text())))


def _end(failures: Sequence[Failure]) -> None:
    for failure in failures:
        typer.echo(f"{failure.work.title}: {failure.error}", err=True)
    if failures:
        raise typer.Exit(1)
