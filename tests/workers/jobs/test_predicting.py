"""Hints that workers give on regions that are to be labelled: with each round, and anew with each segmenter."""

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import select

from service.domain.masks import decode_label_png
from service.tables import Project, Region, RegionHints
from tests.workers.conftest import World
from tests.workers.jobs.test_changed_classes import begun


def regions_and_hints(world: World, state: str) -> list[tuple[Region, RegionHints | None]]:
    with world.database.read() as session:
        chosen = select(Region, RegionHints).outerjoin(RegionHints, RegionHints.region_id == Region.id)
        rows = session.execute(chosen.where(Region.state == state).order_by(Region.id)).all()
    return [(region, hints) for region, hints in rows]


@pytest.mark.parametrize("frozen", [False, True])
def test_regions_that_are_asked_for_have_hints_of_the_network_that_predicted_them(
    make_world: Callable[..., World], frozen: bool
) -> None:
    world = begun(make_world, frozen)
    opened = regions_and_hints(world, "open")
    assert opened
    for region, hints in opened:
        assert hints is not None
        assert hints.uncertainty is not None
        assert hints.checkpoint_id == region.prediction_checkpoint_id
        size = {"height": region.height, "width": region.width}
        uncertainty_HW = decode_label_png(hints.uncertainty, **size)
        assert hints.described["uncertainty"] == pytest.approx(uncertainty_HW.mean() / 255, abs=0.01)
        assert 0 <= hints.described["above"] <= 1
        assert region.prediction is not None
        label_map_HW = decode_label_png(region.prediction, **size)
        for each in hints.described["classes"]:
            assert each["predicted"] == pytest.approx((label_map_HW == each["id"]).mean(), abs=1e-3)
        assert sum(each["labelled"] for each in hints.described["classes"]) <= 1.001
        if frozen:
            assert hints.features is not None
            told = hints.described["features"]
            assert told["channels"] >= 1
            assert -1.5 * told["stride"] <= told["top"] <= told["stride"] / 2
        else:
            assert hints.features is None


def test_a_new_network_gives_new_hints_on_what_is_still_open(make_world: Callable[..., World]) -> None:
    world = begun(make_world, frozen=False)
    with world.database.write() as session:
        project = session.get_one(Project, world.project.id)
        project.settings = {**project.settings, "lookahead": 1}
    world.label_all()
    world.work()
    before = {region.id: hints for region, hints in regions_and_hints(world, "open")}
    assert before
    world.label_all()
    world.work()
    for region, hints in regions_and_hints(world, "open"):
        assert hints is not None
        assert hints.checkpoint_id == region.prediction_checkpoint_id
        earlier = before.get(region.id)
        if earlier is not None:
            assert hints.checkpoint_id != earlier.checkpoint_id
    for _, hints in regions_and_hints(world, "labelled"):
        if hints is not None and hints.uncertainty is not None:
            assert np.frombuffer(hints.uncertainty, np.uint8).size
