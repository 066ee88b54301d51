"""Rows of gold regions that annotators were given: what each was shown in place of what the region is."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class GoldTurn(Base):
    """A gold region that an annotator was given, which happens once: the round and the score that it is shown with.

    While it is open the region's own prediction is shown; from its end on that of then, as it is with any other region.
    """

    __tablename__ = "gold_turns"
    __table_args__ = (
        UniqueConstraint("region_id", "annotator_id"),
        Index(None, "project_id", "annotator_id", "state"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    region_id: Mapped[int] = mapped_column(ForeignKey("regions.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id"))  # of the region in whose place it was given
    score: Mapped[float]
    state: Mapped[str] = mapped_column(String(20), default="open")  # open, labelled, skipped
    skip_reason: Mapped[str | None] = mapped_column(Text)
    prediction: Mapped[bytes | None]
    prediction_checkpoint_id: Mapped[int | None] = mapped_column(Key)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
