"""Runs the revisions, over the connection given by service.migrate or over the settings' database."""

from alembic import context
from sqlalchemy import Connection

from service.migrate import writing
from service.settings import get_settings
from service.tables import Base


def run(connection: Connection) -> None:
    """Run the revisions inside one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with writing(get_settings().resolved_database_url) as opened:
        run(opened)
