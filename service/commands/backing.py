"""Commands that make a backup of the database and the blobs of this machine's settings, and bring one back."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from service.backup import Backup, Restore
from service.blobs import Blobs
from service.db import Database
from service.progress import Progress
from service.settings import get_settings

app = typer.Typer()


@app.command()
def backup(
    dest: Annotated[
        str, typer.Argument(help="A folder, a new .tar file, or a URL that fsspec knows, such as s3://bucket/x.")
    ],
) -> None:
    """Copy the database and all that it names, while the service goes on; what DEST has already is not copied again."""
    settings = get_settings()
    database = Database(settings.resolved_database_url)
    try:
        with Progress("Copying", total=None, unit="blobs") as progress:
            made = Backup(
                database=database,
                blobs=Blobs(settings.resolved_blob_url),
                to=dest,
                clock=lambda: datetime.now(UTC),
                told=lambda done, total: progress.update(done, f"of {total}"),
            ).run()
    finally:
        database.engine.dispose()
    manifest = made.manifest
    typer.echo(
        f"{dest}: backup {manifest.name} of regionwise {manifest.release}, schema {manifest.revision}: "
        f"{sum(manifest.rows.values()):,} rows, {manifest.blobs:,} blobs, of which {made.copied:,} "
        f"({made.copied_bytes:,} bytes) were not there."
    )
    _say_missing(manifest.missing)


@app.command()
def restore(
    source: Annotated[str, typer.Argument(help="What `regionwise backup` wrote to.")],
    name: Annotated[
        str, typer.Option("--backup", help="A backup's name, as it was printed; without it the newest.")
    ] = "",
    force: Annotated[
        str, typer.Option(help="The name of a database that holds something: all that it holds is lost.")
    ] = "",
) -> None:
    """Bring a backup back into the database and the blobs of this machine's settings, SQLite or PostgreSQL."""
    settings = get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with Progress("Restoring", total=None, unit="blobs") as progress:
        manifest = Restore(
            source=source,
            url=settings.resolved_database_url,
            blobs=Blobs(settings.resolved_blob_url),
            name=name,
            force=force,
            told=lambda done, total: progress.update(done, f"of {total}"),
        ).run()
    typer.echo(
        f"Restored backup {manifest.name} of regionwise {manifest.release}, schema {manifest.revision}, made on "
        f"{manifest.database}: {sum(manifest.rows.values()):,} rows, {manifest.blobs:,} blobs."
    )
    _say_missing(manifest.missing)


def _say_missing(keys: list[str]) -> None:
    if keys:
        listed = ", ".join(keys[:10]) + (", ..." if len(keys) > 10 else "")
        typer.echo(f"Not in the backup, because the service had lost the bytes: {listed}", err=True)
        raise typer.Exit(1)
