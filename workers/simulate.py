"""The offline simulation: ask, oracle, tell over budgets, strategies and seeds. `python workers/simulate.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python looks for modules beside this file; ours are found from the project's root.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from typing import Annotated

import typer
from rich.console import Console

from models.strategies import STRATEGIES
from workers.experiment import Experiment, read_preset
from workers.report import write_report
from workers.runner import Plan, run_plan
from workers.trajectory import UNTRAINED

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
KNOWN = (*STRATEGIES, UNTRAINED)


def numbers(text: str, name: str) -> list[int]:
    """Whole numbers from a list with commas. Raises BadParameter."""
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"--{name} takes whole numbers with commas between them, not {text!r}.") from error
    if not found or min(found) < 0:
        raise typer.BadParameter(f"--{name} needs at least one number, none below 0.")
    return found


def strategies(text: str) -> list[str]:
    """Names of strategies from a list with commas. Raises BadParameter naming those there are."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name not in KNOWN]
    if unknown or not names:
        raise typer.BadParameter(f"There is no strategy {', '.join(unknown) or text!r}; there are {', '.join(KNOWN)}.")
    return list(dict.fromkeys(names))


@app.command()
def simulate(
    dataset: Annotated[str, typer.Option(help="camvid, cityscapes, folder, or streets (needs no data).")] = "streets",
    root: Annotated[Path | None, typer.Option(help="Folder of the data set; not needed for streets.")] = None,
    strategy: Annotated[
        str, typer.Option(help=f"Strategies with commas: {', '.join(KNOWN)}.")
    ] = "learned,entropy,random",
    seeds: Annotated[
        str, typer.Option(help="Seeds with commas. The same seed gives every strategy the same draws.")
    ] = "0",
    budgets: Annotated[
        str, typer.Option(help="Labelled regions at which a copy is trained to convergence and tested.")
    ] = "240,480",
    preset: Annotated[
        str, typer.Option(help="lite (two CPU cores), paper (a GPU), or the path of a .toml file.")
    ] = "lite",
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Over the preset: name=value or table.name=value.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of cache, states and results; the same command goes on there.")
    ] = Path("runs"),
    jobs: Annotated[
        int | None, typer.Option(help="Trajectories at once; none: one per core, one on a GPU.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    show: Annotated[bool, typer.Option("--show-settings", help="Print the settings and stop.")] = False,
) -> None:
    """Play labelling campaigns against ground truth and compare strategies.

    Every stage is kept in --out by the hash of what it depends on: theta_pre (synthetic streets), theta_0 (fine-tuned on
    D_T), the policy, and each trajectory after every round. Stopped in any way, the same command goes on where it was.

    Writes results.csv, results.md and results.png to --out.

    Example: python workers/simulate.py --dataset camvid --root ~/CamVid --strategy learned,entropy,bald,random --seeds 0,1
    """
    try:
        experiment = read_preset(preset, dataset, override or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if show:
        typer.echo(experiment.model_dump_json(indent=2))
        raise typer.Exit
    plan = Plan(
        experiment=experiment,
        root=root,
        strategies=strategies(strategy),
        seeds=numbers(seeds, "seeds"),
        budgets=_checked_budgets(numbers(budgets, "budgets"), experiment),
        out=out,
        device=device,
    )
    console = Console()
    try:
        records = run_plan(plan, jobs=jobs, console=console)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (ValueError, FileNotFoundError) as error:
        console.print(f"Error: {error}", style="red")
        raise typer.Exit(1) from None
    console.print(write_report(records, plan, out))


def _checked_budgets(budgets: list[int], experiment: Experiment) -> list[int]:
    if min(budgets) < experiment.batch_size:
        raise typer.BadParameter(f"A budget is at least one round, {experiment.batch_size} regions.")
    return sorted(set(budgets))


if __name__ == "__main__":
    app()
