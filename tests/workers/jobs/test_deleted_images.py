"""Campaigns go on when images are deleted under them: the pool, what is learned from, and what D_R was measured on."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from sqlalchemy import select

from models.segmenter import build
from service.schemas.policies import PolicySettings
from service.tables import Checkpoint, Image, Region
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.datasets.base import ImageSource, Joined
from workers.jobs.grounds import games_made_of
from workers.loop.round import LoopSettings
from workers.training.checkpoints import load_segmenter, save_segmenter

FEW, REGIONS = 3, 12  # images of the pool, and regions of each


def begun(make_world: Callable[..., World], **settings: Any) -> World:
    """A project whose first round is learned from, and whose second waits for its ask."""
    world = make_world(strategy="entropy", **settings)
    world.add("pool", Rectangles(FEW, 1), labelled=False).add("reward", Rectangles(3, 3))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    world.label_all()
    world.work()
    return world


def images(world: World, split: str) -> list[Image]:
    with world.database.read() as session:
        chosen = select(Image).where(Image.project_id == world.project.id, Image.split == split)
        return list(session.scalars(chosen.order_by(Image.ordinal)))


def delete(world: World, image: Image) -> dict[str, Any]:
    deleted: dict[str, Any] = world.call("DELETE", f"/images/{image.id}", params={"confirm": image.name})
    return deleted


def of_open_round(world: World) -> set[int]:
    with world.database.read() as session:
        return set(session.scalars(select(Region.image_id).where(Region.state == "open")))


def skip_all(world: World) -> None:
    given = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})
    for region in given["items"]:
        body = {"lease_token": region["lease_token"], "reason": "blurred"}
        world.call("POST", f"/regions/{region['id']}/skip", json=body)


def play(world: World) -> None:
    """Label whatever is asked for until nothing is left."""
    while world.call("GET", "/next-regions", params={"project": world.project.id})["items"]:
        world.label_all()
        world.work()


@pytest.mark.parametrize("place", [0, FEW - 1])
def test_rounds_go_on_to_the_end_of_the_pool_that_is_left(
    make_world: Callable[..., World], place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.rounds._finish_campaign", lambda *given: None)  # its training takes long
    world = begun(make_world)
    skip_all(world)  # the second round waits for no label
    with world.database.write() as session:
        session.get_one(type(world.project), world.project.id).active = False
    world.work()
    gone = images(world, "pool")[place]
    lost = delete(world, gone)
    world.call("PATCH", f"/projects/{world.project.id}", json={"active": True})
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    play(world)
    project = world.call("GET", f"/projects/{world.project.id}")
    assert project["pool_regions"] == REGIONS * (FEW - 1)
    assert sum(project["regions"].values()) == REGIONS * (FEW - 1)
    assert gone.id not in of_open_round(world)
    assert sum(each["size"] for each in world.rounds()) == REGIONS * (FEW - 1) + lost["regions"]
    with world.database.read() as session:
        cells = session.execute(select(Region.image_id, Region.cell)).all()
    assert len(set(cells)) == len(cells) == REGIONS * (FEW - 1)


def test_networks_learn_again_from_rounds_whose_labels_are_gone(make_world: Callable[..., World]) -> None:
    world = begun(make_world, budget=4)
    (last,) = [each for each in world.rounds() if each["state"] == "told"]
    for image in images(world, "pool"):
        delete(world, image)
    refused = world.client.post(f"/projects/{world.project.id}/jobs", json={"kind": "finish"}).json()["error"]
    assert refused["message"] == "There is no labelled region to train on yet."
    world.add("train", Rectangles(4, 5))
    settings = {"source": "none", "max_epochs": 1, "batch": 4}
    started = world.call("POST", f"/projects/{world.project.id}/jobs", json={"kind": "pretrain", "settings": settings})
    world.work()
    assert world.job(started["id"]).state == "done", world.job(started["id"]).error
    assert [each for each in world.rounds() if each["id"] == last["id"]] == [last]


def test_figures_are_measured_anew_where_the_reward_images_are_others(make_world: Callable[..., World]) -> None:
    world = begun(make_world)
    delete(world, images(world, "reward")[0])
    world.add("reward", Rectangles(1, 9), first=7)  # as many as before, but others
    world.label_all()
    world.work()
    first, second = (each for each in world.rounds() if each["state"] == "told")
    with world.database.read() as session:
        row = session.get_one(Checkpoint, first["result_checkpoint_id"])
    segmenter, saved = load_segmenter(world.blobs.get(row.blob_key), CLASSES, "cpu")
    assert saved.extra["measured_on"].tolist() == [FEW + 1, FEW + 2, FEW + 3]
    assert second["miou_before"] != first["miou_after"]
    assert second["miou_before"] == pytest.approx(_miou(segmenter, world), abs=1e-9)


def _miou(segmenter: Any, world: World) -> float:
    """Worked out from the label maps that the segmenter predicts of D_R as it is now."""
    truth = {f"reward-{n:03}.png": (Rectangles(3, 3), n) for n in range(3)} | {"reward-007.png": (Rectangles(1, 9), 0)}
    hits, union = np.zeros(3), np.zeros(3)
    for row in images(world, "reward"):
        source, number = truth[row.name]
        pixels = torch.from_numpy(source.image(number)).permute(2, 0, 1)[None]
        with torch.no_grad():
            predicted = segmenter.eval()(pixels).argmax(1)[0].numpy()
        known = source.label_map(number)
        for each in range(3):
            hits[each] += ((predicted == each) & (known == each)).sum()
            union[each] += (((predicted == each) & (known != 255)) | (known == each)).sum()
    return float((hits[union > 0] / union[union > 0]).mean())


def test_games_are_of_other_images_once_one_has_taken_the_place_of_another() -> None:
    def made_of(*seeds: int) -> str:
        splits: dict[str, ImageSource] = {
            "train": Joined([Rectangles(1, seed) for seed in seeds]),
            "reward": Rectangles(2, 3),
        }
        project, source = SimpleNamespace(settings=SimpleNamespace(seed=1)), SimpleNamespace(id=1)
        return games_made_of(cast(Any, project), cast(Any, source), splits, PolicySettings(), LoopSettings(classes=3))

    assert made_of(4, 5) == made_of(4, 5)
    assert made_of(4, 5) != made_of(4, 99)
