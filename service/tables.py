"""The ORM: what the database holds."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Key = BigInteger().with_variant(Integer, "sqlite")
NUMBERED_ONCE: dict[str, Any] = {"sqlite_autoincrement": True}
"""Of tables whose rows may be deleted: a number that was given is never given again, as PostgreSQL has it."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, on databases that keep the zone and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain attribute
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
    }


class Annotator(Base):
    """A person or program with a token; the token itself is never stored."""

    __tablename__ = "annotators"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Project(Base):
    """Classes, settings and the budget of one labelling campaign."""

    __tablename__ = "projects"
    __table_args__ = (NUMBERED_ONCE,)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    classes: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class ImageGroup(Base):
    """The images of one split that share a size, in the order of arrival: the pool is arithmetic over these."""

    __tablename__ = "image_groups"
    __table_args__ = (UniqueConstraint("project_id", "split", "height", "width"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    split: Mapped[str] = mapped_column(String(20))
    height: Mapped[int]
    width: Mapped[int]
    count: Mapped[int] = mapped_column(default=0)


class Image(Base):
    """An image, its place in its group, and where its bytes are."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("project_id", "name"), UniqueConstraint("group_id", "ordinal"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    group_id: Mapped[int] = mapped_column(ForeignKey("image_groups.id"))
    ordinal: Mapped[int]
    name: Mapped[str] = mapped_column(String(255))
    split: Mapped[str] = mapped_column(String(20))
    height: Mapped[int]
    width: Mapped[int]
    media_type: Mapped[str] = mapped_column(String(50))
    digest: Mapped[str] = mapped_column(String(64))
    blob_key: Mapped[str] = mapped_column(String(255))
    seen_key: Mapped[str | None] = mapped_column(
        String(255)
    )  # of the PNG of what is seen, where the file is not just that
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what was done to get there
    label_key: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]


class Checkpoint(Base):
    """Network weights: a segmenter or a policy."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index(None, "project_id", "kind", "id"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))  # source, segmenter, policy, final
    blob_key: Mapped[str] = mapped_column(String(255))
    description: Mapped[dict[str, Any]]  # architecture, classes, settings hash, metrics
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    created_at: Mapped[datetime]


class Job(Base):
    """A long piece of work; the broker only wakes workers up to it."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("project_id", "dedup_key"),
        Index(None, "state", "heartbeat_at"),
        Index(None, "project_id", "kind", "state"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))  # one of domain.job_kinds
    dedup_key: Mapped[str | None] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), default="queued")  # queued, running, done, failed, cancelled
    progress: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    lock: Mapped[str | None] = mapped_column(String(40))  # names the delivery that owns the job now
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    sent_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Round(Base):
    """One step of the game: K regions proposed, labelled, learned from."""

    __tablename__ = "rounds"
    __table_args__ = (UniqueConstraint("project_id", "number"), Index(None, "project_id", "state"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))  # scoring, open, labelled, told
    size: Mapped[int]  # regions asked for
    strategy: Mapped[str | None] = mapped_column(String(50))
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    result_checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    miou_before: Mapped[float | None]
    miou_after: Mapped[float | None]
    reward: Mapped[float | None]
    iou_per_class: Mapped[list[Any] | None] = mapped_column(JSON)
    class_counts: Mapped[list[Any] | None] = mapped_column(JSON)
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)  # phase -> seconds
    note: Mapped[str] = mapped_column(Text, default="")
    warning: Mapped[str | None] = mapped_column(Text)  # mIoU fell by more than its noise
    seen_key: Mapped[str | None] = mapped_column(String(200))  # of the bytes of what the policy saw that asked for it
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    labelled_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]


class Region(Base):
    """A cell of an image's grid that has been proposed; cells that nobody proposed have no row."""

    __tablename__ = "regions"
    __table_args__ = (
        UniqueConstraint("image_id", "cell"),
        Index(None, "round_id", "state"),
        Index(None, "project_id", "state"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    cell: Mapped[int]
    number: Mapped[int] = mapped_column(BigInteger)  # the region's number in the pool when it was proposed
    row: Mapped[int]
    col: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    score: Mapped[float]
    state: Mapped[str] = mapped_column(String(20), default="open")  # open, labelled, skipped
    skip_reason: Mapped[str | None] = mapped_column(Text)
    prediction: Mapped[bytes | None]  # the model's label map of class ids, 8-bit PNG
    prediction_checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))  # which model's


class Lease(Base):
    """A region held by an annotator; at most one lease of a region has no end."""

    __tablename__ = "leases"
    __table_args__ = (
        Index(
            "uq_leases_active_region",
            "region_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "annotator_id", "ended_at"),
        Index(None, "region_id"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end: Mapped[str | None] = mapped_column(String(20))  # labelled, released, skipped, expired


class Label(Base):
    """One version of a region's label map; the highest version counts."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("region_id", "version"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    version: Mapped[int]
    mask: Mapped[bytes]  # label map of class ids, 8-bit PNG
    digest: Mapped[str] = mapped_column(String(64))  # of the decoded pixels
    class_counts: Mapped[list[Any]]  # pixels of each class, in class order
    seconds: Mapped[float | None]
    created_at: Mapped[datetime]


class Event(Base):
    """Who did what, append only (the database refuses changes)."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "project_id", "id"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    project_id: Mapped[int | None] = mapped_column(Key)  # it may be deleted; what was done to it stays on record
    annotator_id: Mapped[int | None] = mapped_column(ForeignKey("annotators.id"))
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]]


class BlobRemoval(Base):
    """Bytes that a deletion may have left without a row: removed once they are due, unless a row names them."""

    __tablename__ = "blob_removals"
    __table_args__ = (Index(None, "key"), Index(None, "due_at"))
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(255))  # one that ends with a slash: all under it, which no row names
    due_at: Mapped[datetime]


class WorkerHost(Base):
    """A machine's workers, as they were when one started last, and what they lack of what is optional."""

    __tablename__ = "workers"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    missing: Mapped[dict[str, Any]]  # by prefixes of segmenters' names, how to get them
    started_at: Mapped[datetime]
