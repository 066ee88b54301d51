"""What GET /metrics says: requests of this process, and what the database, the disks and the jobs are at."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from sqlalchemy.exc import SQLAlchemyError

from service.access_log import Served
from service.blobs import Blobs
from service.db import Database
from service.disks import disks, free_bytes
from service.settings import Settings
from service.store import watched
from service.store.workers import workers_alive

log = logging.getLogger(__name__)

Labels = TypeVar("Labels", bound=tuple[str, ...])

FRESH_SECONDS = 5.0
_LATE = timedelta(minutes=5)  # a job's end may become visible so long after the time that it says
_UNSETTLED = 1000  # the newest labels are counted each time: others of lower ids may still be committed
# They would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_JOB_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What is measured now and then: sizes, and how many labels there are up to an id."""

    blob_bytes: int | None
    database_bytes: int
    labels: int
    upto: int
    quality: watched.Quality


class Metrics:
    """The numbers of one API process. What the database says is read at most every few seconds."""

    def __init__(self, database: Database, blobs: Blobs, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database, self._blobs, self._settings, self._clock = database, blobs, settings, clock
        self._lock = threading.Lock()
        self._measured: _Measured | None = None
        self._kept: list[Metric] = []
        self._read_at: float | None = None
        self._started_at = self._looked_at = clock()
        self._seen: dict[tuple[int, datetime], None] = {}
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._requests = Counter(
            "regionwise_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "regionwise_request_seconds",
            "Seconds from a request's first byte to the last of its answer.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._job_seconds = Histogram(
            "regionwise_job_seconds",
            "Seconds from when a worker first took a job to its end, for jobs that ended since this process started.",
            ["kind", "state"],
            buckets=_JOB_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Kept(lambda: self._kept))

    def count(self, served: Served) -> None:
        """A request was answered."""
        self._requests.labels(served.method, served.route, str(served.status)).inc()
        self._request_seconds.labels(served.method, served.route).observe(served.seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus's text format. Where the database does not answer, what can be said without it."""
        with self._lock:
            now = time.monotonic()
            if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
                self._kept = list(self._read())
                self._read_at = now
            return generate_latest(self._registry)

    def forget(self) -> None:
        """Have the next scrape read everything anew."""
        with self._lock:
            self._read_at = None

    def measure(self) -> None:
        """Measure what takes long. Raises SQLAlchemyError or OSError where something does not answer."""
        blob_bytes = self._blobs.total_size()
        with self._database.read() as session:
            upto = max(0, watched.newest_label(session) - _UNSETTLED)
            self._measured = _Measured(
                blob_bytes=blob_bytes,
                database_bytes=watched.database_bytes(session),
                labels=watched.label_count(session, upto=upto),
                upto=upto,
                quality=watched.quality(session),
            )

    def _read(self) -> Iterator[Metric]:
        yield _labelled("regionwise_info", "The release that runs.", ("version",), {(version("regionwise"),): 1})
        try:
            found = [*self._of_database(), *self._of_jobs()]
        except SQLAlchemyError as error:
            log.warning("The database could not be asked for its numbers: %s", error)
            found = []
        yield Gauge("regionwise_database_up", "Whether the database answers.", value=float(bool(found)))
        yield from found
        yield from self._of_quality()
        yield from self._of_disks()

    def _of_database(self) -> Iterator[Metric]:
        with self._database.read() as session:
            held = watched.leases(session, self._clock())
            measured = self._measured
            above = 0 if measured is None else measured.upto
            labels = watched.label_count(session, above=above) + (0 if measured is None else measured.labels)
            names, regions = watched.names(session), watched.open_regions(session)
            rounds, miou = watched.rounds(session), watched.miou(session)
            alive = 1 if self._settings.embedded else workers_alive(session, self._clock())
        yield _labelled(
            "regionwise_leases",
            "Leases that nobody has ended: open, or expired.",
            ("state",),
            {("open",): held.open, ("expired",): held.expired},
        )
        yield Gauge("regionwise_labels", "Labels of regions, all versions.", value=labels)
        yield Gauge("regionwise_workers", "Workers that are alive.", value=alive)
        named = {(str(project), name): 1 for project, name in names.items()}
        yield _labelled("regionwise_project_info", "What a project is called.", ("project", "name"), named)
        yield _by_project("regionwise_regions_open", "Regions that wait for a label.", regions)
        by_state = {(str(project), state): count for (project, state), count in rounds.items()}
        yield _labelled("regionwise_rounds", "Rounds by state.", ("project", "state"), by_state)
        yield _by_project("regionwise_miou", "mIoU of the newest round that was learned from, 0 to 1.", miou)

    def _of_jobs(self) -> Iterator[Metric]:
        now = self._clock()
        with self._database.read() as session:
            pending, failed = watched.pending(session), watched.failed_for_good(session)
            ended = watched.ended(session, max(self._started_at, self._looked_at - _LATE))
        self._count_ended(ended, now)
        states = {(kind, "queued"): each.queued for kind, each in pending.items()}
        states |= {(kind, "running"): each.running for kind, each in pending.items()}
        yield _labelled("regionwise_jobs", "Jobs that have not ended.", ("kind", "state"), states)
        again = {(kind,): each.failed_before for kind, each in pending.items()}
        yield _labelled("regionwise_jobs_tried_again", "Of those, jobs that have failed before.", ("kind",), again)
        waits = {
            (kind,): max(0.0, (now - each.waits_since).total_seconds())
            for kind, each in pending.items()
            if each.waits_since is not None
        }
        sentence = "Seconds that the queued job which waits longest has not been looked at by a worker."
        yield _labelled("regionwise_job_wait_seconds", sentence, ("kind",), waits)
        sentence = "Jobs of active projects that are given up, and that no later one of their kind made up for."
        yield _by_project("regionwise_jobs_given_up", sentence, watched.by_project(failed))

    def _count_ended(self, ended: Sequence[watched.EndedJob], now: datetime) -> None:
        for each in ended:
            key = (each.id, each.finished_at)
            if key not in self._seen:
                seconds = (each.finished_at - (each.started_at or each.finished_at)).total_seconds()
                self._job_seconds.labels(each.kind, each.state).observe(max(0.0, seconds))
        self._seen = {(each.id, each.finished_at): None for each in ended}
        self._looked_at = now

    def _of_quality(self) -> Iterator[Metric]:
        """Measured now and then: it looks at all comparisons of labels."""
        found = watched.Quality(gold={}, agreement={}) if self._measured is None else self._measured.quality
        sentence = "Mean mIoU of labels of gold regions with the truth, 0 to 1."
        yield _by_project("regionwise_gold_miou", sentence, found.gold)
        sentence = "Mean mIoU of labels of a region by different people, 0 to 1."
        yield _by_project("regionwise_agreement_miou", sentence, found.agreement)

    def _of_disks(self) -> Iterator[Metric]:
        free: dict[tuple[str], float] = {}
        for what, folder in disks(self._database.engine, self._blobs).items():
            try:
                free[(what,)] = free_bytes(folder)
            except OSError:
                continue  # what does not answer has no number
        yield _labelled("regionwise_disk_free_bytes", "Room on the disks of this machine's data.", ("disk",), free)
        sizes = {} if self._measured is None else {("database",): self._measured.database_bytes}
        if self._measured is not None and self._measured.blob_bytes is not None:
            sizes["blobs",] = self._measured.blob_bytes
        yield _labelled(
            "regionwise_stored_bytes", "Bytes of database and blobs, measured now and then.", ("what",), sizes
        )


class _Kept:
    """A collector of what was read last."""

    def __init__(self, kept: Callable[[], list[Metric]]) -> None:
        self._of = kept

    def collect(self) -> Iterator[Metric]:
        yield from self._of()


def _labelled(
    name: str,
    sentence: str,
    labels: tuple[str, ...],
    values: Mapping[Labels, float],
) -> Metric:
    family = Gauge(name, sentence, labels=labels)
    for each, value in values.items():
        family.add_metric(each, value)
    return family


def _by_project(name: str, sentence: str, values: Mapping[int, float]) -> Metric:
    return _labelled(name, sentence, ("project",), {(str(project),): value for project, value in values.items()})
