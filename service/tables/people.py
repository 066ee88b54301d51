"""Rows of people: who may call, and in which projects they have which role."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import Base, Key


class Annotator(Base):
    """A person or program with a token; the token itself is never stored."""

    __tablename__ = "annotators"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Membership(Base):
    """Somebody's role in a project; without a row they see nothing of it, unless their own role is admin."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("project_id", "annotator_id"), Index(None, "annotator_id"))
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
