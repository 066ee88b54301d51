"""Projects and images that may be deleted: events outlive their projects, numbers are given once, bytes are removed afterwards.

And workers that say what they have installed.
"""

import re
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
FOREIGN_KEY = "fk_events_project_id"
DELETABLE = ("projects", "image_groups", "images", "jobs", "checkpoints", "rounds", "regions", "leases", "labels")


def upgrade() -> None:
    _create_blob_removals()
    _create_workers()
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(FOREIGN_KEY, "events", type_="foreignkey")
    else:
        _remake("events", _without_project)
        for table in DELETABLE:
            _remake(table, _numbered_once)
    # A region's row goes only where no lease names it: without an index each would be looked for in all leases.
    op.create_index("ix_leases_region_id", "leases", ["region_id"])


def downgrade() -> None:
    op.drop_index("ix_leases_region_id", "leases")
    op.drop_table("workers")
    op.drop_table("blob_removals")
    if op.get_bind().dialect.name == "postgresql":
        # Not of the events that are there: their projects may be gone. On SQLite the release before does without.
        op.create_foreign_key(FOREIGN_KEY, "events", "projects", ["project_id"], ["id"], postgresql_not_valid=True)


def _create_blob_removals() -> None:
    op.create_table(
        "blob_removals",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_blob_removals"),
    )
    op.create_index("ix_blob_removals_key", "blob_removals", ["key"])
    op.create_index("ix_blob_removals_due_at", "blob_removals", ["due_at"])


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sa.UniqueConstraint("name", name="uq_workers_name"),
    )


def _without_project(table: str, made: str) -> str:
    return re.sub(rf",\s*CONSTRAINT {FOREIGN_KEY} FOREIGN KEY\(project_id\) REFERENCES projects \(id\)", "", made)


def _numbered_once(table: str, made: str) -> str:
    """With ids that are never given again: SQLite gives those of deleted rows anew, and tokens, files and pages speak of them."""
    if "AUTOINCREMENT" in made:
        return made
    key = f"CONSTRAINT pk_{table} PRIMARY KEY"
    shorter = re.sub(rf",\s*{key} \(id\)", "", made)
    return shorter.replace("id INTEGER NOT NULL", f"id INTEGER NOT NULL {key} AUTOINCREMENT", 1)


def _remake(table: str, changed: Callable[[str, str], str]) -> None:
    """Make a table of SQLite anew, with its rows, indexes and triggers. Foreign keys must not be looked after meanwhile."""
    connection = op.get_bind()
    found = "SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"
    parts = connection.execute(sa.text(found), {"table": table}).all()
    (made,) = [sql for kind, sql in parts if kind == "table"]
    wanted = changed(table, made)
    if wanted == made:
        return
    columns = ", ".join(f'"{each["name"]}"' for each in sa.inspect(connection).get_columns(table))
    connection.exec_driver_sql(re.sub(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE new_{table}", wanted))
    connection.exec_driver_sql(f"INSERT INTO new_{table} ({columns}) SELECT {columns} FROM {table}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE new_{table} RENAME TO {table}")
    for kind, sql in parts:
        if kind != "table":
            connection.exec_driver_sql(sql)
