"""Shows how far a run and its works are: bars on a terminal, elsewhere a line for every work that ends."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import mean

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from service.progress import spelled
from workers.runs.works import Work

# Works that were in the cache end at once, and tell nothing of how long the others take.
CACHED_SECONDS = 1.0


class Board:
    """Is told by several threads what works do."""

    def __init__(
        self,
        console: Console,
        works: Sequence[Work],
        at_once: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`at_once` tells how many works go on at the same time."""
        self._console, self._at_once, self._clock = console, at_once, clock
        self._left = {work.title: work for work in works}
        self._all = len(works)
        self._begun: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._overall = self._progress.add_task(self._summary(), total=self._all)

    def __enter__(self) -> "Board":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, title: str, done: float, text: str) -> None:
        """A work is so far, in [0, 1]; anything of a work that has ended is late, and left out."""
        with self._lock:
            if title not in self._left:
                return
            self._begun.setdefault(title, self._clock())
            self._done[title] = done
            if title not in self._bars:
                self._bars[title] = self._progress.add_task(escape(title), total=1.0)
            self._progress.update(self._bars[title], completed=done, description=escape(text))
            self._progress.update(self._overall, description=self._summary())

    def end(self, work: Work, error: str | None = None) -> None:
        """A work has ended, well or by an error."""
        with self._lock:
            self._left.pop(work.title, None)
            self._done.pop(work.title, None)
            seconds = self._clock() - self._begun.get(work.title, self._clock())
            if error is None and seconds >= CACHED_SECONDS:
                self._seconds[work.stage].append(seconds)
            if work.title in self._bars:
                self._progress.remove_task(self._bars.pop(work.title))
            self._progress.update(self._overall, completed=self._all - len(self._left), description=self._summary())
            how = f"done in {spelled(seconds)}" if error is None else error
            if error is not None or not self._console.is_terminal:
                style = None if error is None else "red"
                line = f"{work.title}: {how} ({self._summary()})"
                self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def seconds_left(self) -> float | None:
        """About how long the rest takes, from how long works of each stage took; None before the first has ended."""
        known = [seconds for each in self._seconds.values() for seconds in each]
        if not known:
            return None
        rest = 0.0
        for title, work in self._left.items():
            typical = mean(self._seconds[work.stage]) if self._seconds.get(work.stage) else mean(known)
            rest += typical * (1 - self._done.get(title, 0.0))
        return rest / max(1, min(self._at_once(), len(self._left)))

    def _summary(self) -> str:
        text = f"{self._all - len(self._left)} of {self._all} works"
        left = self.seconds_left()
        return text if left is None or not self._left else f"{text}, about {spelled(left)} left"
