"""Checkpoints without weights, labels that were exported, holds on removals while a backup is made, archives of events."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("weights_gone_at", MOMENT, nullable=True))
    op.add_column("projects", sa.Column("exported_label_id", KEY, nullable=True))
    op.create_table(
        "removal_holds",
        sa.Column("id", KEY, nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removal_holds"),
    )
    op.create_table(
        "event_archives",
        sa.Column("id", KEY, nullable=False),
        sa.Column("first_id", KEY, nullable=False),
        sa.Column("last_id", KEY, nullable=False),
        sa.Column("blob_key", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_archives"),
        sa.UniqueConstraint("first_id", name="uq_event_archives_first_id"),
    )
    _let_archived_events_go()


def downgrade() -> None:
    _keep_all_events()
    op.drop_table("event_archives")
    op.drop_table("removal_holds")
    op.drop_column("projects", "exported_label_id")
    op.drop_column("checkpoints", "weights_gone_at")


def _let_archived_events_go() -> None:
    """An event goes only where an archive has it; none is ever changed."""
    archived = "EXISTS (SELECT 1 FROM event_archives WHERE OLD.id BETWEEN first_id AND last_id)"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change_of_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'DELETE' THEN IF {archived} THEN RETURN OLD; END IF; END IF; "
            "RAISE EXCEPTION 'events are append only'; END $$"
        )
        return
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(
        f"CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN NOT {archived} "
        "BEGIN SELECT RAISE(ABORT, 'events are append only'); END"
    )


def _keep_all_events() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change_of_event() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'events are append only'; END $$"
        )
        return
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are append only'); END"
    )
