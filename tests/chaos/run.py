"""A run: annotators label while strikes fall, until the campaign has come to its end; then what it was is written down."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.annotators import Annotator, Reviewer
from tests.chaos.installation import Installation
from tests.chaos.journal import Journal
from tests.chaos.options import Options, Planned, plan
from tests.chaos.processes import PATIENCE_SECONDS
from tests.chaos.strikes import Striker, Undo

_REST = 30.0
"""Seconds after which the next strike falls though there are not as many labels as it is due with."""
_PAUSE = 1.0
"""Seconds between two strikes that do not fall together."""
_SLACK = 8
"""Labels that may be sent before a strike that is due: then annotators hold on to what they have."""
_ENDED = text(
    "SELECT (SELECT count(*) FROM rounds WHERE project_id = :project AND state <> 'told' AND coalesce(strategy, '') <> 'gold'),"
    " (SELECT count(*) FROM jobs WHERE project_id = :project AND state IN ('queued', 'running')),"
    " (SELECT count(*) FROM jobs WHERE project_id = :project AND kind = 'finish' AND state = 'done'),"
    " (SELECT count(*) FROM jobs WHERE project_id = :project AND state = 'failed'),"
    " (SELECT count(*) + sum(progress) FROM jobs WHERE project_id = :project)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A strike that fell, when, and when it was undone, by the clock that only goes forward."""

    planned: Planned
    at: float
    undone: float


@dataclass(kw_only=True)
class Course:
    """What became of a run."""

    begun: float
    ended: float = 0.0
    finished: bool = False  # the campaign came to its end
    struck: list[Struck] = field(default_factory=list)
    crashes: list[float] = field(default_factory=list)
    stumbles: list[str] = field(default_factory=list)  # of strikes themselves


class Run:
    """One run over an installation that has started."""

    def __init__(self, installation: Installation, say: Callable[[str], None]) -> None:
        self._at, self._say = installation, say
        self.options: Options = installation.options
        self.journal, self.striker = Journal(), Striker(installation)
        self._stopped = threading.Event()
        self._engine = create_engine(installation.url, pool_size=1, pool_pre_ping=True)
        self._undos: list[tuple[float, Undo, Planned, float]] = []
        self._said = self._worked = self._last_struck = 0.0

    def play(self) -> Course:
        """Have everything happen. Returns once the campaign has ended, or is given up."""
        course = Course(begun=time.monotonic())
        people = [threading.Thread(target=each, daemon=True) for each in self._people()]
        for each in people:
            each.start()
        try:
            self._strike_until_the_end(course)
        finally:
            self._stopped.set()
            for each in people:
                each.join(timeout=60)
            self._engine.dispose()
        course.ended, course.crashes = time.monotonic(), self.striker.crashes
        return course

    def _people(self) -> list[Callable[[], None]]:
        at = self._at
        people: list[Callable[[], None]] = [
            Annotator(
                id=id,
                token=token,
                servers=at.servers,
                project=at.project,
                truth=at.truth,
                journal=self.journal,
                chance=self.options.chance("annotator", id),
                stopped=self._stopped,
            ).run
            for id, token in at.tokens.items()
        ]
        if self.options.reviewed:
            people.append(
                Reviewer(
                    token=at.reviewer_token,
                    servers=at.servers,
                    project=at.project,
                    journal=self.journal,
                    chance=self.options.chance("reviewer"),
                    stopped=self._stopped,
                ).run
            )
        return people

    def _strike_until_the_end(self, course: Course) -> None:
        due = plan(self.options, self.striker.kinds)
        moved = self._last_struck = time.monotonic()
        seen: tuple[float, ...] = ()
        while True:
            now = time.monotonic()
            self._undo(now, course)
            self._at.tend()
            if now > course.begun + 60 * self.options.minutes:
                due.clear()
            if due and self._is_time(due[0], course, now):
                self._strike(due.pop(0))
            self.journal.allowed = due[0].after + _SLACK if due else float("inf")
            if not due and not self._undos and self._at_its_end():
                course.finished = True
                return
            progress = (self.journal.labelled, len(due), self._worked)
            if progress != seen:
                seen, moved = progress, now
            if now > moved + PATIENCE_SECONDS:
                self._undo(float("inf"), course)
                return
            self._report(now, course, len(due))
            time.sleep(0.1)

    def _is_time(self, planned: Planned, course: Course, now: float) -> bool:
        """Whether the next strike is to fall: enough is labelled and regions are given again, or all is at rest too long."""
        if now > self._last_struck + _REST:
            return True
        given = not course.struck or self.journal.given_since(course.struck[-1].undone)
        mended = given and not self._undos and now > self._last_struck + _PAUSE
        return self.journal.labelled >= planned.after and (mended or (planned.at_once and len(self._undos) < 2))

    def _strike(self, planned: Planned) -> None:
        at = self._last_struck = time.monotonic()
        undo = self.striker.strike(planned)
        self._undos.append((at + planned.seconds, undo, planned, at))

    def _undo(self, now: float, course: Course) -> None:
        for each in [each for each in self._undos if each[0] <= now]:
            self._undos.remove(each)
            _, undo, planned, at = each
            undo()
            course.struck.append(Struck(planned=planned, at=at, undone=time.monotonic()))

    def _at_its_end(self) -> bool:
        try:
            with self._engine.connect() as connection:
                found = connection.execute(_ENDED, {"project": self._at.project}).one()
        except SQLAlchemyError:
            return False
        unfinished, pending, finished, failed, self._worked = found
        return bool(failed) or (unfinished == 0 and pending == 0 and finished > 0)

    def _report(self, now: float, course: Course, left: int) -> None:
        if now < self._said + 5:
            return
        self._said = now
        last = f", last: {course.struck[-1].planned.what}" if course.struck else ""
        labels, wanted = self.journal.labelled, self.options.labels
        without = now - self.journal.given_at[-1] if self.journal.given_at else now - course.begun
        self._say(
            f"{now - course.begun:6.0f} s  {labels} of {wanted} labels  {len(course.struck)} strikes, {left} to come{last}"
            f"  (no region for {without:.1f} s, {self.journal.unanswered} unanswered)"
        )
