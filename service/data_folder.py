"""The data folder of an embedded server, held by one process at a time."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

LOCK_NAME = "server.lock"


class FolderTaken(OSError):
    """Another server is at this folder; the message says what to do."""


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it when the process ends, however it does. Raises FolderTaken.

    The lock is the process's: children have none of it, and it may be taken once in a process.
    """
    with (folder / LOCK_NAME).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                log.warning("%s cannot be locked, so nothing tells if a second server is started: %s", folder, error)
                yield
                return
            file.seek(0)
            raise FolderTaken(
                f"Another server is at {folder.absolute()} (process {file.read().strip() or 'unknown'}), and its worker is too. "
                "Stop it first, or give this one a folder of its own: REGIONWISE_DATA_DIR."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
