"""Starts a Celery worker for one GPU (or CPU) with the settings that training needs."""

from workers.app import app


def run_worker(*, concurrency: int, log_level: str) -> None:
    """Run until stopped."""
    # Processes are spawned: a fork hangs once torch has run in the parent, and CUDA does not survive it.
    app.conf.worker_pool_start_method = "spawn"
    app.worker_main(
        [
            "worker",
            "--pool=prefork",
            f"--concurrency={concurrency}",
            "--queues=rounds,training",
            f"--loglevel={log_level}",
            "--without-gossip",
            "--without-mingle",
        ]
    )
