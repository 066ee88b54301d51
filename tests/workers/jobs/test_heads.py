"""Jobs of a project whose encoder stays frozen: a head for the first round, refits, predictions, the long fit at the end."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.frozen import FrozenSegmenter
from service.domain.masks import decode_png
from service.queue import RUN_JOB
from tests.workers.conftest import CLASSES, Rectangles, World
from tests.workers.jobs.test_tasks import start
from workers.datasets.on_device import stack_images
from workers.training.checkpoints import load_segmenter

FROZEN: dict[str, Any] = {
    "segmenter": "efficientnet-lite0",
    "width": 8,
    "stride": 4,
    "magnification": 1.0,
    "refit_steps": 12,
    "strategy": "entropy",
    "lookahead": True,
    "budget": 16,
}


@pytest.fixture
def frozen_world(make_world: Callable[..., World]) -> World:
    return full_frozen_world(make_world)


def full_frozen_world(make_world: Callable[..., World], **settings: Any) -> World:
    """A project whose encoder stays frozen, with images in every split that is learned from or measured on."""
    world = make_world(**{**FROZEN, **settings})
    for split, seed in (("state", 21), ("train", 22), ("reward", 23)):
        world.add(split, Rectangles(2, seed))
    return world.add("pool", Rectangles(6, 1), labelled=False)


def told_world(make_world: Callable[..., World]) -> World:
    """One of those with a labelled round that is learned from; its fits are short."""
    world = full_frozen_world(make_world, refit_steps=3)
    ask(world)
    world.label_all()
    world.work()
    return world


def segmenter_of(world: World, kind: str = "segmenter") -> tuple[int, Any, dict[str, Any]]:
    """The newest checkpoint of a kind: its id, its network, its description."""
    page = world.call("GET", f"/projects/{world.project.id}/checkpoints", params={"kind": kind, "limit": 100})
    row = page["items"][-1]
    data = world.client.get(f"/checkpoints/{row['id']}/file").content
    network, checkpoint = load_segmenter(data, CLASSES)
    return row["id"], network, checkpoint.description


def next_tell(world: World) -> int:
    """The oldest tell that waits: rounds are learned from in order."""
    jobs = world.call("GET", f"/projects/{world.project.id}/jobs")["items"]
    oldest: int = min(each["id"] for each in jobs if (each["kind"], each["state"]) == ("tell", "queued"))
    return oldest


def ask(world: World, count: int = 4) -> list[dict[str, Any]]:
    """Regions for an annotator, once a worker has proposed them."""
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    found: list[dict[str, Any]] = world.call(
        "GET", "/next-regions", params={"project": world.project.id, "count": count}
    )["items"]
    return found


def test_pretrain_fits_a_head_to_d_s_for_games_and_one_to_d_t_too_for_the_first_round(frozen_world: World) -> None:
    job = start(frozen_world, "pretrain")
    frozen_world.work()
    row = frozen_world.job(job.id)
    assert (row.state, row.error) == ("done", None)
    assert row.result is not None
    assert row.result["source"] == "state"
    assert row.result["miou"] > 0.35, row.result  # all ground is 0.3
    _, games, described = segmenter_of(frozen_world, "source")
    _, first, _ = segmenter_of(frozen_world)
    assert described["source"] == "state"
    assert isinstance(games, FrozenSegmenter)
    assert isinstance(first, FrozenSegmenter)
    assert bool(games.fitted)
    assert games.sight == first.sight
    assert not np.array_equal(games.classifier.weight.detach(), first.classifier.weight.detach())


def test_a_round_refits_on_all_labels_and_what_is_open_is_predicted_anew(frozen_world: World) -> None:
    start(frozen_world, "pretrain")
    frozen_world.work()
    before, _, _ = segmenter_of(frozen_world)
    regions = ask(frozen_world)
    assert {each["prediction_checkpoint_id"] for each in regions} == {before}
    frozen_world.label_all()
    open_now = ask(frozen_world)  # proposed while the last round was being labelled, by the head before it
    frozen_world.work()
    after, head, _ = segmenter_of(frozen_world)
    assert after > before
    shown = [frozen_world.call("GET", f"/regions/{each['id']}") for each in open_now]
    assert {each["prediction_checkpoint_id"] for each in shown} == {after}
    images = frozen_world.splits["pool"]
    for each in shown:
        answer = frozen_world.client.get(f"/regions/{each['id']}/prediction")
        assert answer.headers["x-checkpoint-id"] == str(after)
        predicted = decode_png(answer.content, max_pixels=10_000)
        number = int(each["image"]["name"][5:8]) if "image" in each else int(each["image_name"][5:8])
        whole = np.asarray(head(stack_images(images, [number], "cpu")).argmax(1)[0])
        row, col = each["y"], each["x"]
        np.testing.assert_array_equal(
            predicted, CLASSES.to_ids(whole.astype(np.uint8))[row : row + each["height"], col : col + each["width"]]
        )


def test_without_pretraining_the_first_round_makes_the_head(make_world: Callable[..., World]) -> None:
    world = make_world(**FROZEN).add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(3, 23))
    assert ask(world)
    world.label_all()
    world.work()
    _, head, description = segmenter_of(world)
    assert isinstance(head, FrozenSegmenter)
    assert description["miou"] > 0.3


def test_a_project_of_a_small_network_goes_over_to_a_frozen_encoder(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="random", budget=16).add("pool", Rectangles(6, 1), labelled=False)
    world.add("reward", Rectangles(3, 23))
    ask(world)
    world.label_all()
    world.work()
    assert not isinstance(segmenter_of(world)[1], FrozenSegmenter)
    changed = world.call(
        "PATCH", f"/projects/{world.project.id}", json={"settings": {"segmenter": "efficientnet-lite0"}}
    )
    assert (changed["settings"]["encoder"], changed["settings"]["learning"]) == ("frozen", "refit")
    ask(world)
    world.label_all()
    world.work()
    rounds = world.call("GET", f"/projects/{world.project.id}/rounds")["items"]
    assert [each["state"] for each in rounds[:2]] == ["told", "told"]
    assert isinstance(segmenter_of(world)[1], FrozenSegmenter)


@pytest.mark.parametrize("unfreeze", [False, True])
def test_finish_fits_long_and_unfreezes_where_that_is_better(frozen_world: World, unfreeze: bool) -> None:
    ask(frozen_world)
    frozen_world.label_all()
    frozen_world.work()
    job = start(frozen_world, "finish", steps=60, unfreeze=unfreeze, tuning_steps=20)
    frozen_world.work()
    row = frozen_world.job(job.id)
    assert (row.state, row.error) == ("done", None)
    assert row.result is not None
    assert row.result["regions"] in (4, 8)  # the next round may be open already
    _, final, description = segmenter_of(frozen_world, "final")
    assert isinstance(final, FrozenSegmenter) != description["unfrozen"]
    assert not (description["unfrozen"] and not unfreeze)


def test_looking_goes_on_where_it_was_when_its_slice_was_over(frozen_world: World) -> None:
    job = start(frozen_world, "pretrain")
    frozen_world.slice_seconds(0.3)
    for _ in range(40):
        frozen_world.celery.tasks[RUN_JOB].apply(args=[job.id], throw=True)
        if frozen_world.job(job.id).state == "done":
            break
    assert frozen_world.job(job.id).state == "done"


def test_without_any_label_pretraining_says_so_and_predicts_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(**FROZEN).add("pool", Rectangles(4, 1), labelled=False)
    regions = ask(world)
    refused = world.client.post(f"/projects/{world.project.id}/jobs", json={"kind": "pretrain"})
    assert refused.json()["error"]["message"].startswith("There is no label to learn from yet")
    detail = world.call("GET", f"/projects/{world.project.id}")
    assert detail["checkpoints"] == {}
    shown = world.call("GET", f"/regions/{regions[0]['id']}")
    assert (shown["prediction_url"], shown["prediction_checkpoint_id"]) == (None, None)


def test_reward_images_without_a_label_map_are_not_measured_on(make_world: Callable[..., World]) -> None:
    world = make_world(**FROZEN).add("pool", Rectangles(4, 1), labelled=False)
    world.add("reward", Rectangles(2, 23)).add("reward", Rectangles(1, 24), labelled=False, first=2)
    ask(world)
    world.label_all()
    world.work()
    assert segmenter_of(world)[2]["miou"] > 0


def test_to_unfreeze_without_reward_images_is_refused_before_anything_is_fitted(
    make_world: Callable[..., World],
) -> None:
    world = make_world(**FROZEN).add("pool", Rectangles(4, 1), labelled=False)
    ask(world)
    world.label_all()
    world.work()
    body = {"kind": "finish", "settings": {"steps": 5, "unfreeze": True}}
    refused = world.client.post(f"/projects/{world.project.id}/jobs", json=body).json()["error"]
    assert refused["message"].startswith("To unfreeze the encoder needs labelled images in the split `reward`")


def test_a_policy_is_not_trained_from_another_segmenter_than_the_projects(frozen_world: World) -> None:
    start(frozen_world, "pretrain")
    frozen_world.work()
    frozen_world.call("PATCH", f"/projects/{frozen_world.project.id}", json={"settings": {"stride": 8}})
    job = start(frozen_world, "train-policy", episodes=1, budget=4, pool_size=2)
    frozen_world.work()
    row = frozen_world.job(job.id)
    assert row.state == "failed"
    assert row.error is not None
    assert row.error.startswith("The project's segmenter has changed since it was pretrained")


def test_finish_fits_a_head_to_images_that_are_labelled_as_a_whole_where_no_region_is(frozen_world: World) -> None:
    job = start(frozen_world, "finish", steps=30, unfreeze=True, tuning_steps=1)
    frozen_world.work()
    row = frozen_world.job(job.id)
    assert (row.state, row.error) == ("done", None)
    assert row.result is not None
    assert (row.result["regions"], bool(segmenter_of(frozen_world, "final"))) == (0, True)
