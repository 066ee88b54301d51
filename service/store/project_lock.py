"""The lock on a project's row, which orders all that is added to it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.tables import Project


def lock_project(session: Session, project_id: int) -> None:
    """Whoever adds images, rounds, jobs or checkpoints to a project, or claims one of its jobs, does it alone.

    Rounds and regions are locked before it, jobs after it. Rows that refer to the project may be inserted meanwhile.
    """
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))
