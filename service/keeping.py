"""What goes with time, a small piece at once: old rounds' weights, ended leases, old events, bytes that no row names."""

import gzip
import itertools
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.blobs import Blobs, Found
from service.db import Database
from service.settings import Settings
from service.store import removals, retention
from service.tables import Event

log = logging.getLogger(__name__)

_EVERY = timedelta(hours=6)
_AT_ONCE = 500
_EVENTS_AT_ONCE = 5000
_STEP_SECONDS = 0.2
# A job that is done leaves nothing that is gone on from; a worker that is just ending it may still clear up.
_DONE_FOR = timedelta(hours=1)
_HALF_WRITTEN = re.compile(r"(.*/)?\.[^/]+\.[0-9a-f]{32}")
_NAMED_BY_ROWS = re.compile(r"(images|seen|labels|label_maps|checkpoints|rounds|events)/.+")
_OF_JOB = re.compile(r"jobs/(\d{1,18})/.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """What a piece of work took: how many of a kind, and of how many bytes."""

    kind: str
    count: int
    size: int = 0


@dataclass(kw_only=True)
class Keeper:
    """Goes over all that there is every few hours. Several may, one for each API process; with `dry` nothing is changed."""

    database: Database
    blobs: Blobs
    settings: Settings
    clock: Callable[[], datetime]
    dry: bool = False
    grace: timedelta = removals.GRACE
    _under_way: Iterator[Went] | None = field(default=None, init=False)
    _again_at: datetime | None = field(default=None, init=False)

    def step(self, seconds: float = _STEP_SECONDS) -> None:
        """Go on for so long, or a piece longer; does nothing for some hours after all was looked at."""
        if self._under_way is None:
            if self._again_at is not None and self.clock() < self._again_at:
                return
            self._under_way = self.pieces()
        until = time.monotonic() + seconds
        try:
            for _ in self._under_way:
                if time.monotonic() > until:
                    return
        except OSError as error:  # the blobs may be away for a while
            log.warning("What goes with time could not be looked for: %s", error)
        except BaseException:
            self._under_way = None
            raise
        self._under_way, self._again_at = None, self.clock() + _EVERY

    def pieces(self) -> Iterator[Went]:
        """Everything once, in pieces; no transaction is open between two."""
        with self.database.read() as session:
            projects = retention.project_ids(session)
        for each in projects:
            yield from self._weights(each)
        yield from self._leases()
        yield from self._lines()
        yield from self._events()
        found = self.blobs.found()
        while part := list(itertools.islice(found, _AT_ONCE)):
            yield from self._strays(part)

    def _weights(self, project_id: int) -> Iterator[Went]:
        while True:
            with self.database.snapshot() if self.dry else self.database.write() as session:
                limit = 10**6 if self.dry else _AT_ONCE
                spare = retention.spare_segmenters(session, project_id, limit=limit, lock=not self.dry)
                if spare and not self.dry:
                    retention.let_go(session, spare, self.clock(), grace=self.grace)
                keys = {each.blob_key for each in spare}
            yield Went(kind="weights of old rounds", count=len(spare), size=sum(map(self.blobs.size, keys)))
            if self.dry or len(spare) < _AT_ONCE:
                return

    def _leases(self) -> Iterator[Went]:
        before = self.clock() - timedelta(days=self.settings.keep_days)
        if self.dry:
            with self.database.read() as session:
                yield Went(kind="ended leases", count=retention.ended_leases(session, before))
            return
        ids: Sequence[int] = range(_AT_ONCE)
        while len(ids) == _AT_ONCE:
            with self.database.read() as session:
                ids = retention.old_leases(session, before, limit=_AT_ONCE)
            if ids:
                with self.database.write() as session:
                    retention.delete_leases(session, ids)
            yield Went(kind="ended leases", count=len(ids))

    def _lines(self) -> Iterator[Went]:
        before = self.clock() - timedelta(days=self.settings.keep_days)
        if self.dry:
            with self.database.read() as session:
                yield Went(kind="lines of jobs' logs", count=retention.count_lines(session, before))
            return
        count = _AT_ONCE
        while count == _AT_ONCE:
            with self.database.write() as session:
                count = retention.delete_lines(session, before, limit=_AT_ONCE)
            yield Went(kind="lines of jobs' logs", count=count)

    def _events(self) -> Iterator[Went]:
        if not self.settings.event_days:
            return
        # Whole months: an archive of every few hours would be a heap of small files.
        moment = self.clock() - timedelta(days=self.settings.event_days)
        before = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if self.dry:
            with self.database.read() as session:
                yield Went(kind="events to the archive", count=retention.count_events(session, before))
            return
        count = 1
        while count:
            count = self._archive_some(before)
            yield Went(kind="events to the archive", count=count)

    def _archive_some(self, before: datetime) -> int:
        with self.database.write() as session:
            if not retention.my_turn(session):
                return 0
            chosen = retention.old_events(session, before, limit=_EVENTS_AT_ONCE)
            if not chosen:
                return 0
            data = gzip.compress("".join(json.dumps(_line(each)) + "\n" for each in chosen).encode(), mtime=0)
            key = self.blobs.put_content(f"events/{chosen[0].at:%Y-%m}", data, ".jsonl.gz")
            first, last, count = chosen[0].id, chosen[-1].id, len(chosen)
            session.expunge_all()
            retention.archive_events(session, first, last, key, self.clock())
            return count

    def _strays(self, part: Sequence[Found]) -> Iterator[Went]:
        before = self.clock() - timedelta(hours=self.settings.stray_hours)
        old = [each for each in part if each.modified is not None and each.modified < before]
        half = [each for each in old if _HALF_WRITTEN.fullmatch(each.key)]
        for each in half if not self.dry else ():
            self.blobs.delete(each.key)
        yield _counted("half written files", half)
        whole = {each.key: each for each in old if _NAMED_BY_ROWS.fullmatch(each.key) and each not in half}
        of_jobs = [(each, int(found[1])) for each in old if (found := _OF_JOB.fullmatch(each.key)) and each not in half]
        with self.database.read() as session:
            stray = whole.keys() - removals.named(session, whole.keys())
            ended = self._ended(session, {job for _, job in of_jobs})
            due = stray | {f"jobs/{job}/" for job in ended}
            due -= retention.noted(session, due)
        if due and not self.dry:
            with self.database.write() as session:
                removals.note(session, sorted(due), self.clock(), grace=self.grace)
        yield _counted("bytes that no row names", [whole[key] for key in due if key in whole])
        yield _counted("states of ended jobs", [each for each, job in of_jobs if f"jobs/{job}/" in due])

    def _ended(self, session: Any, jobs: set[int]) -> set[int]:
        now = self.clock()
        given_up = now - timedelta(days=self.settings.keep_days)
        return retention.ended_jobs(session, jobs, done=now - _DONE_FOR, given_up=given_up)


def _counted(kind: str, found: Sequence[Found]) -> Went:
    return Went(kind=kind, count=len(found), size=sum(each.size for each in found))


def _line(event: Event) -> dict[str, Any]:
    at = event.at.isoformat()
    who = {"project_id": event.project_id, "annotator_id": event.annotator_id}
    return {"id": event.id, "at": at, **who, "kind": event.kind, "detail": event.detail}
