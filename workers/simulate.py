"""The offline simulation: ask, oracle, tell over budgets, methods and seeds. `python workers/simulate.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python looks for modules beside this file; ours are found from the project's root.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from typing import Annotated

import typer

from workers.runs import actions, celery_crew, options
from workers.runs.options import Evaluation, Shared
from workers.runs.processes import Processes
from workers.runs.works import FULL_SEEDS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Strategy = Annotated[str | None, typer.Option(help=options.STRATEGY_HELP)]
Protocol = Annotated[str | None, typer.Option(help=options.PROTOCOL_HELP)]
Seeds = Annotated[str | None, typer.Option(help=options.SEEDS_HELP)]
Budgets = Annotated[str | None, typer.Option(help=options.BUDGETS_HELP)]
Group = Annotated[str | None, typer.Option(help=options.GROUP_HELP)]


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Option(help="camvid, cityscapes, folder, or streets (the default; needs no data).")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data set; not needed for streets.")] = None,
    preset: Annotated[
        str,
        typer.Option(help="lite (two CPU cores), paper (a GPU), a preset's whole name, or the path of a .toml file."),
    ] = "lite",
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Over the preset: name=value or table.name=value.")
    ] = None,
    theta0: Annotated[
        str | None,
        typer.Option("--theta0", help="Over the preset: source (theta_0 is theta_pre), or dt (it knows D_T)."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of cache, states and results; the same command goes on there.")
    ] = Path("runs"),
    jobs: Annotated[int | None, typer.Option(help="Works at once; none: one per core, one on a GPU.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    celery: Annotated[
        bool,
        typer.Option("--celery", help="Have the works done by `regionwise worker --simulations`; --out is shared."),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files to OUT/tensorboard too.")
    ] = False,
    strategy: Strategy = None,
    protocol: Protocol = None,
    seeds: Seeds = None,
    budgets: Budgets = None,
    group: Group = None,
) -> None:
    """Play labelling campaigns against ground truth and compare methods.

    Every stage is kept in --out by the hash of what it depends on: theta_pre (the source domain), theta_0, full supervision,
    the policies, and each trajectory after every round. Stopped in any way, the same command goes on where it was.

    Without a command everything runs in order, and the report is written to --out.

    Example: python workers/simulate.py --dataset camvid --root ~/CamVid --strategy learned,entropy,bald,random --seeds 0,1
    """
    if context.invoked_subcommand == "report":
        return
    shared = Shared(
        experiment=options.checked(lambda: options.chosen_experiment(preset, dataset, override or (), theta0)),
        root=root,
        out=out,
        crew=celery_crew.crew if celery else lambda run: Processes(run, jobs=jobs, device=device),
        tensorboard=tensorboard,
        evaluation=Evaluation(strategy=strategy, protocol=protocol, seeds=seeds, budgets=budgets, group=group),
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
def evaluate(
    context: typer.Context,
    strategy: Strategy = None,
    protocol: Protocol = None,
    seeds: Seeds = None,
    budgets: Budgets = None,
    group: Group = None,
) -> None:
    """Play methods on D_V through all budgets."""
    evaluation = Evaluation(strategy=strategy, protocol=protocol, seeds=seeds, budgets=budgets, group=group)
    actions.evaluate(context.obj, evaluation)


@app.command()
def surrogate(
    context: typer.Context,
    home: Annotated[
        bool,
        typer.Option(
            "--home",
            help="Baselines and single scores instead, in both games on the same images, those of D_T and D_R.",
        ),
    ] = False,
) -> None:
    """Play the evaluated methods on the surrogate game too, and say how well it ranks them."""
    actions.surrogate(context.obj, at_home=home)


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
