"""What is done to an installation, and how it is undone: each strike has a name, and leaves something broken for a while."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tests.chaos.disk import Disk
from tests.chaos.installation import Installation
from tests.chaos.options import Planned
from tests.chaos.processes import Process

Undo = Callable[[], None]
_SHIFTS = (-3600, -300, 120, 900, 7200)  # seconds by which the clock is moved


def _nothing() -> None:
    """What has mended itself needs no undoing."""


class Striker:
    """Knows every kind of strike that an installation can be struck by here."""

    def __init__(self, installation: Installation) -> None:
        self._at = installation
        # When PostgreSQL lost what it had not written yet, by the clock that only goes forward.
        self.crashes: list[float] = []
        every: dict[str, Callable[[random.Random], Undo]] = {
            "API killed": lambda chance: self._killed(chance.choice(self._at.apis)),
            "API asked to end": lambda chance: self._asked_to_end(chance.choice(self._at.apis)),
            "API halted": lambda chance: self._halted(chance.choice(self._at.apis)),
            "connections of annotators cut": self._cut,
            "answers to annotators cut": self._torn,
            "clock moved": self._clock_moved,
            "disk of the blobs full": lambda chance: self._filled(self._at.disk),
        }
        if not installation.options.embedded:
            every |= {
                "worker and its child killed": lambda chance: self._killed(chance.choice(self._at.workers)),
                "worker killed, its child left": self._orphaned,
                "worker's child killed": self._child_killed,
                "worker asked to end": lambda chance: self._asked_to_end(chance.choice(self._at.workers)),
                "worker's child halted": self._child_halted,
                "both workers killed": lambda chance: _both(*map(self._killed, self._at.workers)),
                "both APIs killed": lambda chance: _both(*map(self._killed, self._at.apis)),
                "Redis killed": self._redis_killed,
                "Redis forgets all": self._redis_forgets,
                "PostgreSQL restarted": lambda chance: self._postgresql_down(crash=False),
                "PostgreSQL crashed": lambda chance: self._postgresql_down(crash=True),
                "process of PostgreSQL killed": self._backend_killed,
                "connections of PostgreSQL ended": self._connections_ended,
                "disk of PostgreSQL full": self._postgresql_filled,
            }
        else:
            every["disk of the database and the blobs full"] = every.pop("disk of the blobs full")
        self.left_out = {kind: why for kind in every if (why := self._missing(kind))}
        self._kinds = {kind: strike for kind, strike in every.items() if kind not in self.left_out}

    @property
    def kinds(self) -> list[str]:
        """The names of what can be done here."""
        return sorted(self._kinds)

    def strike(self, planned: Planned) -> Undo:
        """Do it; returns what undoes it."""
        return self._kinds[planned.what](random.Random(planned.draw))

    def _missing(self, kind: str) -> str:
        if kind.startswith("disk"):
            return self._at.disk.missing
        return self._at.clock.missing if kind.startswith("clock") else ""

    def _killed(self, process: Process) -> Undo:
        process.kill()
        return process.start

    def _asked_to_end(self, process: Process) -> Undo:
        process.stop()
        return process.start

    def _halted(self, process: Process) -> Undo:
        process.send(signal.SIGSTOP)
        return lambda: process.send(signal.SIGCONT)

    def _orphaned(self, chance: random.Random) -> Undo:
        worker = chance.choice(self._at.workers)
        worker.kill(children=False)
        return worker.start

    def _child_killed(self, chance: random.Random) -> Undo:
        chance.choice(self._at.workers).send(signal.SIGKILL, parent=False)
        return _nothing

    def _child_halted(self, chance: random.Random) -> Undo:
        """Long enough that its job is given to another: it must find that out when it goes on."""
        worker = chance.choice(self._at.workers)
        worker.send(signal.SIGSTOP, parent=False)
        return lambda: worker.send(signal.SIGCONT, parent=False)

    def _cut(self, chance: random.Random) -> Undo:
        for proxy in self._at.proxies:
            proxy.cut()
        return _nothing

    def _torn(self, chance: random.Random) -> Undo:
        share = chance.choice((0.2, 0.5, 0.9))
        for proxy in self._at.proxies:
            proxy.tear(share)
        return _both(*(partial(proxy.tear, 0.0) for proxy in self._at.proxies))

    def _clock_moved(self, chance: random.Random) -> Undo:
        """Moved for good: the next move goes on from here, as far as the clock does not run away."""
        shift = self._at.clock.shift + chance.choice(_SHIFTS)
        self._at.clock.move(shift if abs(shift) < 4 * 3600 else 0)
        return _nothing

    def _filled(self, disk: Disk) -> Undo:
        disk.fill()
        return disk.free

    def _redis_killed(self, chance: random.Random) -> Undo:
        redis = self._at.redis
        assert redis is not None
        return self._killed(redis.process)

    def _redis_forgets(self, chance: random.Random) -> Undo:
        assert self._at.redis is not None
        self._at.redis.forget()
        return _nothing

    def _postgresql_down(self, *, crash: bool) -> Undo:
        postgresql = self._at.postgresql
        assert postgresql is not None
        if crash:
            self.crashes.append(time.monotonic())
            postgresql.process.kill()
        else:
            postgresql.stop(crash=False)
        return postgresql.start

    def _backend_killed(self, chance: random.Random) -> Undo:
        """PostgreSQL ends all its connections then, and goes on from what it had written."""
        assert self._at.postgresql is not None
        if backends := self._at.postgresql.backends():
            self.crashes.append(time.monotonic())
            with suppress(ProcessLookupError):
                os.kill(chance.choice(backends), signal.SIGKILL)
        return _nothing

    def _connections_ended(self, chance: random.Random) -> Undo:
        assert self._at.postgresql is not None
        self._at.postgresql.end_connections(chance.choice((0.3, 1.0)))
        return _nothing

    def _postgresql_filled(self, chance: random.Random) -> Undo:
        """It may stop working for that, and is then started again once there is room, or before."""
        disk = self._at.database_disk
        assert disk is not None
        self.crashes.append(time.monotonic())
        disk.fill()

        def undo() -> None:
            self.crashes.append(time.monotonic())
            disk.free()

        return undo


def _both(*undos: Undo) -> Undo:
    def undo() -> None:
        for each in undos:
            each()

    return undo
