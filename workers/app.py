"""The Celery application of a worker process, and its start."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import gettempdir

from celery import Celery
from celery.signals import setup_logging, worker_process_init

from service import logs, migrate
from service.queue import NAMES, SIMULATION_QUEUE, make_celery, shared_redis
from service.settings import Settings, get_settings
from workers.jobs.delivery import Worker
from workers.jobs.tasks import make_worker, register
from workers.stopping import Stopping


def make_app(settings: Settings, worker: Callable[[], Worker] | None = None) -> Celery:
    """The application of a worker process.

    Its worker is made in each pool process: as it starts, so that it is known to
    be alive before its first job, or else with that.
    """
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
            # By name, so that `rounds` always goes before what is long.
            "queue_order_strategy": "sorted",
        },
    )

    stopping = Stopping()
    stopping.listen()
    made = worker or cache(lambda: make_worker(settings, app, stopping=stopping.asked))
    register(app, made, stopping)

    def announced(**_: object) -> None:
        # Simulations need no database, and are given none by a worker for them alone.
        if migrate.exists(settings.resolved_database_url):
            made()

    worker_process_init.connect(announced, weak=False)
    return app


def add_simulations(app: Celery, settings: Settings) -> None:
    """Give an application the task of simulations, and what it needs. Raises ValueError for a broker that is not Redis."""
    app.conf.update(
        # Named for Celery, which imports it in every process of this worker; not imported here, so that a worker of the
        # service alone never loads the laboratory.
        include=[*app.conf.include, "workers.runs.celery_crew"],
        result_backend=shared_redis(settings, "--simulations"),
        broker_transport_options={
            **app.conf.broker_transport_options,
            # A worker renews this for a work that it is at. A job's message that comes twice finds its row taken.
            "visibility_timeout": settings.stale_seconds,
            "unacked_restore_interval": settings.heartbeat_seconds,
            "unacked_restore_throttle": 1,
            # Apart from those of the service's workers, whose timeout is another.
            "unacked_key": "simulations.unacked",
            "unacked_index_key": "simulations.unacked_index",
            "unacked_mutex_key": "simulations.unacked_mutex",
        },
    )


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log_lines(loglevel: int | str | None = None, **_: object) -> None:
    """Lines of the log are written as the API writes them; Celery, which asks, leaves its own form aside."""
    logs.configure(get_settings().log_format, loglevel or "INFO")


app = make_app(get_settings())


def run_worker(*, concurrency: int, log_level: str, simulations: bool = False) -> None:
    """Run a worker for one GPU (or CPU) until it is stopped. Raises ValueError for simulations over a broker not Redis."""
    queues = [NAMES[each] for each in get_settings().taken_queues]
    if simulations:
        add_simulations(app, get_settings())
        queues.append(SIMULATION_QUEUE)
    with _node_name() as name:
        app.worker_main(
            [
                # Celery greets on stdout, in no line of the log.
                *(["--quiet"] if get_settings().log_format == "json" else []),
                "worker",
                f"--hostname={name}",
                "--pool=prefork",
                f"--concurrency={concurrency}",
                f"--queues={','.join(queues)}",
                f"--loglevel={log_level}",
                "--without-gossip",
                "--without-mingle",
            ]
        )


@contextmanager
def _node_name() -> Iterator[str]:
    """What Celery calls this worker while this lasts: of several on one host the first by the host alone, others by their number.

    Two of one name would answer for each other. In a container there is one, which probes find by the host.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context((Path(gettempdir()) / "regionwise-worker.lock").open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name = "celery@%h"
        except OSError:  # another worker holds it, perhaps another user's
            name = f"celery-{os.getpid()}@%h"
        yield name
