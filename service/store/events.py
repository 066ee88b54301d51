"""The record of who did what; rows are only ever added, and the database refuses anything else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from service.tables import Event, one_or_many, table_of


def record(
    session: Session,
    *,
    now: datetime,
    kind: str,
    project_id: int | None = None,
    annotator_id: int | None = None,
    **detail: Any,
) -> None:
    """Add an event; `detail` holds whatever JSON says what happened."""
    session.add(Event(at=now, project_id=project_id, annotator_id=annotator_id, kind=kind, detail=detail))


_ADD = insert(table_of(Event))


def record_many(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add events by their columns, in one statement."""
    session.connection().execute(_ADD, one_or_many(list(rows)))
