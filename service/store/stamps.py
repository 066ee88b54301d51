"""What of a project has changed since somebody looked last, by statements that stay cheap with a million regions and labels."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, func, select

from service.domain.job_kinds import JOB_KINDS
from service.store.workers import is_alive
from service.tables import Checkpoint, Event, ImageGroup, Job, JobLine, Project, Region, Round, WorkerHost

Subject = Literal["project", "rounds", "regions", "jobs", "workers"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)

_NEWEST_EVENTS = 100
_BY_EVENT: Mapping[str, frozenset[Subject]] = {
    "project": frozenset({"project"}),
    "member": frozenset({"project"}),
    "image": frozenset({"project", "regions"}),
    "images": frozenset({"project", "regions"}),
    "classes": frozenset({"project", "rounds", "regions"}),
    "region": frozenset({"project", "regions"}),
    "label": frozenset({"project", "regions"}),
    "labels": frozenset({"project", "regions"}),
    "checkpoint": frozenset({"project", "regions"}),
    "round": frozenset({"project", "rounds", "regions"}),
    "job": frozenset({"jobs"}),
}
"""What an event is about, by the first word of its kind. Of others nothing is known: anything may have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What is like this is as it was: by subject, whatever changes with it, and the newest events' kinds by their numbers."""

    marks: Mapping[Subject, Hashable]
    events: Mapping[int, str]


def changed(before: Stamp, after: Stamp) -> frozenset[Subject]:
    """The subjects that have changed between two looks."""
    found = {subject for subject in SUBJECTS if before.marks[subject] != after.marks[subject]}
    # Which numbers are new, and not the highest: that of an event may be lower which is committed later.
    new = [kind for number, kind in after.events.items() if number not in before.events]
    if len(new) == _NEWEST_EVENTS:
        return frozenset(SUBJECTS)  # there are more of them than were looked at
    for kind in new:
        found |= _BY_EVENT.get(kind.partition("_")[0], frozenset(SUBJECTS))
    return frozenset(found)


def workers_mark(connection: Connection, now: datetime) -> Hashable:
    """What changes with the workers and what they are at; that they are heard of is no change."""
    hosts = select(WorkerHost.id, WorkerHost.started_at, WorkerHost.queues, is_alive(now), WorkerHost.job_id)
    at = hosts.add_columns(Job.state, Job.progress, Job.message).join(Job, Job.id == WorkerHost.job_id, isouter=True)
    return _rows(connection, at.order_by(WorkerHost.id))


def stamp(connection: Connection, project_id: int, workers: Hashable) -> Stamp:
    """How a project is now; `workers` is the mark of `workers_mark`."""
    rounds = _counts(connection, Round, project_id)
    jobs = (_counts(connection, Job, project_id), _at_work(connection, project_id))
    seen = _rows(connection, select(func.max(Checkpoint.id)).where(Checkpoint.project_id == project_id))
    waiting = _counts(connection, Region, project_id, Region.state.in_(("open", "review")))
    images = select(ImageGroup.id, ImageGroup.count).where(ImageGroup.project_id == project_id).order_by(ImageGroup.id)
    own = _rows(connection, select(Project.name, Project.active).where(Project.id == project_id))
    events = select(Event.id, Event.kind).where(Event.project_id == project_id).order_by(Event.id.desc())
    return Stamp(
        marks={
            "project": (own, _rows(connection, images), rounds, seen, waiting),
            "rounds": rounds,
            "regions": (waiting, seen),
            "jobs": jobs,
            "workers": workers,
        },
        events={row.id: row.kind for row in connection.execute(events.limit(_NEWEST_EVENTS))},
    )


def _counts(
    connection: Connection, table: type[Round | Job | Region], project_id: int, *such: Any
) -> tuple[tuple[Any, ...], ...]:
    chosen = select(table.state, func.count()).where(table.project_id == project_id, *such)
    return _rows(connection, chosen.group_by(table.state).order_by(table.state))


def _at_work(connection: Connection, project_id: int) -> Hashable:
    """What is said of the jobs that have not ended, but for when their workers were heard of."""
    said = select(Job.id, Job.state, Job.progress, Job.message, Job.error, Job.attempt, Job.due_at)
    # With the kinds named, the index leads to them alone.
    under_way = said.add_columns(Job.cancel_requested).where(
        Job.project_id == project_id, Job.kind.in_(JOB_KINDS), Job.state.in_(("queued", "running"))
    )
    jobs = _rows(connection, under_way.order_by(Job.id))
    lines = select(func.max(JobLine.id)).where(JobLine.job_id.in_([each[0] for each in jobs]))
    return jobs, _rows(connection, lines) if jobs else ()


def _rows(connection: Connection, chosen: Select[*tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in connection.execute(chosen))
