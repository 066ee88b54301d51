"""Task names, and the sending of jobs to workers once their rows are committed."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from celery import Celery
from kombu.exceptions import OperationalError

from service.domain.job_kinds import QUEUE_OF
from service.settings import Settings

log = logging.getLogger(__name__)

RUN_JOB = "regionwise.run_job"
# What a queue is called in the broker. A worker takes from its queues in the order of these names: rounds go first.
NAMES: Mapping[str, str] = {"rounds": "rounds", "cpu": "training-cpu", "gpu": "training-gpu"}
# Works of simulations; only workers that were started for them take from it.
SIMULATION_QUEUE = "simulations"

# Whoever queues a job waits no longer than this for a broker that is away or silent: the sweeper sends again.
_PATIENCE = {"max_retries": 1, "interval_start": 0.2, "socket_connect_timeout": 2.0, "socket_timeout": 5.0}


def queue_of(kind: str) -> str:
    """What the queue of a kind of job is called in the broker. One that a later release has made waits with the long ones."""
    return NAMES[next((queue for known, queue in QUEUE_OF.items() if known == kind), "cpu")]


class Sender(Protocol):
    """Wakes a worker for jobs that are committed."""

    def __call__(self, jobs: Iterable[tuple[int, str]]) -> None: ...


def make_celery(
    broker_url: str, *, broker_transport_options: Mapping[str, Any] | None = None, **settings: Any
) -> Celery:
    """A Celery application that speaks JSON only, and keeps no results unless it is told where."""
    app = Celery("regionwise", broker=broker_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        task_default_queue=NAMES["cpu"],
        # A job belongs to its row, not to its message: one that is under way outlives a restart of the broker.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options=_PATIENCE | dict(broker_transport_options or {}),
        **settings,
    )
    return app


def celery_sender(app: Celery) -> Sender:
    """Sends (job id, kind) pairs; what a broker that is away cannot take, the sweeper sends again from the rows."""

    def send(jobs: Iterable[tuple[int, str]]) -> None:
        for job_id, kind in jobs:
            try:
                app.send_task(RUN_JOB, args=[job_id], queue=queue_of(kind), retry=False)
            except OperationalError as error:
                log.warning("The broker did not take job %s (%s); it will be sent again: %s", job_id, kind, error)
                return  # the others would wait as long for nothing

    return send


def shared_redis(settings: Settings, what: str) -> str:
    """The broker's URL for `what`, whose results lie in the broker too. Raises ValueError where that is not Redis."""
    if not settings.broker_url.startswith(("redis://", "rediss://")):
        raise ValueError(
            f"{what} needs Redis, which workers share: set REGIONWISE_BROKER_URL, redis://HOST:6379/1 say."
        )
    return settings.broker_url
