"""What workers' processes say of themselves: that they are alive, what they are at, and which segmenters they cannot build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from service.domain.job_kinds import QUEUES
from service.tables import Job, Project, WorkerHost

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
    queues: str | None = None,
) -> None:
    """A worker of this name starts; `missing` has, by the beginnings of segmenters' names, a sentence on how to get them.

    `queues` are those that it takes jobs from, with commas between them; None: all.
    """
    found = session.scalars(select(WorkerHost).where(WorkerHost.name == name).with_for_update()).one_or_none()
    if found is None:
        found = WorkerHost(name=name)
        session.add(found)
    found.missing, found.started_at, found.seen_at = dict(missing), now, now
    found.host, found.pid, found.queues = host, pid, queues


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


def is_alive(now: datetime) -> ColumnElement[bool]:
    """Whether a worker's process was heard of within a minute, for a statement."""
    return WorkerHost.seen_at.is_not(None) & (WorkerHost.seen_at > now - _RECENT)


def workers_alive(session: Session, now: datetime) -> int:
    """How many processes of workers were heard of within a minute."""
    alive = select(func.count()).select_from(WorkerHost).where(is_alive(now))
    return session.scalar(alive) or 0


def queues_taken(session: Session, now: datetime) -> frozenset[str]:
    """The queues that some worker takes jobs from that was heard of within a minute."""
    found = session.scalars(select(WorkerHost.queues).where(is_alive(now)).distinct())
    return frozenset(name for queues in found for name in _named(queues))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A worker's process, whether it is alive, the job that it is at, if any, and the name of the job's project."""

    host: WorkerHost
    alive: bool
    job: Job | None
    project: str


def list_workers(session: Session, now: datetime, *, limit: int, after: int) -> list[AtWork]:
    """Processes with ids above `after`, and the jobs that they run now."""
    at = and_(Job.id == WorkerHost.job_id, Job.state == "running", Job.worker == WorkerHost.name)
    chosen = select(WorkerHost, is_alive(now), Job, Project.name).join(Job, at, isouter=True)
    chosen = chosen.join(Project, Project.id == Job.project_id, isouter=True).where(WorkerHost.id > after)
    return [
        AtWork(host=host, alive=bool(alive), job=job, project=project or "")
        for host, alive, job, project in session.execute(chosen.order_by(WorkerHost.id).limit(limit))
    ]


def queues_of(host: WorkerHost) -> list[str]:
    """The queues that a process takes jobs from."""
    return list(_named(host.queues))


def _named(queues: str | None) -> Sequence[str]:
    return queues.split(",") if queues else QUEUES
