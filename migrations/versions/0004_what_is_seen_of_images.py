"""Images that say where the bytes lie of what is seen of them, and how they were read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("seen_key", sa.String(255), nullable=True))
    op.add_column("images", sa.Column("reading", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("images", "reading")
    op.drop_column("images", "seen_key")
