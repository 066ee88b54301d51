"""Tells that a disk is full, whoever says so: the file system, SQLite or PostgreSQL, and how much room there is."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sqlalchemy import Engine

from service.blobs import Blobs

_FULL = (errno.ENOSPC, errno.EDQUOT)
# The second: the file that connections of SQLite share beside the database could not be made as large as it must be.
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def disks(engine: Engine, blobs: Blobs) -> dict[str, Path]:
    """The folders of this machine that must have room, by what they hold: `database` (SQLite's alone) and `blobs`."""
    found = {}
    if engine.dialect.name == "sqlite" and engine.url.database:
        found["database"] = Path(engine.url.database).parent
    if blobs.folder is not None:
        found["blobs"] = blobs.folder
    return found


def free_bytes(folder: Path) -> int:
    """Room for those who are not root, where the folder is or will be. Raises OSError where the disk does not answer."""
    return shutil.disk_usage(there(folder)).free


def there(folder: Path) -> Path:
    """The folder, or of those above it the nearest that is there: it is made with the first file in it."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def is_full(error: BaseException) -> bool:
    """Whether this error, or one that it came of, says that there is no room left."""
    return any(_says_so(each) for each in _origins(error))


def _origins(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # SQLAlchemy keeps what the driver raised as `orig`.
        waiting += [each.__cause__, each.__context__, getattr(each, "orig", None)]


def _says_so(error: BaseException) -> bool:
    match error:
        case psycopg.errors.DiskFull():
            return True
        case sqlite3.Error():
            return getattr(error, "sqlite_errorcode", None) in _SQLITE_FULL
        case OSError():
            return error.errno in _FULL
        case _:
            return False
