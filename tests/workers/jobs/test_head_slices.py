"""Fits of a head in slices: no step is taken twice, whoever goes on with it, and what it is fitted to stays as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from models.refit import Refitting
from service.queue import RUN_JOB
from tests.workers.conftest import World
from tests.workers.jobs.test_heads import ask, next_tell, segmenter_of, told_world
from tests.workers.jobs.test_tasks import start
from workers.jobs.job_state import JobState
from workers.training import resumable

# Of pretrain: a head for games, one for the first round, each with the two that find its temperature.
PRETRAIN, FINISH = 2 * (24 + 2 * 6), 20 + 2 * 6
KINDS = [("pretrain", "segmenter", {}, PRETRAIN), ("finish", "final", {"steps": 20}, FINISH)]


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One with a labelled round that is learned from."""
    return told_world(make_world)


@contextmanager
def counted(dying_at: int | None = None) -> Iterator[list[int]]:
    """Of each fit the steps that it took here; in the one of a number, over all fits, the machine goes off."""
    steps: list[int] = []
    go_on = Refitting.go_on

    def counting(fit: Refitting) -> None:
        steps.append(fit.step)
        if len(steps) == dying_at:
            raise RuntimeError("the machine is off")
        go_on(fit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Refitting, "go_on", counting)
        yield steps


def weights(world: World, kind: str) -> dict[str, torch.Tensor]:
    return dict(segmenter_of(world, kind)[1].state_dict())


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def regions(world: World, *states: str) -> int:
    """How many there are in the rounds of these states."""
    return 4 * sum(each["state"] in states for each in world.rounds())


def run_slice(world: World, job_id: int) -> str:
    """One delivery of the job; its state after it."""
    world.celery.tasks[RUN_JOB].apply(args=[job_id], throw=True)
    return world.job(job_id).state


@pytest.mark.parametrize(("kind", "saved", "chosen", "expected"), KINDS)
def test_a_fit_in_slices_takes_each_step_once_and_gives_the_same_head(
    world: World, kind: str, saved: str, chosen: dict[str, Any], expected: int
) -> None:
    start(world, kind, **chosen)
    with counted() as straight:
        world.work()
    whole = weights(world, saved)
    world.slice_seconds(0.03)
    job, slices = start(world, kind, **chosen), 1
    with counted() as cut:
        while run_slice(world, job.id) == "queued":
            slices += 1
    assert (world.job(job.id).state, world.job(job.id).error) == ("done", None)
    assert slices > 3
    assert len(cut) == len(straight) == expected
    assert same(weights(world, saved), whole)
    assert not [each for each in ("fit", "regions", "base") if JobState(world.blobs, state_key(job.id, each)).load()]


def state_key(job_id: int, phase: str) -> str:
    return f"jobs/{job_id}/{phase}.safetensors"


@pytest.mark.parametrize(("kind", "saved", "chosen", "expected"), KINDS)
@pytest.mark.parametrize("dying_at", [15, 30])
def test_a_machine_that_goes_off_costs_what_it_had_not_put_away(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    dying_at: int,
    kind: str,
    saved: str,
    chosen: dict[str, Any],
    expected: int,
) -> None:
    start(world, kind, **chosen)
    world.work()
    whole = weights(world, saved)
    monkeypatch.setattr(resumable, "SAVE_SECONDS", -1.0)  # put away after every step
    job = start(world, kind, **chosen)
    with counted(dying_at) as steps:
        assert run_slice(world, job.id) == "queued"
        assert run_slice(world, job.id) == "done"
    assert len(steps) == expected + 1
    assert same(weights(world, saved), whole)


def test_what_is_labelled_between_two_slices_of_the_last_fit_does_not_begin_it_anew(world: World) -> None:
    world.slice_seconds(0.03)
    ask(world)
    before = regions(world, "told", "labelled")
    job = start(world, "finish", steps=20)
    with counted() as steps:
        while len(steps) < 10:
            assert run_slice(world, job.id) == "queued"
        world.label_all()
        while run_slice(world, job.id) == "queued":
            pass
    assert len(steps) == FINISH
    result = world.job(job.id).result
    assert result is not None
    assert result["regions"] == before < regions(world, "told", "labelled")


def test_what_is_told_between_two_slices_of_the_first_fit_is_learned_from_when_it_ends(world: World) -> None:
    world.slice_seconds(0.03)
    ask(world)
    before = regions(world, "told")
    job = start(world, "pretrain")
    with counted() as steps:
        while len(steps) < PRETRAIN - 30:  # the second fit is under way
            assert run_slice(world, job.id) == "queued"
    world.label_all()
    tell = next_tell(world)
    assert run_slice(world, tell) == "done"
    with counted() as rest:
        while run_slice(world, job.id) == "queued":
            pass
    # The fit goes on to its end; then the round's own three steps.
    assert len(steps) + len(rest) == PRETRAIN + 3
    result = world.job(job.id).result
    assert result is not None
    assert result["regions_learned_from"] == before + 4 == regions(world, "told")


@pytest.mark.parametrize("left", [b"", b"not a checkpoint at all"])
def test_what_cannot_be_read_of_a_fit_is_fitted_anew(world: World, left: bytes) -> None:
    job = start(world, "finish", steps=20)
    JobState(world.blobs, state_key(job.id, "fit")).save(left)
    with counted() as steps:
        world.work()
    assert (world.job(job.id).state, world.job(job.id).error) == ("done", None)
    assert len(steps) == FINISH
