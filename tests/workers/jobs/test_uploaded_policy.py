"""A policy from elsewhere, by way of the API: rounds choose by it from then on, and it comes back as it was."""

from collections.abc import Callable

import torch

from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.segmenter import build
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.training.checkpoints import save_policy, save_segmenter


def policy_file(seed: int) -> bytes:
    network = RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(seed))
    return save_policy(network, CLASSES, returns=[1.0])


def upload(world: World, data: bytes) -> int:
    path = f"/projects/{world.project.id}/checkpoints"
    made = world.call("POST", path, files={"file": ("mine.safetensors", data)}, data={"kind": "policy"})
    number: int = made["id"]
    return number


def test_rounds_choose_by_the_policy_that_was_uploaded_last(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="learned", budget=8)
    world.add("pool", Rectangles(6, 1), labelled=False).add("state", Rectangles(2, 2)).add("reward", Rectangles(2, 3))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.add_checkpoint("policy", policy_file(1))
    first, second = policy_file(2), policy_file(3)
    used = []
    for data in (first, second):
        used.append(upload(world, data))
        world.call("GET", "/next-regions", params={"project": world.project.id})
        world.work()  # the round before is told first, and the next is asked for by what is the newest now
        world.label_all()
    rounds = world.rounds()
    assert [(each["strategy"], each["note"]) for each in rounds] == [("learned", ""), ("learned", "")]
    assert [each["policy_id"] for each in rounds] == used
    for number, data in zip(used, (first, second), strict=True):
        assert world.client.get(f"/checkpoints/{number}/file").content == data
