"""The first schema: everything from annotators to events, which the database only lets grow."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_annotators()
    _create_projects()
    _create_events()
    _create_image_groups()
    _create_jobs()
    _create_checkpoints()
    _create_images()
    _create_rounds()
    _create_regions()
    _create_labels()
    _create_leases()
    _forbid_changes_of_events()


def downgrade() -> None:
    tables = (
        "leases", "labels", "regions", "rounds", "images", "checkpoints", "jobs", "image_groups", "events", "projects",
        "annotators",
    )  # fmt: skip
    for table in tables:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_event()")


def _create_annotators() -> None:
    op.create_table(
        "annotators",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotators"),
        sa.UniqueConstraint("name", name="uq_annotators_name"),
        sa.UniqueConstraint("token_hash", name="uq_annotators_token_hash"),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("project_id", KEY, nullable=True),
        sa.Column("annotator_id", KEY, nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_events_annotator_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_events_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_project_id_id", "events", ["project_id", "id"], unique=False)


def _create_image_groups() -> None:
    op.create_table(
        "image_groups",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("split", sa.String(length=20), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_image_groups_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_image_groups"),
        sa.UniqueConstraint(
            "project_id", "split", "height", "width", name="uq_image_groups_project_id_split_height_width"
        ),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("dedup_key", sa.String(length=100), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lock", sa.String(length=40), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("heartbeat_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_jobs_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("project_id", "dedup_key", name="uq_jobs_project_id_dedup_key"),
    )
    op.create_index("ix_jobs_project_id_kind_state", "jobs", ["project_id", "kind", "state"], unique=False)
    op.create_index("ix_jobs_state_heartbeat_at", "jobs", ["state", "heartbeat_at"], unique=False)


def _create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("blob_key", sa.String(length=255), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("parent_id", KEY, nullable=True),
        sa.Column("job_id", KEY, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_checkpoints_job_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["checkpoints.id"], name="fk_checkpoints_parent_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_checkpoints_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
    )
    op.create_index("ix_checkpoints_project_id_kind_id", "checkpoints", ["project_id", "kind", "id"], unique=False)


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("split", sa.String(length=20), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=50), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("blob_key", sa.String(length=255), nullable=False),
        sa.Column("label_key", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["image_groups.id"], name="fk_images_group_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_images_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("group_id", "ordinal", name="uq_images_group_id_ordinal"),
        sa.UniqueConstraint("project_id", "name", name="uq_images_project_id_name"),
    )


def _create_rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(length=50), nullable=True),
        sa.Column("checkpoint_id", KEY, nullable=True),
        sa.Column("policy_id", KEY, nullable=True),
        sa.Column("result_checkpoint_id", KEY, nullable=True),
        sa.Column("miou_before", sa.Double(), nullable=True),
        sa.Column("miou_after", sa.Double(), nullable=True),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("iou_per_class", sa.JSON(), nullable=True),
        sa.Column("class_counts", sa.JSON(), nullable=True),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=True),
        sa.Column("labelled_at", MOMENT, nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoints.id"], name="fk_rounds_checkpoint_id"),
        sa.ForeignKeyConstraint(["policy_id"], ["checkpoints.id"], name="fk_rounds_policy_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_rounds_project_id"),
        sa.ForeignKeyConstraint(["result_checkpoint_id"], ["checkpoints.id"], name="fk_rounds_result_checkpoint_id"),
        sa.PrimaryKeyConstraint("id", name="pk_rounds"),
        sa.UniqueConstraint("project_id", "number", name="uq_rounds_project_id_number"),
    )
    op.create_index("ix_rounds_project_id_state", "rounds", ["project_id", "state"], unique=False)


def _create_regions() -> None:
    op.create_table(
        "regions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("round_id", KEY, nullable=False),
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("col", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("prediction", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_regions_image_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_regions_project_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_regions_round_id"),
        sa.PrimaryKeyConstraint("id", name="pk_regions"),
        sa.UniqueConstraint("image_id", "cell", name="uq_regions_image_id_cell"),
    )
    op.create_index("ix_regions_project_id_state", "regions", ["project_id", "state"], unique=False)
    op.create_index("ix_regions_round_id_state", "regions", ["round_id", "state"], unique=False)


def _create_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("id", KEY, nullable=False),
        sa.Column("region_id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mask", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("class_counts", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_labels_annotator_id"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_labels_region_id"),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("region_id", "version", name="uq_labels_region_id_version"),
    )


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("id", KEY, nullable=False),
        sa.Column("region_id", KEY, nullable=False),
        sa.Column("annotator_id", KEY, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_leases_annotator_id"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_leases_region_id"),
        sa.PrimaryKeyConstraint("id", name="pk_leases"),
    )
    op.create_index("ix_leases_annotator_id_ended_at", "leases", ["annotator_id", "ended_at"], unique=False)
    op.create_index(
        "uq_leases_active_region",
        "leases",
        ["region_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _forbid_changes_of_events() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_event() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'events are append only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_event()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{change.lower()} BEFORE {change} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are append only'); END"
        )
