"""Says to whoever listens what of a project has changed: one look a second for all of them, whatever process changed it."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from service.db import Database
from service.errors import Busy, TooMany
from service.store.stamps import SUBJECTS, Stamp, Subject, changed, stamp, workers_mark

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""After so long a stream says something, and whoever listens is asked for again."""
LONGEST_SECONDS = 600.0
MOST_OF_A_PERSON = 4
MOST_OF_A_PROCESS = 100
_STEPS = 10  # of a look's second: after each it is seen whether the process ends
_AGAIN_MILLISECONDS = 1000


class Listener:
    """A stream: what has changed that it has not said yet."""

    def __init__(self) -> None:
        self._changed: set[Subject] = set()
        self._rung = asyncio.Event()

    def tell(self, subjects: Collection[Subject]) -> None:
        """These have changed; none: it has to look up."""
        self._changed.update(subjects)
        self._rung.set()

    async def next(self, seconds: float) -> list[Subject]:
        """What has changed, as soon as something has; nothing where nothing does for so long."""
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return []
        self._rung.clear()
        found = [each for each in SUBJECTS if each in self._changed]
        self._changed.clear()
        return found


class _Room:
    """Those who listen to a project in one loop, and how it was when it was looked at last."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.known: Stamp | None = None


_Rooms = dict[int, _Room]


class Live:
    """The streams of one application. The rows say what has changed, so that any process may have changed it."""

    def __init__(self, database: Database, clock: Callable[[], datetime], *, connections: int) -> None:
        """Of the process's `connections` no more than half are streams, and MOST_OF_A_PROCESS at most."""
        self._database, self._clock = database, clock
        self._most = min(MOST_OF_A_PROCESS, connections // 2)
        self._held = Counter[int]()  # streams by caller
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, _Rooms] = WeakKeyDictionary()
        self._looks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()
        self._closed = False

    @contextmanager
    def place(self, caller_id: int) -> Iterator[None]:
        """A place for a stream of the caller's. Raises TooMany where they have enough, Busy where all together have."""
        if self._held[caller_id] >= MOST_OF_A_PERSON:
            sentence = f"{MOST_OF_A_PERSON} streams are open for you already: close one of them, or ask now and then."
            raise TooMany(sentence, code="too_many_streams", retry_after=30)
        if self._held.total() >= self._most:
            raise Busy(
                "Too many listen to this process: ask now and then instead.", code="streams_full", retry_after=30
            )
        self._held[caller_id] += 1
        try:
            yield
        finally:
            self._held -= Counter({caller_id: 1})

    async def stream(self, project_id: int, still_allowed: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """Server-sent events: `listening` at once, then `changed` with each change, and a comment where it is quiet.

        It ends after LONGEST_SECONDS, with the process, and once the caller is not `still_allowed`.
        """
        with self._listening(project_id) as (room, listener):
            if room.known is None:  # whatever changes from the first event on is told
                room.known = (await run_in_threadpool(self._look, [project_id])).get(project_id)
            yield f"retry: {_AGAIN_MILLISECONDS}\n{_event('listening', SUBJECTS)}"
            now = time.monotonic()
            until, ask_at = now + LONGEST_SECONDS, now + QUIET_SECONDS
            while not self._closed and now < until:
                found = await listener.next(min(ask_at, until) - now)
                now = time.monotonic()
                if now >= ask_at:
                    if not await still_allowed():
                        return
                    ask_at = now + QUIET_SECONDS
                if not self._closed:
                    yield _event("changed", found) if found else ":\n\n"

    def close(self) -> None:
        """Let nobody listen any more."""
        self._closed = True

    @contextmanager
    def _listening(self, project_id: int) -> Iterator[tuple[_Room, Listener]]:
        loop = asyncio.get_running_loop()
        rooms = self._rooms.setdefault(loop, {})
        room, listener = rooms.setdefault(project_id, _Room()), Listener()
        room.listeners.append(listener)
        if (look := self._looks.get(loop)) is None or look.done():
            self._looks[loop] = loop.create_task(self._watch(rooms))
        try:
            yield room, listener
        finally:
            room.listeners.remove(listener)
            if not room.listeners and rooms.get(project_id) is room:
                del rooms[project_id]

    async def _watch(self, rooms: _Rooms) -> None:
        step = 0
        while rooms:
            await asyncio.sleep(LOOK_SECONDS / _STEPS)
            step += 1
            if not self._closed and step % _STEPS:
                continue
            found = {} if self._closed else await run_in_threadpool(self._look, list(rooms))
            for project_id, room in rooms.items():
                new = found.get(project_id)
                told = frozenset[Subject]() if room.known is None or new is None else changed(room.known, new)
                room.known = new or room.known
                for each in room.listeners if told or self._closed else ():
                    each.tell(told)

    def _look(self, project_ids: Iterable[int]) -> dict[int, Stamp]:
        try:
            with self._database.ask() as connection:
                workers = workers_mark(connection, self._clock())
                return {each: stamp(connection, each, workers) for each in project_ids}
        except SQLAlchemyError as error:  # the database may be away for a moment
            log.warning("What has changed cannot be asked: %s", error)
            return {}


def _event(name: str, subjects: Iterable[Subject]) -> str:
    return f"event: {name}\ndata: {json.dumps({'subjects': list(subjects)})}\n\n"
