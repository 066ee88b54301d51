"""The command `regionwise`: what brings images and labels in and out, and all commands of service/commands put together."""

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from service.annotate import ScriptedAnnotator, TruthFolder
from service.arms import offered
from service.cli_import import add_import
from service.client import ApiError
from service.commands import backing, collecting, members, networks, serving, standing, steering, tokens
from service.commands.connection import Connection, connected, connected_as
from service.commands.keeping import images_app, projects_app
from service.commands.users import user_app, users_app
from service.errors import ServiceError
from service.progress import Progress
from service.schemas.export import ExportFormat, ExportQuery, Only
from service.server import PortTaken

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Asks people for the labels that a segmenter needs most."
)
for group in (serving, standing, steering, networks, backing, collecting):
    app.add_typer(group.app)
app.add_typer(user_app, name="user")
app.add_typer(users_app, name="users")
app.add_typer(members.app, name="members")
app.add_typer(tokens.app, name="tokens")
app.add_typer(projects_app, name="projects")
app.add_typer(images_app, name="images")

RunningServer = Annotated[
    str | None, typer.Option("--server", help="A server that runs already; none: one of its own is started.")
]
# Of works that take hours: a server that is away for some seconds does not end them.
TRIES = 6


def main() -> None:
    """Entry point: errors that were foreseen are sentences on stderr."""
    try:
        app()
    except (PortTaken, ApiError, ServiceError, OSError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        typer.echo(
            f"Error: The database cannot be used: {reason}. See REGIONWISE_DATABASE_URL and REGIONWISE_DATA_DIR.",
            err=True,
        )
        raise SystemExit(1) from None


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regionwise {version('regionwise')}")
        raise typer.Exit


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """Asks people for the labels that a segmenter needs most."""


add_import(app)


@app.command()
@connected
def annotate(
    oracle: Annotated[Path, typer.Option(help="Folder of label maps: 8-bit PNGs of class ids, named like the images.")],
    project: Annotated[int, typer.Option(help="The project's number.")] = 1,
    count: Annotated[int, typer.Option(help="Regions to take at once.")] = 8,
    limit: Annotated[int | None, typer.Option(help="Stop after this many regions.")] = None,
    seconds: Annotated[float, typer.Option(help="Pretend to need this long for a region.")] = 0.0,
    wait: Annotated[bool, typer.Option(help="Wait while regions are being chosen.")] = True,
    *,
    connection: Connection,
) -> None:
    """Label regions from ground truth, as a person would over HTTP, until the budget is reached."""
    with Progress("Labelling", total=limit, unit="regions") as progress:
        annotator = ScriptedAnnotator(
            client=connection.client(tries=TRIES),
            truth=TruthFolder(oracle),
            project=project,
            at_once=count,
            limit=limit,
            seconds_per_region=seconds,
            progress=progress.update,
        )
        with suppress(KeyboardInterrupt):
            annotator.run(wait=wait)


@app.command()
@connected_as(RunningServer)
def campaign(
    root: Annotated[Path, typer.Option(help="Where the data set is.")],
    dataset: Annotated[str, typer.Option(help="camvid, cityscapes or folder.")] = "camvid",
    out: Annotated[Path, typer.Option(help="Folder of the campaign's own server; it goes on where it stopped.")] = Path(
        "runs/campaign"
    ),
    rounds: Annotated[int, typer.Option(help="Rounds to play.")] = 10,
    preset: Annotated[str, typer.Option(help="lite (two CPU cores) or paper.")] = "lite",
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="name=value: strategy; episodes, games that a policy is trained on; start, dt or state, what is labelled before "
            "(D_T too, or D_S alone); seed.",
        ),
    ] = None,
    *,
    connection: Connection,
) -> None:
    """A whole campaign: import, theta_0, policy, rounds by the scripted annotator, and the table of rounds."""
    chosen = dict(each.partition("=")[::2] for each in override or ())
    server = connection.server if connection.server_option else None
    token = connection.token if server else ""
    offered("campaign")(
        dataset=dataset, root=root, out=out, rounds=rounds, server=server, token=token, preset=preset, chosen=chosen
    )


@app.command()
@connected
def export(
    project: Annotated[int, typer.Argument(help="The project's number.")],
    to: Annotated[Path, typer.Option(help="The zip to write.")] = Path("export.zip"),
    format: Annotated[
        ExportFormat | None, typer.Option(help="The layout; without one, label maps of the project's own ids alone.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="The images' files too.")] = False,
    only: Annotated[
        Only | None, typer.Option(help="Images with a labelled region, or those labelled completely.")
    ] = None,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="What is predicted of regions that wait for labels, too.")
    ] = False,
    *,
    connection: Connection,
) -> None:
    """Download every labelled region, in one of several formats, and a manifest of where each label came from."""
    wanted = ExportQuery(format=format, images=images, only=only, predictions=predictions)
    params = wanted.model_dump(exclude_defaults=True)
    with Progress("Exporting", total=None, unit="MB") as progress:
        client = connection.client(timeout=600)
        path = f"/projects/{project}/export"
        size = client.download(path, to, received=lambda size: progress.update(size // 10**6), params=params)
    typer.echo(f"{to}: {size:,} bytes")
