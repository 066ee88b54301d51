"""Several people per region, reviews, comparisons of labels, members who are paused, changes of classes."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
ACTIVE = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("leases", sa.Column("seat", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("uq_leases_active_region", "leases")
    _create_active("uq_leases_active_seat", "seat")
    _create_active("uq_leases_active_annotator", "annotator_id")
    op.add_column("regions", sa.Column("overlap", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("regions", sa.Column("answers", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("regions", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("regions", sa.Column("gold", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("regions", sa.Column("truth", sa.LargeBinary(), nullable=True))
    op.execute("UPDATE regions SET answers = 1 WHERE state = 'labelled'")
    op.add_column("labels", sa.Column("kind", sa.String(length=20), nullable=False, server_default="annotated"))
    op.execute(
        "UPDATE labels SET kind = 'imported' WHERE version = 1 AND region_id IN (SELECT regions.id FROM regions "
        "JOIN rounds ON rounds.id = regions.round_id WHERE rounds.strategy = 'import')"
    )
    op.add_column("labels", sa.Column("corrects_id", KEY, nullable=True))
    op.add_column("labels", sa.Column("idle_seconds", sa.Double(), nullable=True))
    op.create_index("ix_labels_annotator_id_id", "labels", ["annotator_id", "id"])
    op.add_column("rounds", sa.Column("learned_label_id", KEY, nullable=True))
    op.add_column("rounds", sa.Column("class_changes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("memberships", sa.Column("paused_at", MOMENT, nullable=True))
    op.add_column("memberships", sa.Column("pause_reason", sa.Text(), nullable=True))
    op.add_column("memberships", sa.Column("resumed_at", MOMENT, nullable=True))
    op.add_column("memberships", sa.Column("tested", sa.Boolean(), nullable=False, server_default=sa.false()))
    _create_gold_turns()
    _create_reviews()
    _create_comparisons()
    _create_class_changes()


def downgrade() -> None:
    _forget_gold()
    for name in ("class_changes", "comparisons", "reviews"):
        op.drop_table(name)
    for column in ("tested", "resumed_at", "pause_reason", "paused_at"):
        op.drop_column("memberships", column)
    op.drop_column("rounds", "class_changes")
    op.drop_column("rounds", "learned_label_id")
    op.drop_index("ix_labels_annotator_id_id", "labels")
    for column in ("idle_seconds", "corrects_id", "kind"):
        op.drop_column("labels", column)
    # The release before knows neither regions that wait for a review nor two people at one region.
    op.execute("UPDATE regions SET state = 'labelled' WHERE state = 'review'")
    for column in ("truth", "gold", "priority", "answers", "overlap"):
        op.drop_column("regions", column)
    op.drop_index("uq_leases_active_annotator", "leases")
    op.drop_index("uq_leases_active_seat", "leases")
    op.execute("UPDATE leases SET ended_at = expires_at, \"end\" = 'revoked' WHERE ended_at IS NULL AND seat > 0")
    op.create_index(
        "uq_leases_active_region",
        "leases",
        ["region_id"],
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.drop_column("leases", "seat")


def _create_active(name: str, column: str) -> None:
    op.create_index(name, "leases", ["region_id", column], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE)


def _create_gold_turns() -> None:
    op.create_table(
        "gold_turns",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("region_id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("round_id", KEY, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("prediction", sa.LargeBinary(), nullable=True),
        sa.Column("prediction_checkpoint_id", KEY, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_gold_turns_project_id"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_gold_turns_region_id"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_gold_turns_annotator_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_gold_turns_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_gold_turns"),
        sa.UniqueConstraint("region_id", "annotator_id", name="uq_gold_turns_region_id_annotator_id"),
        sqlite_autoincrement=True,
    )
    columns = ["project_id", "annotator_id", "state"]
    op.create_index("ix_gold_turns_project_id_annotator_id_state", "gold_turns", columns)


def _forget_gold() -> None:
    """The release before would learn nothing from gold regions, and show what they are."""
    op.drop_table("gold_turns")
    gold = "SELECT id FROM regions WHERE gold"
    op.execute(f"DELETE FROM comparisons WHERE region_id IN ({gold})")
    op.execute(f"DELETE FROM reviews WHERE region_id IN ({gold})")
    for table in ("labels", "leases"):
        op.execute(f"DELETE FROM {table} WHERE region_id IN ({gold})")
    op.execute("DELETE FROM regions WHERE gold")
    op.execute("DELETE FROM rounds WHERE state = 'gold'")


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("region_id", KEY, nullable=False),
        sa.Column("label_id", KEY, nullable=False),
        sa.Column("reviewer_id", KEY, nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("result_label_id", KEY, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_reviews_project_id"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_reviews_region_id"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_reviews_label_id"),
        sa.ForeignKeyConstraint(["reviewer_id"], ["annotators.id"], name="fk_reviews_reviewer_id"),
        sa.ForeignKeyConstraint(["result_label_id"], ["labels.id"], name="fk_reviews_result_label_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reviews_project_id_id", "reviews", ["project_id", "id"])
    op.create_index("ix_reviews_region_id", "reviews", ["region_id"])


def _create_comparisons() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("region_id", KEY, nullable=False),
        sa.Column("label_id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("other_label_id", KEY, nullable=True),
        sa.Column("other_annotator_id", KEY, nullable=True),
        sa.Column("miou", sa.Double(), nullable=False),
        sa.Column("pixel_accuracy", sa.Double(), nullable=False),
        sa.Column("by_class", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_comparisons_project_id"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_comparisons_region_id"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_comparisons_label_id"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_comparisons_annotator_id"),
        sa.ForeignKeyConstraint(["other_label_id"], ["labels.id"], name="fk_comparisons_other_label_id"),
        sa.ForeignKeyConstraint(["other_annotator_id"], ["annotators.id"], name="fk_comparisons_other_annotator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comparisons"),
        sa.UniqueConstraint("label_id", "other_label_id", name="uq_comparisons_label_id_other_label_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comparisons_project_id_annotator_id", "comparisons", ["project_id", "annotator_id"])
    op.create_index("ix_comparisons_region_id", "comparisons", ["region_id"])


def _create_class_changes() -> None:
    op.create_table(
        "class_changes",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("classes_before", sa.JSON(), nullable=False),
        sa.Column("classes_after", sa.JSON(), nullable=False),
        sa.Column("annotator_id", KEY, nullable=True),
        sa.Column("reverts", sa.Integer(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_class_changes_project_id"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_class_changes_annotator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_class_changes"),
        sa.UniqueConstraint("project_id", "number", name="uq_class_changes_project_id_number"),
        sqlite_autoincrement=True,
    )
