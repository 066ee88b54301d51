"""What pages show: hints on a region for who labels it, the pool's predicted classes by round, and lines of jobs' logs."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "region_hints",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("region_id", KEY, sa.ForeignKey("regions.id"), nullable=False, unique=True),
        sa.Column("checkpoint_id", KEY, nullable=True),
        sa.Column("uncertainty", sa.LargeBinary(), nullable=True),
        sa.Column("features", sa.LargeBinary(), nullable=True),
        sa.Column("described", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_lines",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("job_id", KEY, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_lines_job_id_id", "job_lines", ["job_id", "id"])
    op.add_column("rounds", sa.Column("pool_shares", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("rounds", "pool_shares")
    op.drop_index("ix_job_lines_job_id_id", "job_lines")
    op.drop_table("job_lines")
    op.drop_table("region_hints")
