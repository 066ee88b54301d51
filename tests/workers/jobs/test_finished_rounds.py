"""Rounds that an admin ends early: what they have is learned from, and what they lack may be asked for again."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from models.segmenter import build
from service.tables import Region
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.training.checkpoints import save_segmenter


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A project of two images of four regions each, whose first round of four is open."""
    world = make_world(strategy="entropy", budget=8)
    world.add("pool", Rectangles(2, 1, (32, 32)), labelled=False).add("reward", Rectangles(2, 3))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    return world


def finish(world: World) -> None:
    (open_,) = [each for each in world.rounds() if each["state"] == "open"]
    world.call("POST", f"/rounds/{open_['id']}/finish")


def cells(world: World) -> list[tuple[int, int]]:
    with world.database.read() as session:
        return [(row.image_id, row.cell) for row in session.execute(select(Region.image_id, Region.cell))]


def test_a_round_without_a_label_is_passed_and_the_next_may_ask_for_the_same(world: World) -> None:
    asked = cells(world)
    finish(world)
    assert cells(world) == []
    assert world.work() == ["tell", "ask"]
    first, second = world.rounds()
    assert (first["state"], second["state"], second["size"]) == ("told", "open", 4)
    assert len(set(cells(world))) == len(asked) == 4


def test_a_round_that_ends_early_is_learned_from_and_every_region_of_the_pool_gets_its_label_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.rounds._finish_campaign", lambda *given: None)  # its training takes long
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"max_held": 1}})
    assert len(world.label_all()) == 1
    finish(world)
    assert world.work() == ["tell", "ask"]
    first = world.rounds()[0]
    assert first["note"] == "Finished early: 3 of 4 regions went back to the pool without a label."
    assert first["miou_after"] is not None
    assert sum(first["class_counts"].values()) <= 16 * 16
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"max_held": 99}})
    while world.label_all():
        world.work()
    project = world.call("GET", f"/projects/{world.project.id}")
    assert project["regions"] == {"open": 0, "review": 0, "labelled": 8, "skipped": 0}
    assert {each["state"] for each in world.rounds()} == {"told"}
