"""Bytes that may have lost their last row: noted where rows are deleted, and found again until they are removed."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.tables import BlobRemoval, Checkpoint, Image, Job, Round

GRACE = timedelta(minutes=1)
"""Bytes stay so long after their rows: whoever is about to name the same bytes has done so by then."""

# All columns that name bytes whose key is made of their content: several rows may name the same, in any projects.
_KEYS: tuple[InstrumentedAttribute[Any], ...] = (
    Image.blob_key,
    Image.seen_key,
    Image.label_key,
    Checkpoint.blob_key,
    Round.seen_key,
)


def note_project(session: Session, project_id: int, now: datetime) -> None:
    """Note all that rows of a project name, before they are deleted, and what its jobs keep between slices."""
    for key in _KEYS:
        named = select(key).where(key.class_.project_id == project_id, key.is_not(None)).distinct()
        _note(session, session.scalars(named), now)
    jobs = session.scalars(select(Job.id).where(Job.project_id == project_id))
    _note(session, (f"jobs/{job}/" for job in jobs), now)


def note_image(session: Session, image: Image, now: datetime) -> None:
    """Note what an image's row names, before it is deleted."""
    _note(session, filter(None, (image.blob_key, image.seen_key, image.label_key)), now)


def _note(session: Session, keys: Iterable[str], now: datetime) -> None:
    rows = [{"key": key, "due_at": now + GRACE} for key in keys]
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


def named(session: Session, keys: Collection[str]) -> set[str]:
    """Those of the keys that some row names."""
    found: set[str] = set()
    for part in _parts(list(keys)):
        for key in _KEYS:
            chosen: Select[Any] = select(key).where(key.in_(part)).distinct()
            found.update(session.scalars(chosen))
    return found


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + 500] for start in range(0, len(keys), 500))  # SQLite bounds a statement's parameters
