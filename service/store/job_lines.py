"""The log of a job: what it said while it went on, a bounded number of lines for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.domain.job_kinds import LineLevel
from service.tables import Job, JobLine

MOST = 500
"""Lines of a job that are kept..."""
FIRST = 50
"""...of which so many are its first; what goes is the oldest after them."""
LONGEST = 2000
"""Characters of a line."""
_AS_SAID = {"synchronize_session": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that a job said."""

    at: datetime
    text: str
    level: LineLevel = "info"


def say(session: Session, job_id: int, lines: Sequence[Line]) -> None:
    """Add lines to a job's log, those left out that say what the one before them said."""
    if not lines:
        return
    newest = select(JobLine.level, JobLine.text).where(JobLine.job_id == job_id).order_by(JobLine.id.desc()).limit(1)
    before = session.execute(newest).one_or_none()
    said = None if before is None else (before.level, before.text)
    for each in lines:
        text = each.text.replace("\x00", "")[:LONGEST]  # which PostgreSQL refuses
        if text and (each.level, text) != said:
            session.add(JobLine(job_id=job_id, at=each.at, level=each.level, text=text))
            said = (each.level, text)
    session.flush()
    _shorten(session, job_id)


def _shorten(session: Session, job_id: int) -> None:
    count = session.scalar(select(func.count()).select_from(JobLine).where(JobLine.job_id == job_id)) or 0
    if count > MOST:
        oldest = select(JobLine.id).where(JobLine.job_id == job_id).order_by(JobLine.id)
        spare = session.scalars(oldest.offset(FIRST).limit(count - MOST)).all()
        session.execute(delete(JobLine).where(JobLine.id.in_(spare)), execution_options=_AS_SAID)


def note(session: Session, job: Job, text: str, now: datetime, level: LineLevel = "info") -> None:
    """Add a line to a job's log that is not its own: what is done with it."""
    say(session, job.id, [Line(at=now, text=text, level=level)])


def note_failure(session: Session, job: Job, now: datetime, level: LineLevel = "error") -> None:
    """Say why a try has failed, and what becomes of the job."""
    note(session, job, job.error or "", now, level)
    if job.due_at is None:
        note(session, job, "It is given up.", now, "error")
    else:
        seconds = (job.due_at - now).total_seconds()
        note(session, job, f"It is tried again {f'in {seconds:.0f} s' if seconds >= 1 else 'at once'}.", now)


def lines_of(session: Session, job_id: int, *, limit: int, after: int) -> Sequence[JobLine]:
    """Lines of a job with ids above `after`, oldest first."""
    chosen = select(JobLine).where(JobLine.job_id == job_id, JobLine.id > after)
    return session.scalars(chosen.order_by(JobLine.id).limit(limit)).all()
