"""Encoders whose weights a hub has: while it is away jobs are tried again, and nothing that was learned is lost."""

from collections.abc import Callable, Iterator

import pytest

from models import smp
from tests.models.small_library import NAME, SmallLibrary
from tests.workers.conftest import World
from tests.workers.jobs.test_head_slices import run_slice
from tests.workers.jobs.test_heads import ask, full_frozen_world, next_tell, segmenter_of
from tests.workers.jobs.test_tasks import start
from workers.training import encoders

SAID = "EncoderOutOfReach: The ImageNet weights of smp:fpn:small cannot be had"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallLibrary]:
    encoders._folded.cache_clear()
    made = SmallLibrary(published=1)
    monkeypatch.setattr(smp, "_library", lambda: made)
    yield made
    encoders._folded.cache_clear()


@pytest.fixture
def world(make_world: Callable[..., World], library: SmallLibrary) -> World:
    return full_frozen_world(make_world, segmenter=NAME, encoder="frozen", learning="refit", refit_steps=3)


def away(library: SmallLibrary) -> None:
    """As another worker finds it, which has no weights yet."""
    library.published = None
    encoders._folded.cache_clear()


def test_a_first_head_is_tried_again_when_the_hub_is_back(world: World, library: SmallLibrary) -> None:
    away(library)
    job = start(world, "pretrain")
    assert run_slice(world, job.id) == "queued"
    assert str(world.job(job.id).error).startswith(SAID)
    library.published = 1
    assert run_slice(world, job.id) == "done"


def test_a_head_goes_on_when_the_hub_is_back_and_not_from_fresh_weights(world: World, library: SmallLibrary) -> None:
    start(world, "pretrain")
    world.work()
    sight = segmenter_of(world)[1].sight
    ask(world)
    world.label_all()
    tell = next_tell(world)
    away(library)
    assert run_slice(world, tell) == "queued"
    assert str(world.job(tell).error).startswith(SAID)
    library.published = 1
    assert run_slice(world, tell) == "done"
    assert segmenter_of(world)[1].sight == sight


def test_what_a_hub_does_not_have_is_not_asked_for_again(world: World, library: SmallLibrary) -> None:
    class NotThere(OSError):
        response = type("Response", (), {"status_code": 404})

    def refuse(*given: object, **named: object) -> None:
        raise NotThere("404")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "get_encoder", refuse)
        job = start(world, "pretrain")
        assert run_slice(world, job.id) == "failed"
