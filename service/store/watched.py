"""What whoever watches the service is told: counts whose statements stay cheap with a million regions and labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, case, cast, func, select, text
from sqlalchemy.orm import Session, aliased

from service.domain.gold import GOLD
from service.domain.job_kinds import ROUND_KINDS
from service.store.jobs import ENDED
from service.tables import Comparison, Job, Label, Lease, Project, Region, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Leases that nobody has ended: those that hold their region, and those whose time is over."""

    open: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Jobs of a kind that have not ended."""

    queued: int
    running: int
    failed_before: int  # are tried again after an error
    waits_since: datetime | None  # since when the one that no worker has looked at for longest waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Mean mIoU by project: of labels of gold regions with the truth, and of labels of one region by different people."""

    gold: Mapping[int, float]
    agreement: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job that has ended, and when a worker took it first, if one did."""

    id: int
    kind: str
    state: str
    started_at: datetime | None
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """A job that is given up, without which its project does not go on learning."""

    id: int
    kind: str
    project_id: int


def leases(session: Session, now: datetime) -> Held:
    """Leases that have not ended: as many as regions are held, by the index of those alone."""
    over = func.coalesce(func.sum(case((Lease.expires_at <= now, 1), else_=0)), 0)
    total, expired = session.execute(select(func.count(), over).where(Lease.ended_at.is_(None))).one()
    return Held(open=total - expired, expired=expired)


def open_regions(session: Session) -> dict[int, int]:
    """How many regions of each project wait for labels: of each project the index's part of them alone."""
    count = select(func.count()).where(Region.project_id == Project.id, Region.state == "open").scalar_subquery()
    return {row[0]: row[1] for row in session.execute(select(Project.id, count))}


def rounds(session: Session) -> dict[tuple[int, str], int]:
    """How many rounds of each project are in each state."""
    chosen = select(Round.project_id, Round.state, func.count()).where(Round.state != GOLD)
    chosen = chosen.group_by(Round.project_id, Round.state)
    return {(row[0], row[1]): row[2] for row in session.execute(chosen)}


def miou(session: Session) -> dict[int, float]:
    """The mIoU of each project's newest round that was learned from, where it was measured."""
    other = aliased(Round)
    told = select(other.id).where(other.project_id == Project.id, other.state == "told")
    newest = told.order_by(other.number.desc()).limit(1).correlate(Project).scalar_subquery()
    chosen = select(Project.id, Round.miou_after).join(Round, Round.id == newest)
    return {row[0]: row[1] for row in session.execute(chosen) if row[1] is not None}


def quality(session: Session) -> Quality:
    """The mean mIoU of all comparisons of labels, by project."""
    is_gold = Comparison.other_annotator_id.is_(None)
    chosen = select(Comparison.project_id, is_gold, func.avg(Comparison.miou)).group_by(Comparison.project_id, is_gold)
    rows = session.execute(chosen).all()
    return Quality(
        gold={row[0]: row[2] for row in rows if row[1]}, agreement={row[0]: row[2] for row in rows if not row[1]}
    )


def names(session: Session) -> dict[int, str]:
    """What projects are called."""
    return {row[0]: row[1] for row in session.execute(select(Project.id, Project.name))}


def pending(session: Session) -> dict[str, Pending]:
    """Jobs that have not ended, by kind."""
    queued, running = Job.state == "queued", Job.state == "running"
    # One that waits for another job of its project has not been sent, one that has failed is not due: no worker is late for it.
    sent = queued & Job.sent_at.is_not(None) & Job.due_at.is_(None)
    waits = case((sent, func.coalesce(Job.heartbeat_at, Job.created_at)))
    chosen = select(
        Job.kind,
        func.sum(case((queued, 1), else_=0)),
        func.sum(case((running, 1), else_=0)),
        func.sum(case((Job.error.is_not(None), 1), else_=0)),
        func.min(waits, type_=Job.created_at.type),
    )
    found = session.execute(chosen.where(Job.state.in_(("queued", "running"))).group_by(Job.kind))
    return {row[0]: Pending(queued=row[1], running=row[2], failed_before=row[3], waits_since=row[4]) for row in found}


def late_rounds(found: Mapping[str, Pending], before: datetime) -> list[str]:
    """The kinds of jobs of rounds, for which annotators wait, that no worker has looked at since `before`."""
    waits = {kind: found[kind].waits_since for kind in ROUND_KINDS if kind in found}
    return sorted(kind for kind, since in waits.items() if since is not None and since < before)


def ended(session: Session, since: datetime) -> Sequence[EndedJob]:
    """Jobs that ended at `since` or later."""
    chosen = select(Job.id, Job.kind, Job.state, Job.started_at, Job.finished_at)
    # By the time alone, or SQLite would go through all jobs by their state.
    found = session.execute(chosen.where(Job.finished_at >= since).order_by(Job.finished_at))
    return [
        EndedJob(id=row[0], kind=row[1], state=row[2], started_at=row[3], finished_at=row[4])
        for row in found
        if row[4] is not None and row[2] in ENDED
    ]


def failed_for_good(session: Session, limit: int = 100) -> Sequence[FailedJob]:
    """Jobs of active projects that are given up: whose round was not closed without them, and that no later one made up for."""
    later = aliased(Job)
    made_up = select(later.id).where(
        later.project_id == Job.project_id, later.kind == Job.kind, later.id > Job.id, later.state != "cancelled"
    )
    chosen = select(Job.id, Job.kind, Job.project_id).join(Project, Project.id == Job.project_id)
    key = Job.kind + ":" + cast(Round.id, String)
    closed = select(Round.id).where(Round.project_id == Job.project_id, Round.state == "told", Job.dedup_key == key)
    needless = Job.kind.in_(ROUND_KINDS) & closed.exists()
    chosen = chosen.where(Job.state == "failed", Project.active.is_(True), ~made_up.exists(), ~needless)
    found = session.execute(chosen.order_by(Job.id).limit(limit))
    return [FailedJob(id=row[0], kind=row[1], project_id=row[2]) for row in found]


def label_count(session: Session, above: int = 0, upto: int | None = None) -> int:
    """Versions of labels with ids above one, and up to another. All of them take long where there are millions."""
    chosen = select(func.count()).where(Label.id > above)
    return session.scalar(chosen if upto is None else chosen.where(Label.id <= upto)) or 0


def newest_label(session: Session) -> int:
    """The highest id of a label; 0 without one."""
    return session.scalar(select(func.max(Label.id))) or 0


def database_bytes(session: Session) -> int:
    """What the database takes of its disk, without SQLite's journal."""
    if session.get_bind().dialect.name == "postgresql":
        return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    pages, size = (session.scalar(text(f"PRAGMA {name}")) or 0 for name in ("page_count", "page_size"))
    return int(pages) * int(size)


def by_project(failed: Iterable[FailedJob]) -> dict[int, int]:
    """How many jobs of each project are given up."""
    counts: dict[int, int] = {}
    for each in failed:
        counts[each.project_id] = counts.get(each.project_id, 0) + 1
    return counts
