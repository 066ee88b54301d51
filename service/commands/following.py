"""Jobs of a server as they go on: asked for again while they are under way, and put into tables and lines."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from service.client import Client
from service.commands.tables import table
from service.progress import EVERY_SECONDS, Pace, spelled

UNDER_WAY = ("queued", "running")
Job = dict[str, Any]


class Followed:
    """The jobs of some projects, as they were last seen; those that have ended are not asked for again."""

    def __init__(self, client: Client, projects: Iterable[int]) -> None:
        self._client, self._projects = client, list(projects)
        self.known: dict[int, Job] = {}

    def look(self) -> None:
        """Ask for jobs under way and new ones. Raises ApiError where a project is not there."""
        for project in self._projects:
            own = [job for job in self.known.values() if job["project_id"] == project]
            waiting = [job["id"] for job in own if job["state"] in UNDER_WAY]
            after = min(waiting) - 1 if waiting else max((job["id"] for job in own), default=0)
            for job in self._client.pages(f"/projects/{project}/jobs", after=after):
                self.known[job["id"]] = job

    def under_way(self) -> set[int]:
        """Numbers of the jobs that have not ended."""
        return {number for number, job in self.known.items() if job["state"] in UNDER_WAY}

    def newest(self, limit: int) -> list[Job]:
        """So many of each project, in order of their numbers."""
        chosen: list[Job] = []
        for project in self._projects:
            own = [job for _, job in sorted(self.known.items()) if job["project_id"] == project]
            chosen += own[-limit:]
        return chosen


class Lines:
    """A line for a job when its state changes, and while it is under way at least every ten seconds."""

    def __init__(self, clock: Callable[[], float], every: float = EVERY_SECONDS) -> None:
        self._clock, self._every = clock, every
        self._said: dict[int, tuple[str, float]] = {}
        self._paces: dict[int, Pace] = {}

    def due(self, jobs: Iterable[Job]) -> list[str]:
        """The lines to be said now."""
        found, now = [], self._clock()
        for job in jobs:
            number, state = job["id"], job["state"]
            pace = self._paces.setdefault(number, Pace())
            left = pace.seconds_left(job["progress"], 1.0, now) if state == "running" else None
            before, at = self._said.get(number, ("", now))
            if state != before or (state in UNDER_WAY and now - at >= self._every):
                self._said[number] = (state, now)
                found.append(_line(job, left))
        return found


def _line(job: Job, left: float | None) -> str:
    parts = [f"Job {job['id']}, {job['kind']} of project {job['project_id']}: {job['state']}"]
    if job["state"] == "running":
        parts.append(f"{100 * job['progress']:.0f} %")
    if left is not None:
        parts.append(f"about {spelled(left)} left")
    return ", ".join([*parts, *([_said_of(job)] if _said_of(job) else [])])


def _said_of(job: Job) -> str:
    said = job["error"] if job["state"] == "failed" else job.get("warning")  # an earlier release knows no warnings
    return str(said or job["message"])


def job_table(jobs: Iterable[Job]) -> Table:
    """One row for each job."""
    rows = table("job", "project", "kind", "state", "done", "what it is doing, or why it failed")
    for job in jobs:
        state = "stopping" if job["state"] == "running" and job["cancel_requested"] else job["state"]
        done = f"{100 * job['progress']:.0f} %"
        rows.add_row(str(job["id"]), str(job["project_id"]), job["kind"], state, done, Text(_said_of(job) or "-"))
    return rows
