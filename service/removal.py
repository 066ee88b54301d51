"""Removes bytes that no row names any more, some time after the rows, and finds out when that met somebody who needs them."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from service import references
from service.blobs import Blobs
from service.db import Database
from service.errors import Conflict
from service.store import removals

log = logging.getLogger(__name__)

_AT_ONCE = 100
_AGAIN_AFTER = timedelta(minutes=10)


def remove_due(database: Database, blobs: Blobs, now: datetime, features: Path | None = None) -> int:
    """Remove what is due and what no row names; returns how many keys are done with.

    With a folder of `features` also what frozen encoders saw of images that are gone, whoever looked.

    Bytes go first and their note after: a process that dies in between leaves the note, and the next one does it again.
    """
    done = 0
    while found := _remove_some(database, blobs, now, features):
        done += found
    return done


def _remove_some(database: Database, blobs: Blobs, now: datetime, features: Path | None) -> int:
    with database.write() as session:
        if removals.held(session, now):
            return 0
        due = removals.due(session, now, limit=_AT_ONCE)
        named = removals.named(session, {each.key for each in due})
        for removal in due:
            try:
                _remove(blobs, removal.key, features, named=removal.key in named)
            except OSError as error:  # one that cannot be removed now must not keep others from it
                log.warning("%s could not be removed, which is tried again: %s", removal.key, error)
                removal.due_at = now + _AGAIN_AFTER
            else:
                session.delete(removal)
        return len(due)


def _remove(blobs: Blobs, key: str, features: Path | None, *, named: bool) -> None:
    if named:
        return
    if features is not None and (digest := references.digest_of(key)):
        for path in features.glob(f"*/{digest[:2]}/{digest}.npy"):
            path.unlink(missing_ok=True)
    if key.endswith("/"):
        blobs.delete_under(key.rstrip("/"))
    else:
        blobs.delete(key)


def require_bytes(blobs: Blobs, keys: Iterable[str | None]) -> None:
    """Raises Conflict where bytes that new rows name were removed since they were put: they were nobody's until now.

    To be called before those rows are committed.
    """
    for key in keys:
        if key is not None and not blobs.exists(key):
            raise Conflict(
                "The same bytes were being removed with something that was deleted; please send them again.",
                code="bytes_removed",
                detail={"key": key},
            )
