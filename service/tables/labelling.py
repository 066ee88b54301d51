"""Rows of labelling: rounds, the regions that they ask for, leases and labels."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


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
    end: Mapped[str | None] = mapped_column(String(20))  # labelled, released, skipped, expired, revoked


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
