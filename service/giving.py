"""What `GET /next-regions` answers: regions, or why there are none; and how it waits until there is one."""

import asyncio
import logging
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from service import access, auth
from service.auth import Caller
from service.db import Database
from service.desk import Desk
from service.lease_proofs import LeaseProofs
from service.schemas.regions import LeasedRegion, NextRegions, Reason, leased_region
from service.store import gold, leases, rounds
from service.store.gold import Asker
from service.store.lease_caps import holds_all_it_may
from service.store.leases import Held
from service.store.offers import who_may_have
from service.store.pauses import pause_reason
from service.store.projects import campaign, get_project
from service.store.settling import settle_those_left
from service.store.stalled import stalled_projects
from service.store.waiting import waiting_reason

log = logging.getLogger(__name__)

RETRY_AFTER = {
    "scoring": 1,
    "held": 1,
    "all_leased": 5,
    "in_review": 30,
    "not_started": 10,
    "failed": 30,
    "paused": 60,
    "budget_reached": 60,
    "pool_empty": 60,
}
_PASSING: frozenset[Reason] = frozenset({"scoring", "held", "all_leased", "in_review", "not_started"})
BELIEVED_SECONDS = 0.5
MOST_WAITS = 4
"""Requests of one caller that wait at a time: none of their connections is closed for another one."""
_LOOK_SECONDS = 0.05


class Giving:
    """Gives regions to callers. One of an application; it keeps no more than why there was nothing a moment ago."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._nothing: dict[int, tuple[float, NextRegions]] = {}  # by project: until when it is believed, and why
        self._bell = Bell(database, clock)
        self._waits = Counter[int]()  # by caller

    async def answer(
        self, desk: Desk, caller: Caller, project: int | None, count: int, *, wait: float, gone: Callable[[], bool]
    ) -> NextRegions:
        """Regions for the caller; where there are none for what may pass soon, as soon as there are, `wait` seconds at most.

        Nothing is given to a caller who is `gone` by then. Raises Unauthorized and NotFound for one who was shut out meanwhile.
        """
        until = time.monotonic() + wait
        while True:
            now = desk.now if until - time.monotonic() >= wait else self._clock()
            number, given = await desk.clerks.do(partial(self._take, desk, caller, project, count, now))
            left = until - time.monotonic()
            if given.items or given.reason not in _PASSING or left <= 0:
                return given
            if (
                self._waits[caller.id] >= MOST_WAITS
                or not await self._waited(caller.id, number, left, until - wait)
                or gone()
            ):
                return given
            caller = await run_in_threadpool(auth.caller_again, desk.database, caller, self._clock())

    async def _waited(self, caller_id: int, project_id: int, seconds: float, since: float) -> bool:
        self._waits[caller_id] += 1
        try:
            return await self._bell.wait(project_id, caller_id, seconds, since=since)
        finally:
            self._waits[caller_id] -= 1

    def close(self) -> None:
        """Let nobody wait any more."""
        self._bell.close()

    def _take(
        self, desk: Desk, caller: Caller, project: int | None, count: int, now: datetime
    ) -> tuple[int, NextRegions]:
        """The project's number, and what there is for the caller."""
        among = access.projects_of(caller)
        idle = self._idle(desk, caller, project, now)
        if idle is not None:
            return idle
        # A lease that a dying machine forgets within a moment of giving it costs its label, which is refused with a sentence.
        with desk.database.write(durable=False, alone=caller.id) as session:
            number = _named(caller, project) or campaign(session, project, among).id
            asker, minutes = _asker(caller, number, count, desk.proofs), desk.settings.lease_minutes
            held = gold.claim(session, number, asker, now=now, default_minutes=minutes)
        if held:
            items = [_leased(each, desk.proofs) for each in held]
            return number, NextRegions(items=items, reason=None, retry_after=None)
        if number in caller.paused:
            return number, _paused(desk, caller.id, number)
        with desk.database.write() as session:
            chosen = campaign(session, project, among)
            why = _why(session, chosen.id, now)
            at_cap = holds_all_it_may(session, chosen, caller.id, now)
        self._nothing[chosen.id] = (time.monotonic() + BELIEVED_SECONDS, why)
        return chosen.id, _HELD if at_cap else why

    def _idle(self, desk: Desk, caller: Caller, project: int | None, now: datetime) -> tuple[int, NextRegions] | None:
        """What was said a moment ago, if there is still nothing for the caller: who asks again costs no writing."""
        only = _named(caller, project)
        until, why = self._nothing.get(only or 0, (0.0, _HELD))
        if time.monotonic() >= until or only in caller.paused:
            return None
        with desk.database.read() as session:
            chosen = campaign(session, project, access.projects_of(caller))
            if chosen.id != only or (chosen.active and leases.is_any(session, chosen.id, caller.id, now)):
                return None
            if only in caller.tested and gold.holds_any(session, chosen.id, caller.id, now):
                return None
            return chosen.id, _HELD if holds_all_it_may(session, chosen, caller.id, now) else why


class Bell:
    """Rings for those who wait for a region of a project: whoever made it, in this process or another, the rows say so."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiting] = WeakKeyDictionary()
        self._closed = False

    async def wait(self, project_id: int, caller_id: int, seconds: float, *, since: float) -> bool:
        """Wait until it may be this one's turn; False where the time was over before, or nobody may wait any more.

        Turns go by `since` when they wait: who was called, and found that somebody else had been faster, is called next.
        """
        if self._closed:
            return False
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(loop, {})
        turn = _Waiter(since=since, caller_id=caller_id, turn=loop.create_future())
        line = waiting.setdefault(project_id, [])
        insort(line, turn, key=lambda each: each.since)
        if sum(map(len, waiting.values())) == 1:
            turn.turn.add_done_callback(_kept(loop.create_task(self._watch(waiting))))
        try:
            return await asyncio.wait_for(turn.turn, seconds)
        except TimeoutError:
            return False
        finally:
            if turn in line:
                line.remove(turn)
            if not line and waiting.get(project_id) is line:  # not that of others, who came meanwhile
                del waiting[project_id]

    def close(self) -> None:
        """Send everybody away."""
        self._closed = True

    async def _watch(self, waiting: "_Waiting") -> None:
        while waiting:
            await asyncio.sleep(_LOOK_SECONDS)
            for project_id, line in list(waiting.items()):
                called = list(line) if self._closed else await run_in_threadpool(self._called, project_id, list(line))
                for each in called:
                    if each in line:
                        line.remove(each)
                    if not each.turn.done():
                        each.turn.set_result(not self._closed)

    def _called(self, project_id: int, line: "Sequence[_Waiter]") -> "list[_Waiter]":
        """Those whose turn it is: the first, as many as regions are free for anybody, and those for whom another one is."""
        now = self._clock()
        try:
            with self._database.ask() as connection:
                free = leases.count_free(connection, project_id, now, len(line))
                rest = line[free:]
                for_some = who_may_have(connection, project_id, [each.caller_id for each in rest], now) if rest else ()
        except SQLAlchemyError as error:  # the database may be away for a moment
            log.warning("Whether a region of project %s is free cannot be asked: %s", project_id, error)
            return []
        return [*line[:free], *(each for each in rest if each.caller_id in for_some)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiter:
    """A request that waits, since when, and whose."""

    since: float
    caller_id: int
    turn: asyncio.Future[bool]


_Waiting = dict[int, list[_Waiter]]
_HELD = NextRegions(items=[], reason="held", retry_after=RETRY_AFTER["held"])


def _named(caller: Caller, project: int | None) -> int | None:
    """The project that is meant, if that is known without asking: named by a member or an admin, or a member's only one."""
    among = access.projects_of(caller)
    if project is None:
        return next(iter(among)) if among is not None and len(among) == 1 else None
    return project if among is None or project in among else None


def _asker(caller: Caller, project_id: int, count: int, proofs: LeaseProofs) -> Asker:
    return Asker(
        annotator_id=caller.id,
        count=count,
        paused=project_id in caller.paused,
        tested=project_id in caller.tested,
        # Admins of the server who are no members are not tested.
        is_due=proofs.is_due if project_id in caller.memberships else None,
    )


def _paused(desk: Desk, annotator_id: int, project_id: int) -> NextRegions:
    with desk.database.read() as session:
        reason = pause_reason(session, project_id, annotator_id)
    sentence = f"{reason} No more regions are given to you: ask an admin of the project to let you go on.".strip()
    return NextRegions(items=[], reason="paused", retry_after=RETRY_AFTER["paused"], sentence=sentence)


def _kept(task: asyncio.Task[None]) -> Callable[[object], object]:
    """Something that refers to a task: nothing else does, and it must not be collected while it runs."""
    return lambda _: task


def _why(session: Session, project_id: int, now: datetime) -> NextRegions:
    """Why there is nothing to give; what nobody is left for is decided, and the next round is proposed if it is time."""
    project = get_project(session, project_id)
    settle_those_left(session, project_id, now)
    rounds.advance(session, project, now)
    session.flush()
    failed = next((each for each in stalled_projects(session, project.id) if each.failed), None)
    if failed is None:
        reason = waiting_reason(session, project)
        return NextRegions(items=[], reason=reason, retry_after=RETRY_AFTER[reason])
    sentence = (
        f"{failed.kind} of round {failed.round} failed: {failed.sentence} An admin may try it again or close the round."
    )
    return NextRegions(
        items=[], reason="failed", retry_after=RETRY_AFTER["failed"], job_id=failed.job_id, sentence=sentence
    )


def _leased(held: Held, proofs: LeaseProofs) -> LeasedRegion:
    lease = held.lease
    return leased_region(held.placed, lease, proofs.token(lease.id, lease.region_id, lease.annotator_id))
