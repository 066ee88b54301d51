"""Projects have members: everybody there is becomes one of every project there is, in their own role."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("projects", sa.Column("open_to_all", sa.Boolean(), nullable=False, server_default=sa.false()))
    _create_memberships()


def downgrade() -> None:
    op.drop_table("memberships")
    op.drop_column("projects", "open_to_all")


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_memberships_project_id"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_memberships_annotator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("project_id", "annotator_id", name="uq_memberships_project_id_annotator_id"),
    )
    op.create_index("ix_memberships_annotator_id", "memberships", ["annotator_id"])
    # Those whose token was revoked too: they would find their work again.
    op.execute(
        "INSERT INTO memberships (project_id, annotator_id, role, created_at) "
        "SELECT projects.id, annotators.id, annotators.role, CURRENT_TIMESTAMP FROM projects CROSS JOIN annotators"
    )
