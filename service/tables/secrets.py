"""Rows of what the service keeps to itself."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import Base, Key


class Secret(Base):
    """A secret that was made once, for all processes; never shown and never logged."""

    __tablename__ = "secrets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    value: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
