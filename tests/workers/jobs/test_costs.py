"""Seconds of regions live: assumed at first, then those of the project's own labels."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from models.segmenter import build
from service.domain import costs
from service.domain.costs import ASSUMED_SECONDS, CLICKS, DrawingCost
from service.domain.masks import decode_label_png
from service.domain.outlines import polygon_clicks
from service.tables import Label, Region
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.jobs import rounds
from workers.loop.chooser import Chooser
from workers.loop.round import Proposal
from workers.training.checkpoints import save_segmenter


@pytest.fixture
def asked_with(monkeypatch: pytest.MonkeyPatch) -> list[DrawingCost | None]:
    """The cost that each round was asked for with."""
    noted: list[DrawingCost | None] = []

    class Noting(Chooser):
        def ask(self, *args: Any, **options: Any) -> Proposal:
            noted.append(self.settings.cost)
            return super().ask(*args, **options)

    monkeypatch.setattr(rounds, "Chooser", Noting)
    return noted


def world_of(make_world: Callable[..., World], cost: str) -> World:
    world = make_world(strategy="random", budget=12, seed=3, levels=2, cost=cost)
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(2, 2))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4).eval(), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    return world


def label_at_a_pace(world: World, fixed: float, per_click: float) -> None:
    """Label a round as somebody does who needs that long, and have the next one asked for."""
    world.label_all()
    with world.database.write() as session:
        for label, region in session.execute(select(Label, Region).join(Region, Label.region_id == Region.id)):
            clicks = polygon_clicks(decode_label_png(label.mask, height=region.height, width=region.width))
            label.seconds = fixed + per_click * clicks
    world.work()


def test_seconds_are_fitted_once_there_are_labels_enough(
    make_world: Callable[..., World], asked_with: list[DrawingCost | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "FEWEST_LABELS", 4)
    label_at_a_pace(world_of(make_world, "seconds"), 3.0, 2.0)
    first, second = asked_with
    assert first == ASSUMED_SECONDS
    assert second is not None
    assert (second.fixed, second.per_click) == pytest.approx((3.0, 2.0))


@pytest.mark.parametrize(("cost", "expected"), [("pixels", None), ("clicks", CLICKS)])
def test_clicks_and_pixels_cost_the_same_whoever_labels(
    make_world: Callable[..., World],
    asked_with: list[DrawingCost | None],
    monkeypatch: pytest.MonkeyPatch,
    cost: str,
    expected: DrawingCost | None,
) -> None:
    monkeypatch.setattr(costs, "FEWEST_LABELS", 4)
    label_at_a_pace(world_of(make_world, cost), 3.0, 2.0)
    assert asked_with == [expected, expected]
