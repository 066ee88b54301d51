"""What stands in the way of labelling, and what in the way of learning: a sentence for each thing that is amiss."""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from service import migrate
from service.blobs import Blobs
from service.db import Database
from service.disks import disks, free_bytes, there
from service.domain.job_kinds import QUEUE_OF, QUEUES, JobKind
from service.schemas.health import Readiness
from service.settings import Settings
from service.store import watched
from service.store.stalled import said_of, stalled_projects
from service.store.workers import queues_taken, workers_alive

log = logging.getLogger(__name__)

_FINE = ("ok", "embedded")
_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_LATE_AFTER = timedelta(minutes=5)
_NAMED = 3  # jobs that a sentence names


def readiness(database: Database, blobs: Blobs, settings: Settings, now: datetime) -> Readiness:
    """All checks, each tried by itself: not_ready where nobody can label, degraded where labels are not learned from."""
    known, ahead = _database_checks(database)
    labelling = {
        **known,
        "blobs": _tried(lambda: _blobs_check(blobs)),
        "disk": _tried(lambda: _disk_check(database, blobs, settings)),
    }
    learning = {**ahead, "broker": "embedded" if settings.embedded else _tried(lambda: _broker_check(settings))}
    asked = all(said in _FINE for said in known.values())
    if asked:
        learning |= _work_checks(database, settings, now)
    else:
        learning |= dict.fromkeys(("workers", "jobs"), "The database cannot be asked.")
    ready, learns = (all(said in _FINE for said in each.values()) for each in (labelling, learning))
    status = "not_ready" if not ready else "ready" if learns else "degraded"
    return Readiness(status=status, checks={**labelling, **learning}, stalled=_stalled(database) if asked else {})


def _stalled(database: Database) -> dict[int, str]:
    try:
        with database.read() as session:
            return {each.project_id: said_of(each) for each in reversed(stalled_projects(session))}
    except SQLAlchemyError as error:
        log.warning("Campaigns that stand still cannot be asked for: %s", error)
        return {}


def _database_checks(database: Database) -> tuple[dict[str, str], dict[str, str]]:
    """What stands in the way of labelling, and of learning alone: a schema of a later release.

    While a release is installed, processes of the one before go on over the new schema.
    """
    try:
        with database.engine.connect() as connection:
            found = migrate.current(connection)
    except SQLAlchemyError as error:
        log.warning("The database does not answer: %s", error)
        return {"database": "The database does not answer.", "migrations": "The database does not answer."}, {}
    if found == migrate.head():
        return {"database": "ok", "migrations": "ok"}, {}
    if ahead := migrate.later(found):
        return {"database": "ok"}, {"migrations": ahead}
    behind = f"The database is at {found or 'nothing'}, this release needs {migrate.head()}."
    return {"database": "ok", "migrations": behind}, {}


def _blobs_check(blobs: Blobs) -> str:
    blobs.exists("readyz")  # whether or not it does, it could be asked
    if bucket := blobs.bucket_missing():
        return f"There is no bucket {bucket}: make it, or mend REGIONWISE_BLOB_URL."
    if blobs.folder is not None and not os.access(there(blobs.folder), os.W_OK):
        return "The folder of the blobs cannot be written to."
    return "ok"


def _disk_check(database: Database, blobs: Blobs, settings: Settings) -> str:
    for what, folder in disks(database.engine, blobs).items():
        free = free_bytes(folder)
        if free < settings.min_free_bytes:
            return f"The disk of the {what} has {free:,} bytes left, fewer than {settings.min_free_bytes:,}: make room."
    return "ok"


def _broker_check(settings: Settings) -> str:
    address = urlsplit(settings.broker_url)
    port = address.port or _PORTS.get(address.scheme)
    if address.hostname is None or port is None:
        return "ok"  # a broker without an address, such as a folder
    with socket.create_connection((address.hostname, port), timeout=2):
        return "ok"


def _work_checks(database: Database, settings: Settings, now: datetime) -> dict[str, str]:
    try:
        with database.read() as session:
            alive = 1 if settings.embedded else workers_alive(session, now)
            pending = watched.pending(session)
            late = watched.late_rounds(pending, now - _LATE_AFTER)
            taken = frozenset[str](QUEUES) if settings.embedded else queues_taken(session, now)
            failed = watched.failed_for_good(session)
    except SQLAlchemyError as error:
        log.warning("Workers and jobs cannot be asked for: %s", error)
        return dict.fromkeys(("workers", "jobs"), "The database cannot be asked.")
    waiting = {kind for kind, jobs in pending.items() if jobs.queued}
    untaken = sorted(kind for kind, queue in QUEUE_OF.items() if queue not in taken and kind in waiting)
    return {"workers": _workers_said(alive, untaken, late), "jobs": _jobs_said(failed)}


def _workers_said(alive: int, untaken: list[JobKind], late: list[str]) -> str:
    if not alive:
        return "No worker is alive: start one with `regionwise worker`."
    if untaken:
        queue = QUEUE_OF[untaken[0]]
        waiting = " and ".join(kind for kind in untaken if QUEUE_OF[kind] == queue)
        return (
            f"No worker takes jobs of the queue {queue}, where {waiting} waits: start one with "
            f"`regionwise worker --queues {queue}`."
        )
    if late:
        minutes = int(_LATE_AFTER.total_seconds() // 60)
        return f"No worker has looked at {' or '.join(late)} jobs for {minutes} minutes: see whether one runs, and its log."
    return "ok"


def _jobs_said(failed: Sequence[watched.FailedJob]) -> str:
    if not failed:
        return "ok"
    named = ", ".join(f"job {each.id} ({each.kind}) of project {each.project_id}" for each in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"Given up: {named}{more}. GET /jobs/ID says why; mend that, then POST /jobs/ID/retry."


def _tried(check: Callable[[], str]) -> str:
    try:
        return check()
    except OSError as error:
        log.warning("A readiness check failed: %s", error)
        return "It does not answer."
