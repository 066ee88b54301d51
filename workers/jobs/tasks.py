"""The Celery task that runs the job of a row, and what the tasks of a process share."""

import logging
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import torch
from celery import Celery
from sqlalchemy.exc import SQLAlchemyError

from service.db import Database
from service.queue import RUN_JOB, celery_sender
from service.settings import Settings
from service.store.workers import announce
from workers.jobs.connecting import worker_of
from workers.jobs.delivery import Handler, Worker, run_claimed
from workers.jobs.policies import train_policy
from workers.jobs.rounds import ask, tell
from workers.jobs.segmenters import evaluate, finish, pretrain
from workers.training.building import missing_segmenters

log = logging.getLogger(__name__)

HANDLERS: dict[str, Handler] = {
    "ask": ask,
    "tell": tell,
    "pretrain": pretrain,
    "train-policy": train_policy,
    "finish": finish,
    "evaluate": evaluate,
}


def make_worker(settings: Settings, app: Celery, database: Database | None = None) -> Worker:
    """What the tasks of this process share: database, blobs, device."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    database = database or Database(
        settings.resolved_database_url, celery_sender(app), connections=settings.database_connections
    )
    announce_this(database, datetime.now(UTC))
    return worker_of(settings, database)


def announce_this(database: Database, now: datetime) -> None:
    """Say to the API what this machine lacks, so that it can refuse what no worker could do. Nothing depends on it."""
    try:
        with database.write() as session:
            announce(session, f"{platform.node()} {sys.prefix}"[:255], missing_segmenters(), now)
    except SQLAlchemyError as error:  # the database may be away for a moment, or of another release
        log.warning("What this worker lacks could not be said: %s", error)


def register(app: Celery, worker: Callable[[], Worker]) -> None:
    """Give the application its tasks. They belong to it alone: tasks may not be shared between two workers."""

    @app.task(name=RUN_JOB, shared=False)  # type: ignore[untyped-decorator]
    def run_job(job_id: int) -> None:
        """Run one job, or one slice of it."""
        outcome = run_claimed(worker(), job_id, HANDLERS)
        log.info("Job %s: %s", job_id, outcome)
