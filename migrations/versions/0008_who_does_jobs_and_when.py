"""Jobs that wait know until when, and who does them; workers are processes that say that they are alive."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("due_at", MOMENT, nullable=True))
    op.add_column("jobs", sa.Column("postponed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("worker", sa.String(255), nullable=True))
    op.add_column("workers", sa.Column("host", sa.String(255), nullable=True))
    op.add_column("workers", sa.Column("pid", sa.Integer(), nullable=True))
    op.add_column("workers", sa.Column("seen_at", MOMENT, nullable=True))
    op.add_column("workers", sa.Column("job_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    # The release before has a row for each machine, not for each process: those of processes say the same many times.
    op.execute("DELETE FROM workers WHERE pid IS NOT NULL")
    for column in ("job_id", "seen_at", "pid", "host"):
        op.drop_column("workers", column)
    for column in ("worker", "postponed", "due_at"):
        op.drop_column("jobs", column)
