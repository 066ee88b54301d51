"""Projects that leave it to labels how fine features are: rounds, first fits and last ones go over to finer ones and say so."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from models.refit import Refitting
from service.queue import RUN_JOB
from tests.workers.conftest import World
from tests.workers.jobs.test_heads import segmenter_of, told_world
from tests.workers.jobs.test_tasks import start
from tests.workers.threads import Cords
from workers.jobs import delivery, heads
from workers.jobs.fitting import Taught
from workers.jobs.project import load_project
from workers.loop.labelled import LabelledSet
from workers.training.building import with_fresh_head
from workers.training.refitting import LabelledCells

SETTINGS: dict[str, Any] = {
    "segmenter": "efficientnet-lite0", "width": 8, "magnification": 1.0, "refit_steps": 25, "dropout": 0.0, "cell_height": 72,
    "cell_width": 72, "strategy": "random", "sampling": "uniform", "batch_size": 16, "pool_size": 2, "budget": 48,
}  # fmt: skip


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(**SETTINGS).add("pool", Cords(16, 1), labelled=False)


def label_a_round(world: World) -> dict[str, Any]:
    """Label what is open, and learn from it: the newest round that is told."""
    world.work()
    world.label_all()
    world.work()
    return [each for each in world.rounds() if each["state"] == "told"][-1]


def stride_of(world: World, kind: str = "segmenter") -> int:
    stride: int = segmenter_of(world, kind)[1].stride
    return stride


def test_a_round_goes_over_to_finer_features_the_next_go_on_with_them_and_the_setting_ends_it(world: World) -> None:
    world.add("reward", Cords(2, 3))
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"refit_steps": 60}})
    world.call("GET", "/next-regions", params={"project": world.project.id})
    first = label_a_round(world)
    assert "Features of every 2 pixels instead of 8 from now on." in first["note"]
    assert first["miou_after"] > 0.6
    assert segmenter_of(world)[2]["stride"] == stride_of(world) == 2
    second = label_a_round(world)
    assert (second["note"].count("from now on"), stride_of(world)) == (0, 2)
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"stride": 8}})
    label_a_round(world)
    assert stride_of(world) == 8


def test_a_first_fit_goes_over_and_policies_learn_by_what_it_began_with(world: World) -> None:
    world.add("train", Cords(8, 2)).add("state", Cords(2, 4)).add("reward", Cords(2, 3))
    job = start(world, "pretrain")
    world.work()
    result = world.job(job.id).result
    assert result is not None
    assert (result["stride"], stride_of(world), stride_of(world, "source")) == (2, 2, 8)
    games = start(world, "train-policy", episodes=1, budget=4, pool_size=2, batch_size=2)
    world.work()
    assert world.job(games.id).error is None


def test_the_last_fit_goes_over_and_in_slices_ends_as_in_one_go(world: World) -> None:
    world.add("train", Cords(8, 2))
    whole = start(world, "finish", steps=100)
    world.work()
    result, weights = world.job(whole.id).result, segmenter_of(world, "final")[1].state_dict()
    assert result is not None
    assert (result["stride"], stride_of(world, "final")) == (2, 2)
    job, turns = start(world, "finish", steps=100), 0
    world.slice_seconds(1.5)
    while world.job(job.id).state != "done":
        world.celery.tasks[RUN_JOB].apply(args=[job.id], throw=True)
        turns += 1
    assert turns > 2
    again = segmenter_of(world, "final")[1].state_dict()
    assert all(torch.equal(weights[key], again[key]) for key in weights)


def test_slices_that_are_shorter_than_a_look_at_all_images_come_to_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slice looks at all labelled images again: it counts from its first step."""
    world.add("train", Cords(8, 2))
    seconds, add, go_on = [0.0], LabelledCells.add, Refitting.go_on

    def added(*given: Any, **how: Any) -> None:
        seconds[0] += 1.0
        add(*given, **how)

    def stepped(fit: Refitting) -> None:
        seconds[0] += 0.1
        go_on(fit)

    monkeypatch.setattr(LabelledCells, "add", added)
    monkeypatch.setattr(Refitting, "go_on", stepped)
    monkeypatch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    job, turns = start(world, "finish", steps=100), 0
    world.slice_seconds(6.0)
    while world.job(job.id).state != "done":
        world.celery.tasks[RUN_JOB].apply(args=[job.id], throw=True)
        turns += 1
        assert turns < 60
    assert (turns > 5, stride_of(world, "final")) == (True, 2)


def test_a_first_fit_goes_on_as_finely_as_rounds_that_were_told_meanwhile(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = told_world(make_world)
    project = load_project(world.worker, world.project.id)
    begun = with_fresh_head(segmenter_of(world)[1], 0, stride=8)
    monkeypatch.setattr(heads, "fit_head", lambda run, project, head, taught, **how: head)
    before = Taught(images=project.images("pool"), known=[], labelled=LabelledSet(3))
    head, regions = heads._learned_since(Mock(), project, begun, before)
    assert (head.stride, bool(head.fitted)) == (4, False)
    assert regions > 0
