"""Fits of heads that are tried again, lost, cancelled, or go on under other settings: what is kept, and what is made anew."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.frozen import FrozenSegmenter, build_frozen
from models.refit import Refitting
from service.tables import Job
from tests.workers.conftest import CLASSES, Rectangles, World
from tests.workers.jobs.test_head_slices import FINISH, PRETRAIN, counted, regions, run_slice, state_key
from tests.workers.jobs.test_heads import ask, next_tell, segmenter_of, told_world
from tests.workers.jobs.test_tasks import start
from workers.jobs import heads
from workers.jobs.job_state import JobState
from workers.jobs.saving import PHASES, measured
from workers.training.checkpoints import load_segmenter, save_segmenter


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One with a labelled round that is learned from."""
    return told_world(make_world)


def result_of(world: World, job: Job) -> dict[str, Any]:
    result = world.job(job.id).result
    assert result is not None, world.job(job.id).error
    return result


def left(world: World, job: Job) -> list[str]:
    """The phases of which something is kept."""
    return [phase for phase in PHASES if JobState(world.blobs, state_key(job.id, phase)).load() is not None]


def until(world: World, job: Job, steps: int) -> None:
    """Slices until the job has taken so many steps."""
    with counted() as taken:
        while len(taken) < steps:
            assert run_slice(world, job.id) == "queued"


def to_the_end(world: World, job: Job) -> None:
    while run_slice(world, job.id) == "queued":
        pass
    assert (world.job(job.id).state, world.job(job.id).error) == ("done", None)


@pytest.mark.parametrize("saved_as", ["now", "a list"])
def test_one_that_is_cancelled_and_tried_again_learns_from_what_is_labelled_by_then(
    world: World, saved_as: str
) -> None:
    world.slice_seconds(0.03)
    ask(world)
    before = regions(world, "told", "labelled")
    job = start(world, "finish", steps=20)
    until(world, job, 5)
    if saved_as == "a list":  # as an earlier version kept it
        JobState(world.blobs, state_key(job.id, "regions")).save(b"[1, 2, 3, 4]")
    world.call("POST", f"/jobs/{job.id}/cancel")
    world.label_all()
    world.call("POST", f"/jobs/{job.id}/retry")
    with counted() as steps:
        until(world, job, 5)
        to_the_end(world, job)
    assert result_of(world, job)["regions"] == regions(world, "told", "labelled") > before
    assert len(steps) == FINISH


def test_one_that_is_tried_again_goes_on_with_its_fit_where_nothing_else_is_labelled(world: World) -> None:
    world.slice_seconds(0.03)
    job = start(world, "finish", steps=20)
    with counted() as steps:
        until(world, job, 5)
        world.call("POST", f"/jobs/{job.id}/cancel")
        world.call("POST", f"/jobs/{job.id}/retry")
        to_the_end(world, job)
    assert len(steps) == FINISH


@pytest.mark.parametrize("kind", ["pretrain", "finish"])
@pytest.mark.parametrize("heard", [True, False])
def test_a_worker_that_has_lost_the_job_leaves_its_states_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, heard: bool
) -> None:
    """Whether it has heard of that or not: a machine that slept goes on before its next heartbeat."""
    job = start(world, kind)
    go_on = Refitting.go_on
    states = {phase: JobState(world.blobs, state_key(job.id, phase)) for phase in ("fit", "base", "regions")}

    def taken_away(fit: Refitting) -> None:
        go_on(fit)
        with world.database.write() as session:
            session.get_one(Job, job.id).lock = "another's"
        for state in states.values():
            state.save(b"another's")
        if heard:
            threading.Event().wait(0.3)
        world.worker.stopping.set()

    world.worker.settings.heartbeat_seconds = 0.05 if heard else 600.0
    monkeypatch.setattr(Refitting, "go_on", taken_away)
    assert run_slice(world, job.id) == "running"
    assert {state.load() for state in states.values()} == {b"another's"}


def test_a_worker_that_has_lost_the_job_saves_no_network(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = start(world, "pretrain")
    before = segmenter_of(world)[0]

    def taken_away(*given: Any) -> dict[str, Any]:
        with world.database.write() as session:
            session.get_one(Job, job.id).lock = "another's"
        return measured(*given)

    monkeypatch.setattr(heads, "measured", taken_away)
    assert run_slice(world, job.id) == "running"
    assert segmenter_of(world)[0] == before
    assert "fit" in left(world, job)


def patched(world: World) -> None:
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"stride": 8}})


def labelled_more(world: World) -> None:
    world.add("state", Rectangles(1, 31), first=2)


@pytest.mark.parametrize("change", [patched, labelled_more])
def test_a_head_for_games_that_was_made_of_something_else_is_made_anew(
    world: World, change: Callable[[World], Any]
) -> None:
    world.slice_seconds(0.03)
    job = start(world, "pretrain")
    until(world, job, PRETRAIN // 2 + 3)
    first, _, _ = segmenter_of(world, "source")
    change(world)
    to_the_end(world, job)
    second, games, described = segmenter_of(world, "source")
    assert second > first
    assert games.sight == segmenter_of(world)[1].sight
    assert described["source"] == "state"


def test_one_that_ended_unheard_clears_what_its_slices_left_and_says_what_it_had_to_say(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = start(world, "pretrain")
    world.work()
    job = start(world, "pretrain")

    def dies(run: Any) -> None:
        raise RuntimeError("the machine is off")

    with monkeypatch.context() as patch:
        patch.setattr(heads, "forget", dies)
        assert run_slice(world, job.id) == "queued"
    assert {"base", "fit", "regions"} <= set(left(world, job))
    assert run_slice(world, job.id) == "done"
    assert left(world, job) == []
    assert result_of(world, job) == result_of(world, straight)
    assert {"source", "regions_learned_from", "miou"} <= result_of(world, job).keys()


def test_a_fit_of_another_sight_is_not_gone_on_with(world: World) -> None:
    """The same labels, seen by the same encoder through another projection."""
    world.slice_seconds(0.03)
    job = start(world, "finish", steps=20)
    until(world, job, 10)
    base = JobState(world.blobs, state_key(job.id, "base"))
    head, _ = load_segmenter(base.load() or b"", CLASSES)
    assert isinstance(head, FrozenSegmenter)
    other = replace(head.projection, **{name: 1.01 * each for name, each in head.projection.tensors().items()})
    base.save(save_segmenter(build_frozen(head.eye, other, classes=3, hidden=head.width), CLASSES))
    with counted() as steps:
        to_the_end(world, job)
    assert len(steps) == FINISH


def told_in_between(world: World) -> tuple[Job, int]:
    """A pretrain job in its last fit, after which a round was told; and how many steps that fit still takes."""
    world.slice_seconds(0.03)
    ask(world)
    job = start(world, "pretrain")
    with counted() as steps:
        while len(steps) < PRETRAIN - 30:
            assert run_slice(world, job.id) == "queued"
    world.label_all()
    tell = next_tell(world)
    assert run_slice(world, tell) == "done"
    return job, PRETRAIN - len(steps)


def test_what_is_told_between_two_slices_is_learned_from_in_slices_too(world: World) -> None:
    job, more = told_in_between(world)
    world.slice_seconds(-1.0)
    per_slice: list[int] = []
    while world.job(job.id).state == "queued":
        with counted() as steps:
            run_slice(world, job.id)
        per_slice.append(len(steps))
    assert max(per_slice) == 1
    assert sum(per_slice) == more + 3
    assert result_of(world, job)["regions_learned_from"] == regions(world, "told")


def test_a_worker_that_is_to_end_learns_what_was_told_in_between_no_further_and_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, more = told_in_between(world)
    world.slice_seconds(600.0)
    with counted() as steps:
        go_on = Refitting.go_on

        def ending(fit: Refitting) -> None:
            go_on(fit)
            if len(steps) == more + 1:
                world.worker.stopping.set()

        monkeypatch.setattr(Refitting, "go_on", ending)
        assert run_slice(world, job.id) == "queued"
        world.worker.stopping.clear()
        assert len(steps) == more + 1
        assert run_slice(world, job.id) == "done"
        assert len(steps) == more + 3
        monkeypatch.undo()
