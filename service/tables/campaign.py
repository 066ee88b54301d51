"""Rows of a campaign: the project, its images, the networks made for it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class Project(Base):
    """Classes, settings and the budget of one labelling campaign."""

    __tablename__ = "projects"
    __table_args__ = (NUMBERED_ONCE,)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    classes: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    active: Mapped[bool] = mapped_column(default=True)
    open_to_all: Mapped[bool] = mapped_column(
        default=False, server_default=false()
    )  # whoever is added later is a member
    created_at: Mapped[datetime]
    exported_label_id: Mapped[int | None] = mapped_column(Key)  # the newest label of which an export has left whole


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
    weights_gone_at: Mapped[datetime | None]  # when nothing needed the bytes any more; the row stays
