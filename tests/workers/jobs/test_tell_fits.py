"""Tells of rounds: called off they stop between two steps of a fit, and go on from there as if nothing had been."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from models.refit import Refitting
from service.tables import Job
from tests.workers.conftest import World
from tests.workers.jobs.test_head_slices import counted, run_slice, same, state_key, weights
from tests.workers.jobs.test_heads import ask, full_frozen_world, next_tell
from workers.jobs.job_state import JobState
from workers.training import resumable
from workers.training.refitting import LabelledCells


@pytest.fixture
def labelled(make_world: Callable[..., World]) -> Callable[[], tuple[World, int]]:
    """Makes a world whose first round is labelled, and the tell that is to learn from it."""

    def made() -> tuple[World, int]:
        world = full_frozen_world(make_world, refit_steps=3)
        ask(world)
        world.label_all()
        return world, next_tell(world)

    return made


Labelled = Callable[[], tuple[World, int]]


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], Any]) -> None:
    """Do something once the so manieth step of all fits is taken."""
    go_on, taken = Refitting.go_on, [0]

    def stepping(fit: Refitting) -> None:
        go_on(fit)
        taken[0] += 1
        if taken[0] == number:
            do()

    monkeypatch.setattr(Refitting, "go_on", stepping)


def straight(labelled: Labelled) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """The weights after a tell that nobody disturbs, the steps that it takes, and what its round says."""
    world, tell = labelled()
    with counted() as steps:
        assert run_slice(world, tell) == "done"
    after, round_ = weights(world, "segmenter"), world.rounds()[0]
    world.call("PATCH", f"/projects/{world.project.id}", json={"name": "undisturbed"})
    return after, len(steps), round_


def figures(round_: dict[str, Any]) -> dict[str, Any]:
    return {name: round_[name] for name in ("miou_before", "miou_after", "reward", "iou_per_class", "class_counts")}


def test_a_worker_that_is_to_end_puts_a_tell_away_and_another_goes_on_with_it(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected, round_ = straight(labelled)
    world, tell = labelled()
    with counted() as steps, monkeypatch.context() as patch:
        at_step(patch, 10, world.worker.stopping.set)
        assert run_slice(world, tell) == "queued"
    assert len(steps) == 10 < expected
    assert world.rounds()[0]["state"] == "labelled"
    world.worker.stopping.clear()
    with counted() as rest:
        assert run_slice(world, tell) == "done"
    assert len(steps) + len(rest) == expected
    assert same(whole, weights(world, "segmenter"))
    assert figures(world.rounds()[0]) == figures(round_)
    assert JobState(world.blobs, state_key(tell, "fit")).load() is None


def test_a_machine_that_goes_off_in_a_tell_costs_what_was_not_put_away(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected, _ = straight(labelled)
    world, tell = labelled()
    monkeypatch.setattr(resumable, "SAVE_SECONDS", -1.0)  # put away after every step
    with counted(dying_at=10):
        assert run_slice(world, tell) == "queued"
    with counted() as rest:
        assert run_slice(world, tell) == "done"
    assert len(rest) == expected - 9
    assert same(whole, weights(world, "segmenter"))


def test_a_tell_that_another_worker_has_got_goes_no_further(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected, _ = straight(labelled)
    world, tell = labelled()
    world.worker.settings.heartbeat_seconds = 0.01

    def given_away() -> None:
        with world.database.write() as session:
            session.get_one(Job, tell).lock = "another's"
        threading.Event().wait(0.3)

    with counted() as steps:
        at_step(monkeypatch, 5, given_away)
        assert run_slice(world, tell) == "running"
    assert len(steps) == 5 < expected
    assert world.rounds()[0]["state"] == "labelled"


def test_a_tell_is_in_no_slices_and_says_how_far_it_is(labelled: Labelled) -> None:
    """Between two slices an `ask` could come, and what that chooses must not depend on which worker was quicker."""
    world, tell = labelled()
    world.slice_seconds(-1.0)
    world.worker.settings.heartbeat_seconds = 0.01
    assert run_slice(world, tell) == "done"
    lines = world.call("GET", f"/jobs/{tell}/log")["items"]
    assert any(each["text"].startswith("Fitting the head, step ") for each in lines)


def test_a_worker_that_is_to_end_looks_at_no_more_labelled_images(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, tell = labelled()
    add, looked = LabelledCells.add, list[int]()

    def added(cells: LabelledCells, source: Any, number: int, *given: Any, **how: Any) -> None:
        looked.append(number)
        world.worker.stopping.set()
        add(cells, source, number, *given, **how)

    monkeypatch.setattr(LabelledCells, "add", added)
    with counted() as steps:
        assert run_slice(world, tell) == "queued"
    assert (len(looked), steps) == (1, [])
