"""Rows of labelling: rounds, the regions that they ask for, leases and labels."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


def _active(name: str, column: str) -> Index:
    """At most one lease of a region without an end has each value of the column."""
    active = text("ended_at IS NULL")
    return Index(name, "region_id", column, unique=True, sqlite_where=active, postgresql_where=active)


class Round(Base):
    """One step of the game: K regions proposed, labelled, learned from."""

    __tablename__ = "rounds"
    __table_args__ = (UniqueConstraint("project_id", "number"), Index(None, "project_id", "state"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(
        String(20)
    )  # scoring, open, labelled, told; gold: holds gold regions, no step of the game
    size: Mapped[int]  # regions asked for
    strategy: Mapped[str | None] = mapped_column(String(50))
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    result_checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))
    miou_before: Mapped[float | None]
    miou_after: Mapped[float | None]
    reward: Mapped[float | None]
    measured_on: Mapped[str | None] = mapped_column(String(16))  # names the images of D_R: service/store/measured.py
    iou_per_class: Mapped[list[Any] | None] = mapped_column(JSON)
    class_counts: Mapped[list[Any] | None] = mapped_column(JSON)
    pool_shares: Mapped[list[Any] | None] = mapped_column(
        JSON
    )  # of its candidates, drawn from the pool: the share of pixels that each class was predicted for
    seconds: Mapped[dict[str, Any]] = mapped_column(default=dict)  # phase -> seconds
    note: Mapped[str] = mapped_column(Text, default="")
    warning: Mapped[str | None] = mapped_column(Text)  # mIoU fell by more than its noise
    seen_key: Mapped[str | None] = mapped_column(String(200))  # of the bytes of what the policy saw that asked for it
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    labelled_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    learned_label_id: Mapped[int | None] = mapped_column(Key)  # the newest label that it was learned from with
    class_changes: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # how often classes had been changed when it was learned from: those that its figures are of


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
    state: Mapped[str] = mapped_column(String(20), default="open")  # open, review, labelled, skipped, gold
    skip_reason: Mapped[str | None] = mapped_column(Text)
    prediction: Mapped[bytes | None]  # the model's label map of class ids, 8-bit PNG
    prediction_checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("checkpoints.id"))  # which model's
    overlap: Mapped[int] = mapped_column(default=1, server_default="1")  # annotators who are asked
    answers: Mapped[int] = mapped_column(default=0, server_default="0")  # of them, those whose label is there
    priority: Mapped[int] = mapped_column(default=0, server_default="0")  # given out before those with less
    gold: Mapped[bool] = mapped_column(
        default=False, server_default=false()
    )  # its truth is known: nobody learns from it
    truth: Mapped[bytes | None]  # of a gold region: an 8-bit PNG of class ids


class Lease(Base):
    """A region held by an annotator; of leases that have no end there is one for each seat at a region, and one a person."""

    __tablename__ = "leases"
    __table_args__ = (
        _active("uq_leases_active_seat", "seat"),
        _active("uq_leases_active_annotator", "annotator_id"),
        Index(None, "annotator_id", "ended_at"),
        Index(None, "region_id"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    seat: Mapped[int] = mapped_column(default=0, server_default="0")  # below the region's overlap
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end: Mapped[str | None] = mapped_column(String(20))  # labelled, released, skipped, expired, revoked


class Label(Base):
    """One version of a region's label map; the highest version counts."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("region_id", "version"), Index(None, "annotator_id", "id"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    version: Mapped[int]
    mask: Mapped[bytes]  # label map of class ids, 8-bit PNG
    digest: Mapped[str] = mapped_column(String(64))  # of the decoded pixels
    class_counts: Mapped[list[Any]]  # pixels of each class, in class order
    seconds: Mapped[float | None]
    idle_seconds: Mapped[float | None]  # not among `seconds`
    kind: Mapped[str] = mapped_column(
        String(20), default="annotated", server_default="annotated"
    )  # annotated, imported, agreed, accepted, corrected, migrated
    corrects_id: Mapped[int | None] = mapped_column(Key)  # the label of the same region that this one was made from
    created_at: Mapped[datetime]
