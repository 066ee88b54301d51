"""Names of people in the database, by their numbers."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.tables import Annotator


def names_of(session: Session, annotator_ids: Collection[int]) -> dict[int, str]:
    """The name of each of these annotators."""
    chosen = select(Annotator.id, Annotator.name).where(Annotator.id.in_(annotator_ids))
    return {row.id: row.name for row in session.execute(chosen)}
