"""What workers' processes say of themselves: that they are alive, what they are at, and which segmenters they cannot build."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.tables import WorkerHost

# A process that has not been heard of for so long says nothing about what can be built now.
_RECENT = timedelta(minutes=1)
# After so long nobody asks any more what it was.
KEPT = timedelta(days=1)


def announce(
    session: Session,
    name: str,
    missing: Mapping[str, str],
    now: datetime,
    *,
    host: str | None = None,
    pid: int | None = None,
) -> None:
    """A worker of this name starts; `missing` has, by the beginnings of segmenters' names, a sentence on how to get them."""
    found = session.scalars(select(WorkerHost).where(WorkerHost.name == name).with_for_update()).one_or_none()
    if found is None:
        found = WorkerHost(name=name)
        session.add(found)
    found.missing, found.started_at, found.seen_at = dict(missing), now, now
    found.host, found.pid = host, pid


def heard_of(session: Session, name: str, now: datetime, *, job_id: int | None) -> bool:
    """The process of this name is alive, and at this job, if any. False where it is not announced any more."""
    alive = update(WorkerHost).where(WorkerHost.name == name).values(seen_at=now, job_id=job_id)
    return session.execute(alive.returning(WorkerHost.id)).first() is not None


def leave(session: Session, name: str) -> None:
    """The process of this name has ended."""
    session.execute(delete(WorkerHost).where(WorkerHost.name == name))


def prune(session: Session, now: datetime) -> None:
    """Forget processes that were not heard of for a day, and machines of the release before that started none for as long."""
    last = func.coalesce(WorkerHost.seen_at, WorkerHost.started_at)
    session.execute(delete(WorkerHost).where(last < now - KEPT))


def missing_everywhere(session: Session, segmenter: str, now: datetime) -> str:
    """What to do about a segmenter that no worker can build; empty where one can, or nothing is known of any.

    Those that were heard of within a minute count, and all that are known where there are none.
    """
    rows = session.execute(select(WorkerHost.missing, WorkerHost.seen_at)).all()
    recent = [missing for missing, seen_at in rows if seen_at is not None and seen_at > now - _RECENT]
    found = ""
    for missing in recent or [missing for missing, _ in rows]:
        said = [str(how) for beginning, how in missing.items() if segmenter.startswith(beginning)]
        if not said:
            return ""
        found = said[0]
    return found


def workers_alive(session: Session, now: datetime) -> int:
    """How many processes of workers were heard of within a minute."""
    alive = select(func.count()).select_from(WorkerHost).where(WorkerHost.seen_at > now - _RECENT)
    return session.scalar(alive) or 0
