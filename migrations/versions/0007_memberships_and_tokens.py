"""Projects have members: everybody there is becomes one of every project there is. People have several tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("projects", sa.Column("open_to_all", sa.Boolean(), nullable=False, server_default=sa.false()))
    _create_memberships()
    _create_tokens()
    _create_browser_sessions()


def downgrade() -> None:
    op.drop_table("browser_sessions")
    op.drop_table("tokens")
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


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_tokens_annotator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_tokens_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tokens_annotator_id", "tokens", ["annotator_id"])
    # The column they come from stays: the release before looks there.
    op.execute(
        "INSERT INTO tokens (annotator_id, name, token_hash, prefix, created_at, revoked_at) "
        "SELECT id, 'first', token_hash, '', created_at, CASE WHEN active THEN NULL ELSE CURRENT_TIMESTAMP END "
        "FROM annotators"
    )


def _create_browser_sessions() -> None:
    op.create_table(
        "browser_sessions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("token_id", KEY, nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_browser_sessions_token_id"),
        sa.PrimaryKeyConstraint("id", name="pk_browser_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_browser_sessions_secret_hash"),
    )
    op.create_index("ix_browser_sessions_token_id", "browser_sessions", ["token_id"])
    op.create_index("ix_browser_sessions_expires_at", "browser_sessions", ["expires_at"])
