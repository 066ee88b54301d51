"""Rows of work: jobs, and the machines that take them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.tables.base import NUMBERED_ONCE, Base, Key


class Job(Base):
    """A long piece of work; the broker only wakes workers up to it."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("project_id", "dedup_key"),
        Index(None, "state", "heartbeat_at"),
        Index(None, "project_id", "kind", "state"),
        Index(None, "finished_at"),
        NUMBERED_ONCE,
    )
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))  # one of domain.job_kinds
    dedup_key: Mapped[str | None] = mapped_column(String(100))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), default="queued")  # queued, running, done, failed, cancelled
    progress: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    lock: Mapped[str | None] = mapped_column(String(40))  # names the delivery that owns the job now
    worker: Mapped[str | None] = mapped_column(String(255))  # the name of the process that took it last
    due_at: Mapped[datetime | None]  # not before; for a job that waits after a failure
    # How often it has waited in a row for what is not its own fault
    postponed: Mapped[int] = mapped_column(default=0, server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    sent_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    request_id: Mapped[str | None] = mapped_column(
        String(64)
    )  # of the request that queued it, by itself or by another job


class JobLine(Base):
    """A line of a job's log: what it said while it went on."""

    __tablename__ = "job_lines"
    __table_args__ = (Index(None, "job_id", "id"), NUMBERED_ONCE)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    at: Mapped[datetime]
    level: Mapped[str] = mapped_column(String(10))  # info, warning, error
    text: Mapped[str] = mapped_column(Text)


class WorkerHost(Base):
    """A worker's process: that it is alive, what it does, and what it lacks of what is optional.

    The release before wrote one row for a machine, without host, pid, seen_at and job_id.
    """

    __tablename__ = "workers"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    host: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[int | None]
    queues: Mapped[str | None] = mapped_column(String(100))  # with commas between them; without any, all
    missing: Mapped[dict[str, Any]]  # by prefixes of segmenters' names, how to get them
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    job_id: Mapped[int | None] = mapped_column(BigInteger)  # which it is at; no foreign key, for jobs are deleted
