"""How far a long work is, for whoever started it: a bar on a terminal, elsewhere a line at least every ten seconds."""

import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

EVERY_SECONDS = 10.0


class Pace:
    """How long the rest of a work takes, at the pace of what was seen of it: a work that goes on did its first part before."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def seconds_left(self, done: float, total: float | None, now: float) -> float | None:
        """None where nothing is known of it yet. `now` is in seconds."""
        if self._first is None:
            self._first = self._last = (done, now)
        if done != self._last[0]:
            self._last = (done, now)
        (before, began), (_, told) = self._first, self._last
        if total is None or done <= before or told <= began:
            return None
        rest = max(0.0, total - done) / (done - before)
        # What has gone by since it was heard of last is gone from the rest, too, unless it takes longer than ever.
        left = rest * (told - began) - (now - told)
        return left if left >= 0 else rest * (now - began)


class Progress:
    """Counts `unit`s up to `total`, where that is known; without a unit it is shares of one, and shows percents.

    Lines go on between updates, and on stderr, which leaves the standard output to results.
    """

    def __init__(
        self,
        title: str,
        *,
        total: float | None = 1.0,
        unit: str = "",
        console: Console | None = None,
        every: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._console = console or Console(stderr=True)
        self._every, self._clock = every, clock
        self._done, self._text, self._pace = 0.0, "", Pace()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._bars = Bars(TextColumn("{task.description}", markup=False), BarColumn(), console=self._console)
        self._bar = self._bars.add_task(title, total=total)
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._began = self._clock()
        if self._console.is_terminal:
            self._bars.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._over.set()
        self._thread.join()
        if self._console.is_terminal:
            self._bars.stop()
        if kind is None:
            self._print(f"{self._title}: {self._count()}, in {spelled(self._clock() - self._began)}")

    def update(self, done: float, text: str = "") -> None:
        """So much is done; `text` says what is being done."""
        with self._lock:
            self._done, self._text = done, text
            self._pace.seconds_left(done, self._total, self._clock())
        if self._console.is_terminal:
            self._bars.update(self._bar, completed=done, description=self.line())

    def advance(self, by: float = 1.0, text: str = "") -> None:
        """So much more is done."""
        self.update(self._done + by, text)

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        self._print(line)

    def line(self) -> str:
        """All that is known now."""
        with self._lock:
            left = self._pace.seconds_left(self._done, self._total, self._clock())
            parts = [f"{self._title}: {self._count()}"]
            if left is not None and self._done < (self._total or 0):
                parts.append(f"about {spelled(left)} left")
            return ", ".join([*parts, self._text] if self._text else parts)

    def _count(self) -> str:
        if not self._unit:
            return f"{100 * self._done / (self._total or 1.0):.0f} %"
        return (
            f"{self._done:g} {self._unit}" if self._total is None else f"{self._done:g} of {self._total:g} {self._unit}"
        )

    def _tell(self) -> None:
        while not self._over.wait(self._every):
            if self._console.is_terminal:
                self._bars.update(self._bar, description=self.line())
            else:
                self._print(self.line())

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def spelled(seconds: float) -> str:
    """A time as people say it: 12 s, 3 min 5 s, 2 h 10 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
