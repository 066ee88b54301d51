"""Rows of people: who may call, and in which projects they have which role."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class Annotator(Base):
    """A person or program that calls with tokens."""

    __tablename__ = "annotators"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)  # of one token, for the release before; see Token
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Token(Base):
    """What somebody calls with; the token itself is never stored, only its hash."""

    __tablename__ = "tokens"
    __table_args__ = (Index(None, "annotator_id"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(12))  # its first letters, to tell it from others; none if not known
    created_at: Mapped[datetime]
    last_used_on: Mapped[date | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A browser that somebody has logged in with a token; it lasts no longer than the token works."""

    __tablename__ = "browser_sessions"
    __table_args__ = (Index(None, "token_id"), Index(None, "expires_at"))
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)  # of what the cookie holds
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Membership(Base):
    """Somebody's role in a project; without a row they see nothing of it, unless their own role is admin."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("project_id", "annotator_id"), Index(None, "annotator_id"))
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]  # since then no regions are given
    pause_reason: Mapped[str | None] = mapped_column(Text)
    resumed_at: Mapped[datetime | None]  # gold regions answered before do not count towards the next pause
    tested: Mapped[bool] = mapped_column(default=False, server_default=false())  # gold regions were given
