"""What the commands that look at a server show of it, and that a job under way is spoken of until it ends."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import pytest
from rich.console import Console

from service.client import Client
from service.commands.following import Followed, Lines, job_table
from service.db import Database
from service.store import jobs as store
from service.store import projects as projects_store
from service.store import rounds as rounds_store
from service.tables import Job, Project
from tests.conftest import START, FakeClock, at_revision
from tests.maker import Maker
from tests.service.commands.conftest import Run


def cells(out: str) -> list[list[str]]:
    """The rows of the table that was printed."""
    return [re.split(r" {2,}", line.strip()) for line in out.partition("──")[2].splitlines()[1:] if line.strip()]


def queued(database: Database, project: Project, kind: Any = "pretrain") -> int:
    with database.write() as session:
        return store.queue_job(session, project_id=project.id, kind=kind, payload={}, now=START).id


def running(database: Database, job: int) -> None:
    with database.write() as session:
        assert store.claim_job(session, job, now=START, stale_after=timedelta(minutes=2)) is not None


def change(database: Database, job: int, **values: Any) -> None:
    with database.write() as session:
        row = session.get_one(Job, job)
        for name, value in values.items():
            setattr(row, name, value)


def test_status_says_the_server_its_release_and_how_far_projects_are(
    run: Run, asked: tuple[str, ...], make: Maker, address: str
) -> None:
    project = make.project(budget=240)
    make.checkpoint(project, "segmenter")
    make.round_(project, make.images(project, 1), regions=2)
    ended = run("status", *asked)
    assert ended.out.splitlines()[0] == f"{address}: regionwise {version('regionwise')}, ready, with the worker inside"
    assert cells(ended.out) == [["1", "streets", "0 done, 1 going on", "0", "238", "-", "shipped", "-"]]


def test_status_says_what_a_policy_saved_and_that_a_project_is_paused(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    project = make.project()
    make.checkpoint(project, "segmenter")
    policy = make.checkpoint(project, "policy")
    saved = {"miou": 50.0, "random_cells": 384.0, "cells": 230.4, "share": 0.4, "low": 0.2, "high": 0.5}
    with database.write() as session:
        row = session.get_one(type(policy), policy.id)
        row.description = {"winner": "own", "compared": {"areas": {"own": 50.0}}, "saved": saved}
        session.get_one(Project, project.id).active = False
    (found,) = cells(run("status", *asked).out)
    assert found[1] == "streets (paused)"
    assert found[-1] == "40 % of random's"


def test_status_says_that_a_server_is_not_ready_and_where_that_is_explained(
    run: Run, asked: tuple[str, ...], address: str, database: Database
) -> None:
    with at_revision(database, "0001"):
        said = run("status", *asked).out.splitlines()[0]
    assert said.endswith(f"not ready: see {address}/readyz (503)")


def test_status_says_what_holds_up_learning(run: Run, asked: tuple[str, ...], make: Maker, database: Database) -> None:
    with database.write() as session:
        job = store.queue_job(session, project_id=make.project().id, kind="tell", now=START)
        job.state = "failed"
    said = run("status", *asked).out.splitlines()[0]
    assert ", degraded: jobs: Given up: job 1 (tell) of project 1." in said


def test_a_warning_of_a_round_is_shown(
    run: Run, asked: tuple[str, ...], make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.project()
    found = projects_store.standing
    monkeypatch.setattr(projects_store, "standing", lambda *given: replace(found(*given), warning="mIoU fell."))
    assert run("status", *asked).out.splitlines()[-1] == "streets: mIoU fell."


def test_an_earlier_release_that_does_not_say_which_it_is_answers_too(
    run: Run, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "call", lambda self, method, path: {"status": "ok"})
    assert run("open", "--server", address).out.splitlines()[0].endswith("regionwise of an earlier release")


def test_projects_are_listed_with_their_settings(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    make.project("[b]streets", strategy="entropy", budget=48)
    (found,) = cells(run("projects", *asked).out)
    assert found[:7] == ["1", "[b]streets", "active", "11", "efficientnet-lite0", "entropy", "48"]


def test_jobs_say_how_far_they_are_and_why_they_failed(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    first, second = make.project("a"), make.project("b")
    change(database, queued(database, first), state="failed", error="There is [no] image.", progress=0.25)
    change(database, queued(database, second), state="running", progress=0.4, message="Epoch 12")
    assert cells(run("jobs", *asked).out) == [
        ["1", "1", "pretrain", "failed", "25 %", "There is [no] image."],
        ["2", "2", "pretrain", "running", "40 %", "Epoch 12"],
    ]
    assert [row[0] for row in cells(run("jobs", "2", *asked).out)] == ["2"]
    assert "There is no project 3" in run("jobs", "3", *asked).err


def test_the_newest_jobs_are_shown(run: Run, asked: tuple[str, ...], make: Maker, database: Database) -> None:
    project = make.project()
    for _ in range(3):
        change(database, queued(database, project), state="done", progress=1.0)
    assert [row[0] for row in cells(run("jobs", "--limit", "2", *asked).out)] == ["2", "3"]


def test_watching_ends_with_the_last_job_and_tells_of_a_failure(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project()
    change(database, queued(database, project), state="failed", error="Long ago.")
    job = queued(database, project)
    steps: Iterator[dict[str, Any]] = iter(
        [
            {"state": "running", "progress": 0.5, "message": "Epoch 1"},
            {"state": "failed", "error": "No images."},
        ]
    )
    monkeypatch.setattr("service.commands.standing.time.sleep", lambda seconds: change(database, job, **next(steps)))
    ended = run("jobs", "--watch", *asked)
    assert ended.code == 1
    said = [line for line in ended.out.splitlines() if line.startswith("Job")]
    assert [line.partition(": ")[2].partition(",")[0] for line in said] == ["queued", "running", "failed"]
    assert said[1].endswith("running, 50 %, Epoch 1")
    assert said[-1].endswith("failed, No images.")
    assert run("jobs", "--watch", *asked).code == 0  # what failed before is not held against it


def test_on_a_terminal_the_table_is_renewed_instead(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queued(database, make.project())
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(
        "service.commands.standing.time.sleep", lambda seconds: change(database, job, state="done", progress=1.0)
    )
    ended = run("jobs", "--watch", *asked)
    assert ended.code == 0
    assert ended.out.index("queued") < ended.out.index("100 %")
    assert f"Job {job}" not in ended.out


def running_job() -> dict[str, Any]:
    """A job a fifth of the way, as the API shows it."""
    return {
        "id": 7,
        "project_id": 1,
        "kind": "pretrain",
        "state": "running",
        "progress": 0.2,
        "message": "",
        "error": None,
    }


def test_lines_come_when_a_state_changes_and_every_ten_seconds_with_the_time_left() -> None:
    now = [0.0]
    lines = Lines(lambda: now[0])
    job = running_job()
    assert lines.due([job]) == ["Job 7, pretrain of project 1: running, 20 %"]
    now[0], job["progress"] = 9.0, 0.29
    assert lines.due([job]) == []
    now[0], job["progress"] = 10.0, 0.3
    assert lines.due([job]) == ["Job 7, pretrain of project 1: running, 30 %, about 1 min 10 s left"]
    now[0], job["state"] = 11.0, "done"
    assert lines.due([job]) == ["Job 7, pretrain of project 1: done"]
    now[0] = 30.0
    assert lines.due([job]) == []


class Pages:
    """A client that notes from where on jobs are asked for."""

    def __init__(self, *looks: list[dict[str, Any]]) -> None:
        self._looks, self.after = iter(looks), list[int]()

    def pages(self, path: str, after: int) -> list[dict[str, Any]]:
        self.after.append(after)
        return next(self._looks)


def test_jobs_that_have_ended_are_not_asked_for_again() -> None:
    def job(number: int, state: str) -> dict[str, Any]:
        return {"id": number, "project_id": 1, "state": state}

    client = Pages(
        [job(1, "done"), job(2, "running"), job(3, "queued")], [job(2, "done"), job(3, "running")], [job(3, "done")], []
    )
    followed = Followed(client, [1])  # type: ignore[arg-type]
    for _ in range(4):
        followed.look()
    assert client.after == [0, 1, 2, 3]
    assert followed.under_way() == set()


def test_a_job_that_was_asked_to_stop_is_shown_as_stopping() -> None:
    job = running_job()
    console = Console(width=120)
    with console.capture() as capture:
        console.print(job_table([{**job, "cancel_requested": True}]))
    assert cells(capture.get())[0][3] == "stopping"


def test_a_job_is_cancelled_at_once_or_at_its_next_step(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database, clock: FakeClock
) -> None:
    project = make.project()
    first, second = queued(database, project), queued(database, project, "evaluate")
    running(database, second)
    assert run("cancel", str(first), *asked).out == f"Job {first}, pretrain, is cancelled.\n"
    assert run("cancel", str(second), *asked).out == f"Job {second}, evaluate, stops at its next step.\n"
    assert "has ended" in run("cancel", str(first), *asked).err
    assert "There is no job 99" in run("cancel", "99", *asked).err


def test_links_are_those_of_the_server_that_was_named(run: Run, address: str) -> None:
    links = [line.split()[0] for line in run("open", "--server", address).out.splitlines()]
    assert links == [f"{address}/", f"{address}/docs", f"{address}/readyz"]


def test_the_version_is_the_distribution_s(run: Run) -> None:
    assert run("--version").out == f"regionwise {version('regionwise')}\n"


def stalled(database: Database, make: Maker) -> int:
    """A project whose first ask has failed; the job's number."""
    project = make.project(batch_size=3)
    make.images(project, 2)
    with database.write() as session:
        rounds_store.advance(session, session.get_one(Project, project.id), START)
        job = session.query(Job).one()
        store.fail_job(session, job, now=START, error="[no] room", max_attempts=3, final=True)
        return job.id


def test_status_says_what_stands_still_and_what_to_type(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    job = stalled(database, make)
    said = run("status", *asked).out.splitlines()[-1]
    assert said == (
        f"streets: stands still, job {job}, ask of round 1, has failed: [no] room "
        f"(regionwise retry {job}, or regionwise close-round 1)"
    )


def test_a_failed_job_is_tried_again_from_the_command_line(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    job = stalled(database, make)
    assert run("retry", str(job), *asked).out.strip() == f"Job {job}, ask, is queued again."
    assert "stands still" not in run("status", *asked).out
    again = run("retry", str(job), *asked)
    assert (again.code, "only a failed or cancelled job" in again.err) == (1, True)


def test_a_round_is_closed_without_its_job_from_the_command_line(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    job = stalled(database, make)
    said = run("close-round", "1", *asked).out.strip()
    assert said == f"Round 1 is closed. Closed without its ask (job {job}): [no] room"
    assert "stands still" not in run("status", *asked).out
