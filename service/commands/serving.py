"""Commands that run the service: serve, demo, worker, migrate."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from sqlalchemy import make_url

from service import first_admin, logs, migrate, pages, server
from service.app import create_app
from service.arms import offered
from service.auth import kept_of, new_token
from service.commands.going_down import go_down
from service.data_folder import held_alone
from service.db import Database
from service.queue import celery_sender, make_celery
from service.settings import Settings, get_settings
from service.store.annotators import add_annotator

app = typer.Typer()

Port = Annotated[int | None, typer.Option(help="Port to listen on; REGIONWISE_PORT, else 8000.")]


def _serve(settings: Settings, host: str, port: int, lines: list[str], verbose: bool) -> None:
    """Bind, start the embedded worker where there is no broker, serve, and stop both cleanly."""
    listener = server.bind(host, port)
    migrate.upgrade(settings.resolved_database_url)
    _announce(first_admin.added(settings))
    if not settings.embedded:
        api = create_app(settings, send=celery_sender(make_celery(settings.broker_url)))
        server.run(api, listener, started=lambda: _announce(lines), log_level=_level(settings, verbose))
        return
    worker = offered("embedded")(settings)
    ended = False
    worker.start()
    try:
        api = create_app(settings, database=worker.database)
        server.run(
            api,
            listener,
            started=lambda: _announce(lines),
            stopping=worker.ask_to_stop,
            log_level=_level(settings, verbose),
        )
    finally:
        ended = worker.stop()
    if not ended:
        # Its thread computes on, and would end with the interpreter's parts missing.
        logging.shutdown()
        os._exit(0)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """The data folder, made if need be, and held where the worker is in this process; SIGTERM ends it cleanly."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with server.terminated_as_interrupted(), held_alone(settings.data_dir) if settings.embedded else nullcontext():
        yield


def _level(settings: Settings, verbose: bool) -> str:
    """Somebody who tries things out is told of what goes wrong alone; a service logs each request."""
    return "info" if verbose or not settings.embedded or settings.log_format == "json" else "warning"


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
    settings = get_settings()
    logs.configure(settings.log_format, _level(settings, verbose).upper())
    host, port = host or settings.host, port or settings.port
    with _alone(settings):
        _serve(settings, host, port, [f"Open http://{host}:{port}"], verbose)


@app.command()
def demo(port: Port = None, verbose: Annotated[bool, typer.Option(help="Log every request.")] = False) -> None:
    """Serve with a project of synthetic streets to try things on, made on the first start."""
    settings = get_settings()
    logs.configure(settings.log_format, _level(settings, verbose).upper())
    port = port or settings.port
    server.bind(settings.host, port).close()  # a taken port is said before anything is made
    with _alone(settings):
        migrate.upgrade(settings.resolved_database_url)
        lines = _demo_lines(settings, f"http://{settings.host}:{port}{pages.PATH}/")
        offered("demo")(settings)
        _serve(settings, settings.host, port, lines, verbose)


def _demo_lines(settings: Settings, page: str) -> list[str]:
    """Where to go, and what to say of the tokens of the demo's two users: themselves once, then the file that its owner reads.

    What follows the # of a link is for the page alone, which logs in with it: no server and no log sees it.
    """
    path = settings.data_dir / "demo-tokens.json"
    if path.exists():
        return [f"Open {page}", f"The admin's and the annotator's token are in {path}."]
    tokens = {"admin": new_token(), "annotator": new_token()}
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        for role, token in tokens.items():
            add_annotator(session, name=f"demo-{role}", role=role, **kept_of(token), now=datetime.now(UTC))
        # Inside the transaction: either both the file and the rows are there, or neither.
        beside = path.with_suffix(f".{os.getpid()}")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(tokens))
        beside.replace(path)
    database.engine.dispose()
    return [
        f"Open {page}#token={tokens['admin']}",
        f"Admin token: {tokens['admin']}",
        f"Annotator token: {tokens['annotator']}",
        f"They are shown only now, and kept in {path}.",
    ]


@app.command("migrate")
def migrate_command(
    down: Annotated[
        str | None, typer.Option(help="Go back to this revision instead, or base; says what is lost, and asks.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring the database to this release's schema."""
    settings = get_settings()
    if down is not None:
        go_down(settings.resolved_database_url, down, yes=yes)
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.resolved_database_url)
    typer.echo(f"The database {make_url(settings.resolved_database_url).render_as_string()} is at {migrate.head()}.")


@app.command()
def openapi() -> None:
    """Print the description of the API, from which clients can be generated."""
    with TemporaryDirectory() as folder:
        api = create_app(Settings(data_dir=Path(folder), database_url=f"sqlite:///{folder}/none.db"))
        typer.echo(json.dumps(api.openapi(), indent=1, sort_keys=True))
        api.state.database.engine.dispose()


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(help="Jobs at once; one per GPU.")] = 1,
    log_level: Annotated[str, typer.Option(help="Celery's log level.")] = "INFO",
    simulations: Annotated[
        bool, typer.Option("--simulations", help="Do works of `workers/simulate.py --celery` too; needs Redis.")
    ] = False,
    queues: Annotated[
        str | None,
        typer.Option(help="Queues to take jobs from, of rounds,cpu,gpu; REGIONWISE_QUEUES, else all."),
    ] = None,
) -> None:
    """Run a Celery worker that takes jobs from REGIONWISE_BROKER_URL."""
    if queues is not None:
        os.environ["REGIONWISE_QUEUES"] = queues  # its pool processes read it too
        get_settings.cache_clear()
    if get_settings().embedded:
        raise ValueError(
            "REGIONWISE_BROKER_URL is memory://; a worker of its own needs a broker, such as redis://127.0.0.1:6379/0."
        )
    offered("worker")(concurrency=concurrency, log_level=log_level, simulations=simulations)
