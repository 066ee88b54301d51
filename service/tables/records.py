"""Rows of what was done, and of what is still to be removed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import Base, Key


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
