"""The command `regionwise`: serve, demo, worker, migrate, user, import, annotate, campaign, export."""

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from sqlalchemy.exc import SQLAlchemyError

from service import migrate, server
from service.annotate import ScriptedAnnotator, TruthFolder
from service.app import create_app
from service.arms import offered
from service.auth import Role, hash_token, new_token
from service.cli_import import DEFAULT_SERVER, Server, Token, add_import
from service.client import ApiError, Client
from service.db import Database
from service.errors import ServiceError
from service.queue import celery_sender, make_celery
from service.schemas.export import ExportFormat, ExportQuery, Only
from service.settings import Settings, get_settings
from service.store.annotators import add_annotator

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Asks people for the labels that a segmenter needs most."
)
user_app = typer.Typer(no_args_is_help=True, help="Who may call.")
app.add_typer(user_app, name="user")

Port = Annotated[int | None, typer.Option(help="Port to listen on; REGIONWISE_PORT, else 8000.")]


def main() -> None:
    """Entry point: errors that were foreseen are sentences on stderr."""
    try:
        app()
    except (server.PortTaken, ApiError, ServiceError, OSError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        typer.echo(
            f"Error: The database cannot be used: {reason}. See REGIONWISE_DATABASE_URL and REGIONWISE_DATA_DIR.",
            err=True,
        )
        raise SystemExit(1) from None


def _serve(settings: Settings, host: str, port: int, lines: list[str], verbose: bool) -> None:
    """Bind, start the embedded worker where there is no broker, serve, and stop both cleanly."""
    listener = server.bind(host, port)
    migrate.upgrade(settings.resolved_database_url)
    if not settings.embedded:
        api = create_app(settings, send=celery_sender(make_celery(settings.broker_url)))
        server.run(api, listener, started=lambda: _announce(lines), log_level="info")
        return
    worker = offered("embedded")(settings)
    worker.start()
    try:
        api = create_app(settings, database=worker.database)
        server.run(api, listener, started=lambda: _announce(lines), log_level="info" if verbose else "warning")
    finally:
        worker.stop()


def _announce(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Port = None,
    verbose: Annotated[bool, typer.Option(help="Log every request.")] = False,
) -> None:
    """Serve the API; with the default broker memory:// a worker runs inside this process."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    settings = get_settings()
    host, port = host or settings.host, port or settings.port
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _serve(settings, host, port, [f"Open http://{host}:{port}"], verbose)


@app.command()
def demo(port: Port = None, verbose: Annotated[bool, typer.Option(help="Log every request.")] = False) -> None:
    """Serve with a project of synthetic streets to try things on, made on the first start."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    settings = get_settings()
    port = port or settings.port
    server.bind(settings.host, port).close()  # a taken port is said before anything is made
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.resolved_database_url)
    tokens = _demo_tokens(settings)
    offered("demo")(settings)
    lines = [
        f"Open http://{settings.host}:{port}",
        f"Admin token: {tokens['admin']}",
        f"Annotator token: {tokens['annotator']}",
    ]
    _serve(settings, settings.host, port, lines, verbose)


def _demo_tokens(settings: Settings) -> dict[str, str]:
    """Tokens of the demo's two users, kept in a file that only its owner reads; the database has their hashes."""
    path = settings.data_dir / "demo-tokens.json"
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    tokens = {"admin": new_token(), "annotator": new_token()}
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        for role, token in tokens.items():
            add_annotator(session, name=f"demo-{role}", role=role, token_hash=hash_token(token), now=datetime.now(UTC))
        # Inside the transaction: either both the file and the rows are there, or neither.
        beside = path.with_suffix(f".{os.getpid()}")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(tokens))
        beside.replace(path)
    database.engine.dispose()
    return tokens


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to this release's schema."""
    settings = get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.resolved_database_url)
    typer.echo(f"The database is at {migrate.head()}.")


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(help="Jobs at once; one per GPU.")] = 1,
    log_level: Annotated[str, typer.Option(help="Celery's log level.")] = "INFO",
    simulations: Annotated[
        bool, typer.Option("--simulations", help="Do works of `workers/simulate.py --celery` too; needs Redis.")
    ] = False,
) -> None:
    """Run a Celery worker that takes jobs from REGIONWISE_BROKER_URL."""
    if get_settings().embedded:
        raise ValueError(
            "REGIONWISE_BROKER_URL is memory://; a worker of its own needs a broker, such as redis://127.0.0.1:6379/0."
        )
    offered("worker")(concurrency=concurrency, log_level=log_level, simulations=simulations)


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="A name unlike every other.")],
    role: Annotated[Role, typer.Option(help="admin, reviewer or annotator.")] = "annotator",
) -> None:
    """Add somebody who may call, and print the token once."""
    token, settings = new_token(), get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.resolved_database_url)
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        add_annotator(session, name=name, role=role, token_hash=hash_token(token), now=datetime.now(UTC))
    typer.echo(token)


add_import(app)


@app.command()
def annotate(
    oracle: Annotated[Path, typer.Option(help="Folder of label maps: 8-bit PNGs of class ids, named like the images.")],
    project: Annotated[int, typer.Option(help="The project's number.")] = 1,
    count: Annotated[int, typer.Option(help="Regions to take at once.")] = 8,
    limit: Annotated[int | None, typer.Option(help="Stop after this many regions.")] = None,
    seconds: Annotated[float, typer.Option(help="Pretend to need this long for a region.")] = 0.0,
    wait: Annotated[bool, typer.Option(help="Wait while regions are being chosen.")] = True,
    server: Server = DEFAULT_SERVER,
    token: Token = "",
) -> None:
    """Label regions from ground truth, as a person would over HTTP, until the budget is reached."""
    with Progress() as progress:
        task = progress.add_task("Regions labelled", total=limit)
        annotator = ScriptedAnnotator(
            client=Client(server, token),
            truth=TruthFolder(oracle),
            project=project,
            at_once=count,
            limit=limit,
            seconds_per_region=seconds,
            progress=lambda labelled: progress.update(task, completed=labelled),
        )
        with suppress(KeyboardInterrupt):
            annotator.run(wait=wait)


@app.command()
def campaign(
    root: Annotated[Path, typer.Option(help="Where the data set is.")],
    dataset: Annotated[str, typer.Option(help="camvid, cityscapes or folder.")] = "camvid",
    out: Annotated[Path, typer.Option(help="Folder of the campaign's own server; it goes on where it stopped.")] = Path(
        "runs/campaign"
    ),
    rounds: Annotated[int, typer.Option(help="Rounds to play.")] = 10,
    server: Annotated[str | None, typer.Option(help="A server that runs already; none: one is started.")] = None,
    token: Token = "",
    preset: Annotated[str, typer.Option(help="lite (two CPU cores) or paper.")] = "lite",
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="name=value: strategy; episodes, games that a policy is trained on; start, dt or state, what is labelled before "
            "(D_T too, or D_S alone); seed.",
        ),
    ] = None,
) -> None:
    """A whole campaign: import, theta_0, policy, rounds by the scripted annotator, and the table of rounds."""
    chosen = dict(each.partition("=")[::2] for each in override or ())
    offered("campaign")(
        dataset=dataset, root=root, out=out, rounds=rounds, server=server, token=token, preset=preset, chosen=chosen
    )


@app.command()
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
    server: Server = DEFAULT_SERVER,
    token: Token = "",
) -> None:
    """Download every labelled region, in one of several formats, and a manifest of where each label came from."""
    wanted = ExportQuery(format=format, images=images, only=only, predictions=predictions)
    client = Client(server, token, timeout=600)
    params = wanted.model_dump(exclude_defaults=True)
    size = client.download(f"/projects/{project}/export", to, params=params)
    typer.echo(f"{to}: {size:,} bytes")
