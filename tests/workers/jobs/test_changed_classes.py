"""Classes that change in the middle of a round: what was labelled is learned from, and the network has the classes of now."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from models.frozen import FrozenSegmenter
from models.segmenter import build
from service.domain.classes import ClassSet
from service.domain.masks import decode_label_png
from service.tables import Checkpoint, Label, Region
from tests.workers.conftest import CLASSES, FROZEN, Rectangles, World
from workers.jobs import rounds as round_jobs
from workers.jobs.predicting import Predicted, predicted
from workers.jobs.project import load_project
from workers.training.checkpoints import classes_of, from_bytes, load_segmenter, save_segmenter

BOX, POLE = 1, 2
CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"kind": "merge", "ids": [POLE], "into": BOX}, ["ground", "box"]),
    ({"kind": "remove", "id": POLE, "into": None}, ["ground", "box"]),
    ({"kind": "add", "name": "post", "color": [0, 0, 0], "from": [POLE]}, ["ground", "box", "pole", "post"]),
]


def begun(make_world: Callable[..., World], frozen: bool, **settings: Any) -> World:
    """A campaign that has learned from one round, and whose second is open."""
    world = make_world(strategy="entropy", budget=40, **(FROZEN if frozen else {}), **settings)
    world.add("pool", Rectangles(3, 1), labelled=False).add("reward", Rectangles(2, 3))
    world.add("train" if frozen else "state", Rectangles(2, 2))
    if not frozen:
        world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    for _ in range(2):
        world.work()
        if not any(each["state"] == "told" for each in world.rounds()):
            world.label_all()
    world.work()
    assert [each["state"] for each in world.rounds()] == ["told", "open"]
    return world


def change(world: World, **told: Any) -> Any:
    return world.call("POST", f"/projects/{world.project.id}/class-changes", json=told)


def newest(world: World) -> tuple[ClassSet, bytes]:
    with world.database.read() as session:
        row = session.scalars(select(Checkpoint).where(Checkpoint.kind == "segmenter").order_by(Checkpoint.id)).all()[
            -1
        ]
    data = world.blobs.get(row.blob_key)
    classes = classes_of(from_bytes(data))
    assert classes is not None
    return classes, data


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("told", "names"), CHANGES)
def test_a_round_goes_on_and_is_learned_from_with_the_classes_of_now(
    make_world: Callable[..., World], frozen: bool, told: dict[str, Any], names: list[str]
) -> None:
    world = begun(make_world, frozen)
    first = world.rounds()[0]
    assert list(first["iou_per_class"]) == ["ground", "box", "pole"]
    change(world, **told)
    project = load_project(world.worker, world.project.id)
    assert list(project.classes.names) == names
    assert world.rounds()[0] == first
    world.label_all()  # in the ids of before
    world.work()
    rounds = world.rounds()
    assert [each["state"] for each in rounds] == ["told", "told", "open"]
    assert list(rounds[1]["iou_per_class"]) == list(rounds[1]["class_counts"]) == names
    assert list(rounds[1]["pool_shares"]) == names
    assert sum(rounds[1]["pool_shares"].values()) == pytest.approx(1.0)
    assert rounds[1]["miou_after"] is not None
    assert rounds[1]["reward"] is not None
    classes, data = newest(world)
    assert classes == project.classes
    segmenter, saved = load_segmenter(data, project.classes)
    assert segmenter.classes == len(names)
    assert len(saved.extra["confusions"][0]) == len(names)
    assert not isinstance(segmenter, FrozenSegmenter) or bool(segmenter.fitted)
    with world.database.read() as session:
        for label in session.scalars(select(Label).where(Label.kind == "migrated")):
            assert label.corrects_id is not None
        for region in session.scalars(select(Region).where(Region.state == "open")):
            png = decode_label_png(region.prediction or b"", height=region.height, width=region.width)
            assert set(np.unique(png).tolist()) <= set(project.classes.ids)


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_computed_while_classes_change_is_computed_again(
    make_world: Callable[..., World], frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = begun(make_world, frozen)
    computed = []

    def meanwhile(*given: Any) -> Predicted:
        computed.append(1)
        if len(computed) == 1:
            change(world, kind="merge", ids=[POLE], into=BOX)
        return predicted(*given)

    monkeypatch.setattr(round_jobs, "predicted", meanwhile)
    world.label_all()
    world.work()
    assert len(computed) == 3  # twice for what the round taught, once for the regions of the next
    told = world.rounds()[1]
    assert (told["state"], list(told["iou_per_class"])) == ("told", ["ground", "box"])
    assert newest(world)[0].names == ("ground", "box")


def test_a_change_that_is_taken_back_before_anything_is_learned_leaves_the_network_as_it_was(
    make_world: Callable[..., World],
) -> None:
    world = begun(make_world, frozen=True)
    before = newest(world)[1]
    change(world, kind="merge", ids=[POLE], into=BOX)
    world.call("POST", f"/projects/{world.project.id}/class-changes/1/revert")
    project = load_project(world.worker, world.project.id)
    segmenter, saved = load_segmenter(before, project.classes)
    assert saved.weights.keys() == from_bytes(before).weights.keys()
    assert "confusions" in saved.extra
    assert isinstance(segmenter, FrozenSegmenter)
    assert bool(segmenter.fitted)


def test_a_final_segmenter_is_trained_with_the_classes_of_now(make_world: Callable[..., World]) -> None:
    world = begun(make_world, frozen=True)
    change(world, kind="remove", id=POLE, into=0)
    world.call("POST", f"/projects/{world.project.id}/jobs", json={"kind": "finish", "settings": {"steps": 4}})
    world.work()
    with world.database.read() as session:
        final = session.scalars(select(Checkpoint).where(Checkpoint.kind == "final")).one()
    classes = classes_of(from_bytes(world.blobs.get(final.blob_key)))
    assert classes is not None
    assert classes.names == ("ground", "box")
