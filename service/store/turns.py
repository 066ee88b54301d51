"""Turns of annotators: of two transactions about what one of them holds, the second waits for the first."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from service.db import ALONE


def one_at_a_time(session: Session, annotator_id: int) -> None:
    """Wait until no other transaction gives regions to this annotator, and keep others from it until this one ends.

    On SQLite there is just one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT {ALONE}"), {"alone": annotator_id})
