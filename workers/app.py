"""The Celery application: the task that runs the job of a row, and the one that does works of simulations."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import torch
from celery import Celery

from service.blobs import Blobs
from service.db import Database
from service.queue import RUN_JOB, celery_sender, make_celery
from service.settings import Settings, get_settings
from workers.device import resolve_device
from workers.fanout import register_simulation
from workers.job_run import Handler, Worker, run_claimed
from workers.policy_task import train_policy
from workers.round_tasks import ask, tell
from workers.training_tasks import evaluate, finish, pretrain

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
    return Worker(
        database=database or Database(settings.resolved_database_url, celery_sender(app)),
        blobs=Blobs(settings.resolved_blob_url),
        settings=settings,
        clock=lambda: datetime.now(UTC),
        device=resolve_device(settings.device),
    )


def make_app(settings: Settings, worker: Callable[[], Worker] | None = None) -> Celery:
    """The application of a worker process. Its worker is made with the first job, after a pool process was started."""
    app = make_celery(
        settings.broker_url,
        worker_concurrency=1,
        # Spawned, not forked: a fork hangs once torch has run in the parent, and CUDA does not survive it.
        worker_pool_start_method="spawn",
        # A spawned process imports torch before it says that it is up; Celery would kill it after 4 seconds.
        worker_proc_alive_timeout=300,
        broker_transport_options={
            # Slices end long before. A delivery that does not is sent again; the job's row then tells that it is taken.
            "visibility_timeout": 6 * 3600,
            # By name, so that `rounds` always goes before `training`.
            "queue_order_strategy": "sorted",
        },
    )

    register(app, worker or cache(lambda: make_worker(settings, app)))
    return app


def register(app: Celery, worker: Callable[[], Worker]) -> None:
    """Give the application its tasks. They belong to it alone: tasks may not be shared between two workers."""

    @app.task(name=RUN_JOB, shared=False)  # type: ignore[untyped-decorator]
    def run_job(job_id: int) -> None:
        """Run one job, or one slice of it."""
        outcome = run_claimed(worker(), job_id, HANDLERS)
        log.info("Job %s: %s", job_id, outcome)

    register_simulation(app, lambda: worker().device)


app = make_app(get_settings())
