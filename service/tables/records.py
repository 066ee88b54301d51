"""Rows of what was done, and of what is still to be removed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import Base, Key


class Event(Base):
    """Who did what, append only (the database refuses changes; what an archive has may go)."""

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


class RemovalHold(Base):
    """While one lasts no bytes are removed: a backup is copying what its rows name."""

    __tablename__ = "removal_holds"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    reason: Mapped[str] = mapped_column(String(100))
    until: Mapped[datetime]


class EventArchive(Base):
    """Bytes that hold the events of these ids, first to last: those alone may go from the table."""

    __tablename__ = "event_archives"
    __table_args__ = (UniqueConstraint("first_id"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    first_id: Mapped[int] = mapped_column(Key)
    last_id: Mapped[int] = mapped_column(Key)
    blob_key: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
