"""Workers say which queues they take jobs from."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("queues", sa.String(100), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "queues")
