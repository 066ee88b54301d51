"""What goes with time: weights of old rounds, leases that ended, events that an archive has; a bounded number at once."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, case, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from service.domain.gold import GOLD
from service.schemas.project_settings import ProjectSettings
from service.store import removals
from service.store.jobs import ENDED
from service.store.measured import measured_alike, reward_ids
from service.store.rounds import UNFINISHED
from service.tables import BlobRemoval, Checkpoint, Event, EventArchive, Job, JobLine, Lease, Project, Region, Round

# Who has skipped a region is not given it again while it is open for others.
_STILL_KNOWN = Lease.end.is_not_distinct_from("skipped") & exists().where(
    Region.id == Lease.region_id, Region.state == "open"
)
_TURN = 7_461_020_232  # any number, but the same in all processes


def my_turn(session: Session) -> bool:
    """Whether no other process is at it, until the transaction ends; on SQLite none can be."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:turn)"), {"turn": _TURN}))


def project_ids(session: Session) -> Sequence[int]:
    """All projects, oldest first."""
    return session.scalars(select(Project.id).order_by(Project.id)).all()


def spare_segmenters(session: Session, project_id: int, *, limit: int, lock: bool = True) -> Sequence[Checkpoint]:
    """Segmenters of rounds whose weights nothing needs, oldest first; with `lock` no job begins meanwhile.

    Needed are the newest `keep_segmenters`, the best by mIoU on D_R, those that predict what is open or by which unfinished
    rounds were chosen, and whatever was the newest, or came, since a job began that has not ended. Those of no round are
    never spare.
    """
    chosen = select(Project).where(Project.id == project_id)
    chosen = chosen.with_for_update(key_share=True) if lock else chosen
    project = session.scalars(chosen).one_or_none()
    if project is None:
        return []
    keep = ProjectSettings.model_validate(project.settings).keep_segmenters
    if keep is None:
        return []
    kinds = (Checkpoint.project_id == project_id, Checkpoint.kind == "segmenter")
    newest = select(Checkpoint.id).where(*kinds).order_by(Checkpoint.id.desc()).limit(keep)
    needed = {*session.scalars(newest), *_in_use(session, project_id)}
    first = _first_of_jobs(session, project_id)
    of_rounds = select(Round.result_checkpoint_id).where(Round.project_id == project_id, Round.state == "told")
    spare = select(Checkpoint).where(*kinds, Checkpoint.weights_gone_at.is_(None), Checkpoint.id.in_(of_rounds))
    spare = spare.where(Checkpoint.id.not_in(needed))
    if first is not None:
        spare = spare.where(Checkpoint.id < first)
    return session.scalars(spare.order_by(Checkpoint.id).limit(limit)).all()


def _in_use(session: Session, project_id: int) -> set[int]:
    best = select(Round.result_checkpoint_id).where(Round.project_id == project_id, Round.miou_after.is_not(None))
    alike = measured_alike(project_id, reward_ids(session, project_id))
    best = best.where(Round.result_checkpoint_id.is_not(None))
    best = best.order_by(case((alike, 0), else_=1), Round.miou_after.desc(), Round.id).limit(1)
    shown = select(Region.prediction_checkpoint_id)
    shown = shown.where(Region.project_id == project_id, Region.state.in_(("open", GOLD)))
    asked = select(Round.checkpoint_id).where(Round.project_id == project_id, Round.state.in_(UNFINISHED))
    found = {*session.scalars(best), *session.scalars(shown.distinct()), *session.scalars(asked.distinct())}
    return {each for each in found if each is not None}


def _first_of_jobs(session: Session, project_id: int) -> int | None:
    """The oldest segmenter that a job which has begun may have read, or still read; None where no job has."""
    begun = select(func.min(Job.started_at)).where(Job.project_id == project_id, Job.state.not_in(ENDED))
    since = session.scalar(begun)
    if since is None:
        return None
    ids = select(func.max(Checkpoint.id)).where(Checkpoint.project_id == project_id, Checkpoint.kind == "segmenter")
    return session.scalar(ids.where(Checkpoint.created_at <= since)) or 0


def let_go(session: Session, checkpoints: Sequence[Checkpoint], now: datetime, *, grace: timedelta) -> None:
    """Their weights are to be removed; the rows stay, and say so."""
    ids = [each.id for each in checkpoints]
    session.execute(update(Checkpoint).where(Checkpoint.id.in_(ids)).values(weights_gone_at=now))
    removals.note(session, sorted({each.blob_key for each in checkpoints}), now, grace=grace)


def ended_leases(session: Session, before: datetime) -> int:
    """How many leases that are of no more use ended before a moment."""
    return session.scalar(select(func.count()).select_from(Lease).where(Lease.ended_at < before, ~_STILL_KNOWN)) or 0


def old_leases(session: Session, before: datetime, *, limit: int) -> Sequence[int]:
    """The numbers of leases of no more use that ended before a moment. Reads all where there are few: not while writing."""
    chosen = select(Lease.id).where(Lease.ended_at < before, ~_STILL_KNOWN)
    return session.scalars(chosen.order_by(Lease.id).limit(limit)).all()


def delete_leases(session: Session, ids: Sequence[int]) -> None:
    """Delete these leases; those that somebody else has deleted are gone."""
    session.execute(delete(Lease).where(Lease.id.in_(ids)), execution_options={"synchronize_session": False})


def old_events(session: Session, before: datetime, *, limit: int) -> Sequence[Event]:
    """The first events of the table, all of one month and before a moment, without a gap."""
    found = session.scalars(select(Event).order_by(Event.id).limit(limit)).all()
    chosen: list[Event] = []
    for each in found:
        if each.at >= before or (each.at.year, each.at.month) != (found[0].at.year, found[0].at.month):
            break
        chosen.append(each)
    return chosen


def count_events(session: Session, before: datetime) -> int:
    """How many events happened before a moment."""
    return session.scalar(select(func.count()).select_from(Event).where(Event.at < before)) or 0


def archive_events(session: Session, first: int, last: int, key: str, now: datetime) -> None:
    """The events from `first` to `last` are in the bytes under `key`: they leave the table."""
    session.add(EventArchive(first_id=first, last_id=last, blob_key=key, created_at=now))
    session.flush()
    removals.keep(session, [key])
    gone = delete(Event).where(Event.id.between(first, last))
    session.execute(gone, execution_options={"synchronize_session": False})


def ended_jobs(session: Session, ids: Collection[int], *, done: datetime, given_up: datetime) -> set[int]:
    """Those of the jobs whose states nobody goes on from: deleted, done before a moment, or given up before another."""
    living = select(Job.id).where(
        Job.id.in_(ids),
        or_(
            Job.state.not_in(ENDED),
            (Job.state == "done") & (Job.finished_at >= done),
            (Job.state != "done") & (Job.finished_at >= given_up),
        ),
    )
    return set(ids) - set(session.scalars(living))


def count_lines(session: Session, before: datetime) -> int:
    """How many lines there are of the logs of jobs that ended before a moment."""
    return session.scalar(select(func.count()).select_from(_of_ended(before).subquery())) or 0


def delete_lines(session: Session, before: datetime, *, limit: int) -> int:
    """Delete some lines of the logs of jobs that ended before a moment; returns how many."""
    ids = session.scalars(_of_ended(before).order_by(JobLine.id).limit(limit)).all()
    session.execute(delete(JobLine).where(JobLine.id.in_(ids)), execution_options={"synchronize_session": False})
    return len(ids)


def _of_ended(before: datetime) -> Select[int]:
    chosen = select(JobLine.id).join(Job, Job.id == JobLine.job_id)
    return chosen.where(Job.state.in_(ENDED), Job.finished_at < before)


def noted(session: Session, keys: Collection[str]) -> set[str]:
    """Those of the keys whose removal is noted already."""
    return set(session.scalars(select(BlobRemoval.key).where(BlobRemoval.key.in_(keys))))
