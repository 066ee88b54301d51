"""The Celery task that runs the job of a row, and what the tasks of a process share."""

import logging
from collections.abc import Callable

import torch
from celery import Celery

from service.db import Database
from service.queue import RUN_JOB, celery_sender
from service.settings import Settings
from workers.jobs.connecting import worker_of
from workers.jobs.delivery import Handler, Worker, run_claimed
from workers.jobs.policies import train_policy
from workers.jobs.rounds import ask, tell
from workers.jobs.segmenters import evaluate, finish, pretrain

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
    return worker_of(settings, database or Database(settings.resolved_database_url, celery_sender(app)))


def register(app: Celery, worker: Callable[[], Worker]) -> None:
    """Give the application its tasks. They belong to it alone: tasks may not be shared between two workers."""

    @app.task(name=RUN_JOB, shared=False)  # type: ignore[untyped-decorator]
    def run_job(job_id: int) -> None:
        """Run one job, or one slice of it."""
        outcome = run_claimed(worker(), job_id, HANDLERS)
        log.info("Job %s: %s", job_id, outcome)
