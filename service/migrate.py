"""Brings a database to the schema of this release, and says whether it is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text

import migrations
from service.engines import make_engine

_LOCK = 7_461_020_231  # any number, but the same for all who migrate


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` up to `revision`; several processes may call this at once.

    Raises ValueError for a database that a later release has migrated.
    """
    _migrate(url, revision, up=True)


def downgrade(url: str, revision: str) -> None:
    """Migrate the database at `url` down to `revision`; "base" removes everything. Raises ValueError as `upgrade` does."""
    _migrate(url, revision, up=False)


def _migrate(url: str, revision: str, *, up: bool) -> None:
    with writing(url) as connection:
        known(connection)
        config = alembic_config()
        config.attributes["connection"] = connection
        (command.upgrade if up else command.downgrade)(config, revision)


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """A transaction for revisions, one at a time, in which SQLite does not look after foreign keys: it makes tables anew."""
    engine = make_engine(url)
    try:
        # On SQLite the write option takes the lock; on PostgreSQL an advisory lock does, until the transaction ends.
        with engine.execution_options(write=True).connect() as connection:
            if engine.dialect.name == "sqlite":
                # Within a transaction this would do nothing.
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            with connection.begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                yield connection
    finally:
        engine.dispose()


def exists(url: str) -> bool:
    """Whether there is a database at `url` that was migrated before, to whatever revision. Makes none by asking."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return False
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return current(connection) is not None
    finally:
        engine.dispose()


def alembic_config() -> Config:
    """Alembic's configuration, wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@lru_cache
def head() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def knows(revision: str) -> bool:
    """Whether this release can come from that revision."""
    return revision in _known()


@lru_cache
def _known() -> frozenset[str]:
    return frozenset(each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def later(revision: str | None) -> str | None:
    """A sentence on a database that a later release has migrated; None for any other."""
    if revision is None or knows(revision):
        return None
    return f"A later release has brought the database to {revision}, and this one knows {head()}: install that one."


def behind(revision: str) -> list[str]:
    """The revisions that come before one, the nearest first."""
    walked = ScriptDirectory.from_config(alembic_config()).iterate_revisions(revision, "base")
    return [each.revision for each in walked if each.revision != revision]


def known(connection: Connection) -> str | None:
    """The revision that the database is at, as `current`. Raises ValueError where a later release has migrated it."""
    revision = current(connection)
    if ahead := later(revision):
        raise ValueError(ahead)
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()
