"""A training gives way soon to the choosing of regions for which annotators wait."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import update

from service.store.jobs import queue_job
from service.tables import Job
from tests.conftest import START
from tests.workers.conftest import Rectangles, World
from workers.jobs.delivery import run_claimed
from workers.jobs.segmenters import pretrain


def test_a_slice_ends_early_where_a_worker_came_for_an_ask_of_the_project(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="random").add("train", Rectangles(4, 2))
    settings = {"source": "none", "max_epochs": 10_000, "patience": 10_000}
    body = {"kind": "pretrain", "settings": settings}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    with world.database.write() as session:
        ask = queue_job(session, project_id=world.project.id, kind="ask", now=START)
        session.flush()
        session.execute(
            update(Job).where(Job.id == ask.id).values(sent_at=None)
        )  # as a claim leaves it that was refused
    quick = replace(world.worker, settings=world.settings.model_copy(update={"slice_seconds": 1e6}))
    assert run_claimed(quick, job, {"pretrain": pretrain}) == "yielded"
    with world.database.read() as session:
        assert session.get_one(Job, ask.id).sent_at is not None
