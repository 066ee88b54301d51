"""What pages send, once the service has it."""

import time
from typing import Any

from sqlalchemy import Select

from tests.maker import Maker


def arrived(make: Maker, chosen: Select[Any], *, at_least: int = 1) -> list[Any]:
    """What is found in the database, once there are so many; after ten seconds, what is there by then."""
    found: list[Any] = []
    for _ in range(100):
        with make.database.read() as session:
            found = list(session.scalars(chosen))
        if len(found) >= at_least:
            break
        time.sleep(0.1)
    return found
