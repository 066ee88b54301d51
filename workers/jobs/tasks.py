"""The Celery task that runs the job of a row, and what the tasks of a process share."""

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import torch
from celery import Celery
from celery.signals import worker_process_shutdown

from service.db import Database
from service.domain.waits import waits_of
from service.queue import RUN_JOB, celery_sender
from service.settings import Settings
from workers.jobs.connecting import worker_of
from workers.jobs.delivery import Handler, Worker, run_claimed
from workers.jobs.policies import train_policy
from workers.jobs.presence import Presence
from workers.jobs.rounds import ask, tell
from workers.jobs.segmenters import evaluate, finish, pretrain
from workers.stopping import Stopping
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


def make_worker(
    settings: Settings, app: Celery, database: Database | None = None, stopping: threading.Event | None = None
) -> Worker:
    """What the tasks of this process share: database, blobs, device. The process is announced.

    `stopping` is set when the process is asked to end.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    database = database or Database(
        settings.resolved_database_url, celery_sender(app), connections=settings.database_connections
    )
    worker = worker_of(settings, database)
    queues, seconds = None if settings.embedded else settings.queues, settings.heartbeat_seconds / 2
    presence = Presence(database, worker.clock, missing_segmenters(), seconds=seconds, queues=queues)
    presence.start()
    waits = waits_of(settings.retry_seconds)
    made = replace(worker, presence=presence, waits=waits, stopping=stopping or worker.stopping)

    def end(**_: object) -> None:
        made.forget_slices()
        presence.close()

    worker_process_shutdown.connect(end, weak=False)  # a pool process of Celery's ends
    return made


def register(app: Celery, worker: Callable[[], Worker], stopping: Stopping | None = None) -> None:
    """Give the application its tasks. They belong to it alone: tasks may not be shared between two workers.

    `stopping` is told when a job begins and ends, so that signals find what is under way.
    """

    @app.task(name=RUN_JOB, shared=False)  # type: ignore[untyped-decorator]
    def run_job(job_id: int) -> None:
        """Run one job, or one slice of it."""
        with nullcontext() if stopping is None else stopping.at_a_job():
            run_claimed(worker(), job_id, HANDLERS)
