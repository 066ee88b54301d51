"""Rounds say which reward images their mIoU was measured on."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("measured_on", sa.String(16), nullable=True))


def downgrade() -> None:
    op.drop_column("rounds", "measured_on")
