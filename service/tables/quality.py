"""Rows of labels' quality: what reviewers decided, how labels compare, how classes were changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class Review(Base):
    """What a reviewer decided about one version of a region's label."""

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "project_id", "id"), Index(None, "region_id"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id"))
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    decision: Mapped[str] = mapped_column(String(20))  # accepted, corrected, rejected
    reason: Mapped[str] = mapped_column(Text)
    result_label_id: Mapped[int | None] = mapped_column(ForeignKey("labels.id"))  # the version that counts after it
    created_at: Mapped[datetime]


class Comparison(Base):
    """A label held against another annotator's of the same region, or against the truth of a gold region."""

    __tablename__ = "comparisons"
    __table_args__ = (
        UniqueConstraint("label_id", "other_label_id"),
        Index(None, "project_id", "annotator_id"),
        Index(None, "region_id"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    label_id: Mapped[int] = mapped_column(ForeignKey("labels.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    other_label_id: Mapped[int | None] = mapped_column(ForeignKey("labels.id"))  # none: the truth
    other_annotator_id: Mapped[int | None] = mapped_column(ForeignKey("annotators.id"))
    miou: Mapped[float]
    pixel_accuracy: Mapped[float]
    by_class: Mapped[dict[str, Any]]  # class id -> [pixels of both, pixels of either]
    created_at: Mapped[datetime]


class ClassChange(Base):
    """A version of a project's classes; labels that were made with others are read by it."""

    __tablename__ = "class_changes"
    __table_args__ = (UniqueConstraint("project_id", "number"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    change: Mapped[dict[str, Any]]  # kind and what it was told
    classes_before: Mapped[dict[str, Any]]
    classes_after: Mapped[dict[str, Any]]
    annotator_id: Mapped[int | None] = mapped_column(ForeignKey("annotators.id"))
    reverts: Mapped[int | None]  # the number of the change that this one takes back
    created_at: Mapped[datetime]
