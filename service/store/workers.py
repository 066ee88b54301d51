"""What workers have said of themselves when they started: which segmenters they cannot build, and how that is mended."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.tables import WorkerHost


def announce(session: Session, name: str, missing: Mapping[str, str], now: datetime) -> None:
    """A worker of this name starts; `missing` has, by the beginnings of segmenters' names, a sentence on how to get them."""
    host = session.scalars(select(WorkerHost).where(WorkerHost.name == name).with_for_update()).one_or_none()
    if host is None:
        session.add(WorkerHost(name=name, missing=dict(missing), started_at=now))
    else:
        host.missing, host.started_at = dict(missing), now


def missing_everywhere(session: Session, segmenter: str) -> str:
    """What to do about a segmenter that no worker can build; empty where one can, or none has ever started."""
    found = ""
    for missing in session.scalars(select(WorkerHost.missing)):
        said = [str(how) for beginning, how in missing.items() if segmenter.startswith(beginning)]
        if not said:
            return ""
        found = said[0]
    return found


def workers_alive(session: Session) -> int:
    """How many workers may be counted on: hosts that have ever started one, for nothing else is known of them."""
    return session.scalar(select(func.count()).select_from(WorkerHost)) or 0
