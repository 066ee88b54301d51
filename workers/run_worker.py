"""Starts a Celery worker for one GPU (or CPU): jobs of the service, and works that simulations send."""

from service.queue import QUICK_QUEUE, TRAINING_QUEUE
from workers.app import app


def run_worker(*, concurrency: int, log_level: str) -> None:
    """Run until stopped."""
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
