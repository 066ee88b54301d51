"""Bytes that may have lost their last row: noted where rows are deleted, and found again until they are removed."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.store.jobs import ENDED
from service.tables import BlobRemoval, Checkpoint, EventArchive, Image, Job, RemovalHold, Round

GRACE = timedelta(minutes=1)
"""Bytes stay so long after their rows: whoever is about to name the same bytes has done so by then."""

_OF_JOB = re.compile(r"jobs/\d{1,18}/")

# All columns that name bytes whose key is made of their content: several rows may name the same, in any projects.
KEYS: tuple[InstrumentedAttribute[Any], ...] = (
    Image.blob_key,
    Image.seen_key,
    Image.label_key,
    Checkpoint.blob_key,
    Round.seen_key,
    EventArchive.blob_key,
)


def note_project(session: Session, project_id: int, now: datetime) -> None:
    """Note all that rows of a project name, before they are deleted, and what its jobs keep between slices."""
    for key in KEYS:
        if key.class_ is EventArchive:
            continue
        named = select(key).where(key.class_.project_id == project_id, counts(key)).distinct()
        note(session, session.scalars(named), now)
    jobs = session.scalars(select(Job.id).where(Job.project_id == project_id))
    note(session, (f"jobs/{job}/" for job in jobs), now)


def note_image(session: Session, image: Image, now: datetime) -> None:
    """Note what an image's row names, before it is deleted."""
    note(session, filter(None, (image.blob_key, image.seen_key, image.label_key)), now)


def note(session: Session, keys: Iterable[str], now: datetime, *, grace: timedelta = GRACE) -> None:
    """These bytes may have lost their last row, and are to be looked at a while later."""
    rows = [{"key": key, "due_at": now + grace} for key in keys]
    if rows:
        session.execute(insert(BlobRemoval), rows)


def keep(session: Session, keys: Iterable[str | None]) -> None:
    """Bytes are named by a new row: they stay.

    Waits for a removal of them that is under way, so that whoever looks for them afterwards sees what became of it.
    """
    for part in _parts(sorted({key for key in keys if key is not None})):
        session.execute(delete(BlobRemoval).where(BlobRemoval.key.in_(part)))


def due(session: Session, now: datetime, *, limit: int) -> Sequence[BlobRemoval]:
    """Removals whose time has come, locked; those that somebody else is at are left to him."""
    chosen = select(BlobRemoval).where(BlobRemoval.due_at <= now).order_by(BlobRemoval.due_at, BlobRemoval.id)
    return session.scalars(chosen.limit(limit).with_for_update(skip_locked=True)).all()


def hold(session: Session, reason: str, until: datetime) -> int:
    """From the end of this transaction until then no bytes are removed; returns the hold's number."""
    held = RemovalHold(reason=reason, until=until)
    session.add(held)
    session.flush()
    return held.id


def prolong(session: Session, hold_id: int, until: datetime) -> None:
    """A hold lasts until then; one that had ended does again."""
    session.merge(RemovalHold(id=hold_id, reason="backup", until=until))


def release(session: Session, hold_id: int) -> None:
    """A hold ends."""
    session.execute(delete(RemovalHold).where(RemovalHold.id == hold_id))


def held(session: Session, now: datetime) -> bool:
    """Whether nothing is to be removed now."""
    return session.scalar(select(RemovalHold.id).where(RemovalHold.until > now).limit(1)) is not None


def named(session: Session, keys: Collection[str]) -> set[str]:
    """Those of the keys that some row names."""
    found: set[str] = set()
    for part in _parts(list(keys)):
        for key in KEYS:
            chosen: Select[Any] = select(key).where(key.in_(part), counts(key)).distinct()
            found.update(session.scalars(chosen))
    return found | _under_way(session, keys)


def counts(key: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """Whether a row that names bytes needs them."""
    return key.is_not(None) if key.class_ is not Checkpoint else Checkpoint.weights_gone_at.is_(None)


def _under_way(session: Session, keys: Collection[str]) -> set[str]:
    """The folders of jobs that may go on from what is in them: one that was given up may be tried again."""
    jobs = {key: int(key.split("/")[1]) for key in keys if _OF_JOB.fullmatch(key)}
    if not jobs:
        return set()
    living = set(session.scalars(select(Job.id).where(Job.id.in_(jobs.values()), Job.state.not_in(ENDED))))
    return {key for key, job in jobs.items() if job in living}


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + 500] for start in range(0, len(keys), 500))  # SQLite bounds a statement's parameters
