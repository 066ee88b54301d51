"""The live work on blobs in S3: images are read there, segmenters and what slices leave for each other kept there."""

from collections.abc import Callable

import pytest

from service.blobs import Blobs
from tests.workers.conftest import Rectangles, World


@pytest.fixture
def blobs(s3_url: str) -> Blobs:
    """Instead of a folder."""
    return Blobs(s3_url)


def test_a_campaign_is_played_to_its_end(make_world: Callable[..., World]) -> None:
    world = make_world(budget=4, strategy="entropy").add("pool", Rectangles(4, 1)).add("train", Rectangles(2, 2))
    world.slice_seconds(0.0)  # each step of a training saves its state, and the next goes on from it
    body = {"kind": "pretrain", "settings": {"source": "none", "max_epochs": 3}}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    assert world.work().count("pretrain") > 1
    assert world.call("GET", f"/jobs/{job}")["state"] == "done"
    world.call("GET", "/next-regions", params={"project": world.project.id})
    assert world.work() == ["ask"]
    assert len(world.label_all()) == 4
    assert {"tell", "finish"} <= set(world.work())
    (round_,) = world.rounds()
    assert (round_["state"], round_["size"]) == ("told", 4)
    kinds = {each.key.partition("/")[0] for each in world.blobs.found()}
    assert {"images", "label_maps", "checkpoints"} <= kinds
