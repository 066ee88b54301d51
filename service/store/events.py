"""The record of who did what; rows are only ever added, and the database refuses anything else."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.tables import Event


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
