"""How a delivery bears with a database that is away for a moment: a job is neither left to the sweeper nor done twice for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from workers.jobs.passing import passes

log = logging.getLogger(__name__)

# As long as a message may be under way before the sweeper sends another.
PATIENCE_SECONDS = 30.0
_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 2.0

Made = TypeVar("Made")


def patiently(do: Callable[[], Made], stopping: threading.Event, *, seconds: float = PATIENCE_SECONDS) -> Made:
    """What `do` returns, a transaction of its own that may be begun again where the database was away or full.

    Raises what it raised last, once so many seconds are over or the worker is asked to end, and whatever does not pass by itself.
    """
    until, wait = time.monotonic() + seconds, _FIRST_SECONDS
    while True:
        try:
            return do()
        except SQLAlchemyError as error:
            if not passes(error) or stopping.is_set() or time.monotonic() + wait > until:
                raise
            log.warning("The database is waited for: %s", error)
        stopping.wait(wait)
        wait = min(2 * wait, _LONGEST_SECONDS)
