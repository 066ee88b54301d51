"""The command that removes at once what the service removes little by little, or says what that would be."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from service import migrate
from service.blobs import Blobs
from service.commands.tables import show, table
from service.db import Database
from service.keeping import Keeper
from service.removal import remove_due
from service.settings import get_settings

app = typer.Typer()


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
) -> None:
    """Remove what nothing needs any more: weights of old rounds, ended leases, bytes that no row names; archive old events."""
    settings = get_settings()
    url = settings.resolved_database_url
    if not migrate.exists(url):
        raise ValueError("There is no database yet: see REGIONWISE_DATABASE_URL and REGIONWISE_DATA_DIR.")
    database, blobs = Database(url), Blobs(settings.resolved_blob_url)
    try:
        keeper = Keeper(
            database=database,
            blobs=blobs,
            settings=settings,
            clock=_now,
            dry=dry_run,
            grace=timedelta(0),
        )
        counts, sizes = defaultdict[str, int](int), defaultdict[str, int](int)
        for went in keeper.pieces():
            counts[went.kind] += went.count
            sizes[went.kind] += went.size
        if not dry_run:
            remove_due(database, blobs, _now(), settings.resolved_feature_dir)
    finally:
        database.engine.dispose()
    rows = table("what", "count", "bytes")
    for kind, count in counts.items():
        rows.add_row(kind, f"{count:,}", f"{sizes[kind]:,}")
    show(rows)
    typer.echo("Nothing was changed." if dry_run else "Done.")


def _now() -> datetime:
    return datetime.now(UTC)
