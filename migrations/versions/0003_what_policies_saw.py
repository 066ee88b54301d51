"""Rounds that say where the bytes lie of what the policy saw that asked for them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("seen_key", sa.String(200), nullable=True))


def downgrade() -> None:
    op.drop_column("rounds", "seen_key")
