"""The Celery application of a worker process, and its start."""

from collections.abc import Callable
from functools import cache

from celery import Celery

from service.queue import QUICK_QUEUE, TRAINING_QUEUE, make_celery
from service.settings import Settings, get_settings
from workers.jobs.delivery import Worker
from workers.jobs.tasks import make_worker, register
from workers.runs.celery_crew import register_simulation


def make_app(settings: Settings, worker: Callable[[], Worker] | None = None) -> Celery:
    """The application of a worker process. Its worker is made with the first job, after a pool process was started."""
    app = make_celery(
        settings.broker_url,
        # What a pool process imports when it starts: this module, which gives the application its tasks.
        include=[__name__],
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

    made = worker or cache(lambda: make_worker(settings, app))
    register(app, made)
    register_simulation(app, lambda: made().device)
    return app


app = make_app(get_settings())


def run_worker(*, concurrency: int, log_level: str) -> None:
    """Run a worker for one GPU (or CPU) until it is stopped."""
    app.worker_main(
        [
            "worker",
            "--pool=prefork",
            f"--concurrency={concurrency}",
            f"--queues={QUICK_QUEUE},{TRAINING_QUEUE}",
            f"--loglevel={log_level}",
            "--without-gossip",
            "--without-mingle",
        ]
    )
