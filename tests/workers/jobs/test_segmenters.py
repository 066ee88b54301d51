"""Jobs that train a segmenter: a worker that dies between the training and the job's end costs nothing of the training."""

from collections.abc import Callable
from typing import Any

import pytest

from models import fit
from models.segmenter import build
from service.queue import RUN_JOB
from service.store.jobs import queue_job
from service.tables import Job
from tests.conftest import START
from tests.workers.conftest import CLASSES, FROZEN, Rectangles, World
from tests.workers.jobs.test_tasks import full_world, start
from workers.jobs import saving
from workers.jobs.saving import save_checkpoint
from workers.training import convergence
from workers.training.checkpoints import save_segmenter


@pytest.mark.parametrize("kind", ["pretrain", "finish"])
def test_a_worker_that_dies_before_it_saved_what_it_trained_trains_it_once(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    world = full_world(make_world, strategy="random", budget=8)
    if kind == "finish":
        world.call("GET", "/next-regions", params={"project": world.project.id})
        world.work()
        world.label_all()
        world.celery.tasks[RUN_JOB].apply(args=[2], throw=True)  # the tell
    job = start(world, kind, max_epochs=2, patience=2, batch=4, **({"source": "none"} if kind == "pretrain" else {}))
    epochs: list[int] = []
    training, kept = fit.fit_to_convergence, save_checkpoint

    def counted(*given: Any, **named: Any) -> fit.FitState:
        before = named["state"].epoch if named["state"] is not None else 0
        after = training(*given, **named)
        epochs.append(after.epoch - before)
        return after

    def dying(run: Any, data: bytes, **named: Any) -> Any:
        if named["kind"] in ("segmenter", "final") and len(epochs) == 1:
            raise RuntimeError("the machine is off")
        return kept(run, data, **named)

    monkeypatch.setattr(convergence, "fit_to_convergence", counted)
    monkeypatch.setattr(saving, "save_checkpoint", dying)
    world.celery.tasks[RUN_JOB].apply(args=[job.id], throw=True)
    assert (world.job(job.id).state, world.job(job.id).error) == ("queued", "RuntimeError: the machine is off")
    world.work()
    assert world.job(job.id).state == "done"
    assert epochs[:2] == [2, 0]


def queued(world: World, kind: Any) -> Job:
    """A job that is not asked what it lacks."""
    with world.database.write() as session:
        return queue_job(session, project_id=world.project.id, kind=kind, now=START)


@pytest.mark.parametrize(("kind", "saved"), [("pretrain", "segmenter"), ("finish", "final")])
def test_what_a_job_has_saved_is_not_trained_again(make_world: Callable[..., World], kind: str, saved: str) -> None:
    world = full_world(make_world, strategy="random", budget=4)
    job = queued(world, kind)
    world.add_checkpoint(saved, save_segmenter(build("fpn", classes=3, width=4), CLASSES), job_id=job.id, miou=0.5)
    world.work()
    assert (world.job(job.id).state, world.job(job.id).result) == ("done", {"miou": 0.5})


def told_round(world: World) -> dict[str, Any]:
    """The next round, labelled and learned from."""
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    world.label_all()
    world.work()
    told = [each for each in world.rounds() if each["state"] == "told"]
    return told[-1]


@pytest.mark.parametrize("change", [{"learning": "pass"}, {"encoder": "trained"}, {"segmenter": "fpn"}])
def test_a_campaign_goes_on_when_it_learns_in_another_way(
    make_world: Callable[..., World], change: dict[str, str]
) -> None:
    world = make_world(strategy="auto", budget=40, **FROZEN)
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(2, 3))
    assert told_round(world)["result_checkpoint_id"]
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": change})
    second, third = told_round(world), told_round(world)
    assert (second["number"], third["number"]) == (2, 3)
    assert second["result_checkpoint_id"]
    assert third["result_checkpoint_id"]
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"segmenter": FROZEN["segmenter"]}})
    assert told_round(world)["result_checkpoint_id"]


def test_a_frozen_encoder_learns_by_passes_too(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="entropy", budget=40, **FROZEN, learning="pass")
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(2, 3))
    first, second = told_round(world), told_round(world)
    assert first["result_checkpoint_id"]
    assert second["result_checkpoint_id"]
    assert (first["strategy"], second["strategy"]) == ("random", "entropy")
