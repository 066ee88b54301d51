"""Rows of what helps people to label a region, and to see why it was asked for."""

from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class RegionHints(Base):
    """What a segmenter knows of a region that waits for labels, beside its prediction."""

    __tablename__ = "region_hints"
    __table_args__ = (NUMBERED_ONCE,)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"), unique=True)
    checkpoint_id: Mapped[int | None] = mapped_column(Key)  # which segmenter's; no foreign key, as of those that go
    uncertainty: Mapped[bytes | None]  # of each pixel, an 8-bit PNG: entropy over ln C, times 255
    features: Mapped[bytes | None]  # of a frozen encoder, an 8-bit PNG: its channels one below the other
    described: Mapped[dict[str, Any]]  # numbers for a sentence, and where the features lie
