"""The offline simulation: ask, oracle, tell over budgets, methods and seeds. `python workers/simulate.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python looks for modules beside this file; ours are found from the project's root.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from typing import Annotated

import typer

from service.command_options import SharedBefore, takes
from workers.runs import actions, celery_crew, options
from workers.runs.cells import with_cells
from workers.runs.options import Evaluation, Everything, Shared
from workers.runs.processes import Processes, at_once
from workers.runs.works import FULL_SEEDS

app = typer.Typer(cls=SharedBefore, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
@takes(Everything)
def simulate(context: typer.Context, given: Everything) -> None:
    """Play labelling campaigns against ground truth and compare methods.

    Every stage is kept in --out by the hash of what it depends on: theta_pre (the source domain), theta_0, full supervision,
    the policies, and each trajectory after every round. Stopped in any way, the same command goes on where it was.

    Without a command everything runs in order, and the report is written to --out.

    Example: python workers/simulate.py --dataset camvid --root ~/CamVid --strategy learned,entropy,bald,random --seeds 0,1
    """
    if context.invoked_subcommand == "report":
        return
    chosen = options.checked(
        lambda: options.chosen_experiment(
            given.preset, given.dataset, given.override or (), given.start, given.root, given
        )
    )
    experiment = options.checked(lambda: with_cells(chosen, given.root))
    if experiment != chosen:
        said = f"Regions of {experiment.cell_height} x {experiment.cell_width} pixels, as suits the images"
        finely = f"Features of every {experiment.architecture.stride} pixels"
        finely += ", finer ones where labels show them to be better" if experiment.stride_by_labels else ""
        typer.echo(f"{said}: --set cell_height and --set cell_width for others. {finely}.", err=True)
    shared = Shared(
        experiment=experiment,
        root=given.root,
        out=given.out,
        crew=celery_crew.crew if given.celery else lambda run: Processes(run, jobs=given.jobs, device=given.device),
        tensorboard=given.tensorboard,
        evaluation=given,
        at_once=1 if given.celery else options.checked(lambda: at_once(given.jobs, given.device)),
        most_ignored=given.most_ignored,
        anyway=given.anyway,
        feature_bytes=None if given.feature_gib is None else int(given.feature_gib * 2**30),
    )
    context.obj = shared
    if context.invoked_subcommand is None:
        actions.everything(shared)


@app.command()
def source(context: typer.Context) -> None:
    """Train theta_pre, on synthetic streets."""
    actions.source(context.obj)


@app.command()
def theta0(context: typer.Context) -> None:
    """Train theta_0, where every trajectory starts."""
    actions.theta0(context.obj)


@app.command()
def headroom(
    context: typer.Context,
    seeds: Annotated[
        int, typer.Option("--full-seeds", help="How often full supervision is trained, each in another order.", min=1)
    ] = FULL_SEEDS,
) -> None:
    """Test theta_0 and full supervision, and say whether the pool can tell methods apart."""
    actions.headroom(context.obj, seeds)


@app.command()
def policy(
    context: typer.Context,
    names: Annotated[
        str | None, typer.Option("--policy", help="Policies with commas; none: all but those of ablations.")
    ] = None,
) -> None:
    """Train policies, on D_T or where the preset says."""
    actions.policy(context.obj, names)


@app.command()
@takes(Evaluation)
def evaluate(context: typer.Context, given: Evaluation) -> None:
    """Play methods on D_V through all budgets."""
    actions.evaluate(context.obj, given)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders that runs wrote (--out).")],
    to: Annotated[Path, typer.Option("--to", help="Folder of the report.")] = Path("report"),
) -> None:
    """Write tables and figures of one run or several."""
    actions.report(runs, to)


@app.command()
def settings(context: typer.Context) -> None:
    """Print the experiment's settings as JSON."""
    shared: Shared = context.obj
    typer.echo(shared.experiment.model_dump_json(indent=2))


if __name__ == "__main__":
    app()
