"""Gold regions come with each round: drawn by the seed, of truths that test something, predicted as the round's own."""

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import select

from models.segmenter import build
from service.domain.gold import is_telling
from service.domain.masks import decode_label_png
from service.lease_proofs import LeaseProofs
from service.schemas.project_settings import ProjectSettings
from service.store.budget import grid_of
from service.store.pool import proposed_cells
from service.tables import Image, Project, Region, Round
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.training.checkpoints import save_segmenter

WISHED = 3
"""Half as many again as make 0.3 of all with a round of four."""


@pytest.fixture
def build_world(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Worlds one after the other; nobody is given a gold region, so that a round is labelled at once."""
    monkeypatch.setattr(LeaseProofs, "is_due", lambda *_: False)

    def built(*, segmenter: bool = True, train: Rectangles | None = None, **settings: object) -> World:
        world = make_world(**{"strategy": "entropy", "gold_share": 0.3, **settings})
        with world.database.write() as session:
            session.get_one(Project, world.project.id).name = f"world {world.project.id}"
        world.add("pool", Rectangles(6, 1), labelled=False).add("state", Rectangles(2, 2))
        world.add("reward", Rectangles(3, 3)).add("train", train or Rectangles(4, 4))
        if segmenter:
            world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
        return world

    return built


def play(world: World, rounds: int = 1) -> None:
    """Ask for a round, label it and learn from it, so often, and ask for one more."""
    for number in range(rounds + 1):
        world.call("GET", "/next-regions", params={"project": world.project.id})
        world.work()
        if number < rounds:
            world.label_all()
            world.work()


def regions(world: World, *, gold: bool) -> list[Region]:
    with world.database.read() as session:
        own = select(Region).where(Region.project_id == world.project.id, Region.gold.is_(gold))
        return list(session.scalars(own.order_by(Region.id)))


def test_a_round_comes_with_gold_regions_of_d_t_whose_truth_is_telling(build_world: Callable[..., World]) -> None:
    world = build_world()
    play(world, 0)
    gold, others = regions(world, gold=True), regions(world, gold=False)
    assert (len(gold), len(others)) == (WISHED, 4)
    with world.database.read() as session:
        images = {each.id: each for each in session.scalars(select(Image))}
        round_ = session.get_one(Round, gold[0].round_id)
        assert {(g, c) for g, _, c in proposed_cells(session, world.project.id)} == {
            (images[each.image_id].group_id, each.cell) for each in others
        }
    assert (round_.state, round_.strategy, round_.number, round_.size) == ("gold", "gold", 0, 0)
    settings, source = ProjectSettings.model_validate(world.project.settings), world.splits["train"]
    for each in gold:
        image = images[each.image_id]
        assert (image.split, each.state) == ("train", "gold")
        box = grid_of(image.height, image.width, settings).box(each.cell)
        assert (each.row, each.col, each.height, each.width) == (box.row, box.col, box.height, box.width)
        assert each.truth is not None
        kept = decode_label_png(each.truth, height=each.height, width=each.width)
        assert np.array_equal(kept, CLASSES.to_ids(source.label_map(image.ordinal)[box.slices]))
        assert is_telling(kept, CLASSES.ignore_id)
    # Their numbers lie among those of the round.
    assert min(each.id for each in gold) > min(each.id for each in others)
    assert max(each.id for each in gold) < max(each.id for each in others)


def test_they_show_what_the_newest_segmenter_predicts(build_world: Callable[..., World]) -> None:
    world = build_world()
    play(world, 0)
    gold, others = regions(world, gold=True), regions(world, gold=False)
    before = {each.prediction_checkpoint_id for each in others}
    assert len(before) == 1
    assert None not in before
    assert {each.prediction_checkpoint_id for each in gold} == before
    assert all(each.prediction is not None for each in gold)
    world.label_all()
    world.work()
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    newest = {each.prediction_checkpoint_id for each in regions(world, gold=False) if each.state == "open"}
    assert {each.prediction_checkpoint_id for each in regions(world, gold=True)} == newest != before


def test_without_a_segmenter_they_have_no_prediction_as_the_round_has_none(build_world: Callable[..., World]) -> None:
    world = build_world(segmenter=False)
    play(world, 0)
    both = [*regions(world, gold=True), *regions(world, gold=False)]
    assert len(both) == WISHED + 4
    assert {(each.prediction, each.prediction_checkpoint_id) for each in both} == {(None, None)}


def test_the_seed_decides_and_later_rounds_have_others(build_world: Callable[..., World]) -> None:
    found = []
    for seed in (1, 1, 2):
        world = build_world(seed=seed)
        play(world, 0)
        found.append([(each.image_id - min(world_images(world)), each.cell) for each in regions(world, gold=True)])
    assert found[0] == found[1] != found[2]
    play(world, 1)
    cells = [(each.image_id, each.cell) for each in regions(world, gold=True)]
    assert len(set(cells)) == len(cells) > WISHED


def world_images(world: World) -> list[int]:
    with world.database.read() as session:
        return list(session.scalars(select(Image.id).where(Image.project_id == world.project.id)))


def test_the_round_is_the_same_with_and_without_them(build_world: Callable[..., World]) -> None:
    found = []
    for share in (0.0, 0.3):
        world = build_world(gold_share=share)
        play(world, 1)
        first = min(world_images(world))
        found.append([(each.image_id - first, each.cell, each.score) for each in regions(world, gold=False)])
        assert bool(regions(world, gold=True)) is (share > 0)
    assert found[0] == found[1]
    assert len(found[0]) == 8


def test_where_no_truth_is_telling_there_are_none(build_world: Callable[..., World]) -> None:
    blank = Rectangles(3, 4)
    for each in blank.labels:
        each[:] = 1
    world = build_world(train=blank)
    play(world, 0)
    assert (regions(world, gold=True), len(regions(world, gold=False))) == ([], 4)


def test_with_parts_of_cells_they_are_divided_as_the_round_is(build_world: Callable[..., World]) -> None:
    world = build_world(levels=2)
    play(world, 0)
    sizes = {(each.height, each.width) for each in regions(world, gold=False)}
    gold = {(each.height, each.width) for each in regions(world, gold=True)}
    assert gold <= sizes
