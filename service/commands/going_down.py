"""Takes a database back to an earlier revision, after saying what that loses and asking."""

import tempfile
from pathlib import Path

import typer
from sqlalchemy import make_url

from service import migrate
from service.engines import make_engine
from service.store.shapes import Loss, lost, shape_of


def go_down(url: str, revision: str, *, yes: bool) -> None:
    """Ask, unless `yes`, and migrate down. Raises ValueError for a revision that is not behind the database's, typer.Abort."""
    losses = losses_of(url, revision)
    name = make_url(url).render_as_string()
    typer.echo(f"This takes {name} back to {revision}, and loses for good:", err=True)
    for each in losses:
        typer.echo(f"  {each}", err=True)
    if not losses:
        typer.echo("  nothing", err=True)
    if not yes:
        typer.echo("Make a backup before: regionwise backup DEST.", err=True)
        if typer.prompt(f"Type {revision} to go on", err=True, default="", show_default=False) != revision:
            raise typer.Abort
    migrate.downgrade(url, revision)
    typer.echo(f"The database {name} is at {revision}.")


def losses_of(url: str, revision: str) -> list[Loss]:
    """The tables and columns that go, with what is in them: those that a new database of that revision does not have."""
    if not migrate.exists(url):
        raise ValueError("There is no database yet: see REGIONWISE_DATABASE_URL and REGIONWISE_DATA_DIR.")
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            current = migrate.known(connection) or ""
            behind = [*migrate.behind(current), "base"]
            if revision not in behind:
                raise ValueError(f"The database is at {current}: it can go down to {', '.join(behind)}.")
            with tempfile.TemporaryDirectory() as folder:
                return lost(connection, _shape_at(Path(folder), revision))
    finally:
        engine.dispose()


def _shape_at(folder: Path, revision: str) -> dict[str, set[str]]:
    """The columns of each table of a new database at a revision."""
    if revision == "base":
        return {}
    url = f"sqlite:///{folder}/shape.db"
    migrate.upgrade(url, revision)
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return shape_of(connection)
    finally:
        engine.dispose()
