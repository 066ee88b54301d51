"""Rounds that warn, and regions that say which checkpoint made their prediction."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FOREIGN_KEY = "fk_regions_prediction_checkpoint_id"


def upgrade() -> None:
    op.add_column("rounds", sa.Column("warning", sa.Text(), nullable=True))
    _add_prediction_checkpoint_id()
    # Until now a region had the prediction of the segmenter that its round was chosen with, for good.
    op.execute(
        "UPDATE regions SET prediction_checkpoint_id = "
        "(SELECT rounds.checkpoint_id FROM rounds WHERE rounds.id = regions.round_id) WHERE prediction IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("regions", "prediction_checkpoint_id")
    op.drop_column("rounds", "warning")


def _add_prediction_checkpoint_id() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("regions", sa.Column("prediction_checkpoint_id", KEY, nullable=True))
        op.create_foreign_key(FOREIGN_KEY, "regions", "checkpoints", ["prediction_checkpoint_id"], ["id"])
        return
    # SQLite takes a constraint with its column only; a table made anew would have to be dropped under its labels and leases.
    op.execute(
        f"ALTER TABLE regions ADD COLUMN prediction_checkpoint_id INTEGER CONSTRAINT {FOREIGN_KEY} REFERENCES checkpoints (id)"
    )
