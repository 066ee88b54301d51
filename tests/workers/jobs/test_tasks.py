"""The tasks behind the service: a campaign through the real API, database and Celery task, and what interrupts it."""

import json
import threading
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select

from models.segmenter import build
from service.domain.job_kinds import JobKind
from service.domain.masks import decode_png
from service.store import checkpoints as checkpoint_store
from service.store import jobs as job_store
from service.tables import Checkpoint, Job
from tests.conftest import START
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.jobs import tasks as job_tasks
from workers.jobs.delivery import JobRun, Worker, run_claimed
from workers.training.checkpoints import save_segmenter

FAST = {"max_epochs": 2, "patience": 2, "batch": 4, "source_images": 8, "source_epochs": 1}


def full_world(make_world: Callable[..., World], **changes: Any) -> World:
    world = make_world(**changes)
    world.add("pool", Rectangles(6, 1), labelled=False).add("state", Rectangles(2, 2)).add("reward", Rectangles(2, 3))
    return world.add("train", Rectangles(4, 4))


def start(world: World, kind: str, **settings: Any) -> Job:
    made = world.call("POST", f"/projects/{world.project.id}/jobs", json={"kind": kind, "settings": settings})
    return world.job(made["id"])


def result_of(world: World, job: Job) -> dict[str, Any]:
    result = world.job(job.id).result
    assert result is not None
    return result


def with_segmenter(world: World) -> str:
    """Adds a segmenter; the kind of its checkpoint."""
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    return "segmenter"


def ask_for_regions(world: World) -> Any:
    return world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})


def test_until_there_is_a_segmenter_rounds_are_random_and_the_first_labels_train_one(
    make_world: Callable[..., World],
) -> None:
    world = full_world(make_world, strategy="entropy", budget=8)
    assert ask_for_regions(world)["reason"] == "scoring"
    world.work()
    world.label_all()
    assert world.work() == ["tell", "ask"]
    first, second = world.rounds()
    assert (first["strategy"], first["state"], first["checkpoint_id"]) == ("random", "told", None)
    assert "no segmenter" in first["note"]
    assert first["reward"] == pytest.approx(100 * (first["miou_after"] - first["miou_before"]))
    assert sum(first["class_counts"].values()) <= 4 * 16 * 16
    assert set(first["iou_per_class"]) == set(CLASSES.names)
    assert {"ask_score", "tell_train", "tell_measure"} <= set(first["seconds"])
    assert (second["strategy"], second["state"]) == ("entropy", "open")
    assert second["checkpoint_id"] == first["result_checkpoint_id"]


def test_pretrain_policy_rounds_and_finish(make_world: Callable[..., World]) -> None:
    world = full_world(make_world, strategy="learned", budget=8)
    pretrain = start(world, "pretrain", source="half", **FAST)
    policy = start(world, "train-policy", episodes=2, budget=8, pool_size=3)
    world.work()
    assert world.job(pretrain.id).state == world.job(policy.id).state == "done"
    assert len(result_of(world, policy)["returns"]) == 2
    ask_for_regions(world)
    for _ in range(2):
        world.work()
        world.label_all()
    assert "finish" in world.work()
    rounds = world.rounds()
    assert [each["strategy"] for each in rounds] == ["learned", "learned"]
    assert all(each["policy_id"] for each in rounds)
    assert rounds[1]["miou_before"] == pytest.approx(rounds[0]["miou_after"])
    assert ask_for_regions(world)["reason"] == "budget_reached"
    project = world.call("GET", f"/projects/{world.project.id}")
    assert set(project["checkpoints"]) == {"source", "segmenter", "policy", "final"}


def test_predictions_prefill_the_proposed_regions(make_world: Callable[..., World]) -> None:
    world = full_world(make_world, strategy="entropy")
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    ask_for_regions(world)
    world.work()
    region = ask_for_regions(world)["items"][0]
    response = world.client.get(region["prediction_url"])
    label_map = decode_png(response.content, max_pixels=10_000)
    assert label_map.shape == (16, 16)
    assert set(np.unique(label_map)) <= {0, 1, 2}


def test_a_repeated_delivery_changes_nothing(make_world: Callable[..., World]) -> None:
    world = full_world(make_world, strategy="random")
    ask_for_regions(world)
    world.work()
    world.label_all()
    world.work()
    before = world.rounds()
    with world.database.write() as session:
        for job in session.scalars(select(Job)):
            job.state = "queued"  # as if the broker had delivered everything a second time, after the rows were lost
    world.work()
    assert world.rounds()[: len(before)] == before


def test_a_round_labelled_while_pretraining_is_learned_from_when_that_ends(make_world: Callable[..., World]) -> None:
    world = full_world(make_world, strategy="entropy", budget=8)
    ask_for_regions(world)
    world.work()
    job = start(world, "pretrain", source="none", **FAST)
    with world.database.write() as session:  # the broker is slow with the pretrain job
        session.get_one(Job, job.id).state = "running"
        session.get_one(Job, job.id).heartbeat_at = None
    world.label_all()
    world.work()
    assert "when pretraining ends" in world.rounds()[0]["note"]
    with world.database.write() as session:
        session.get_one(Job, job.id).state = "queued"
    world.work()
    assert result_of(world, job)["rounds_learned_from"] == 1


def test_long_jobs_are_cut_into_slices_and_end_with_the_same_figures(make_world: Callable[..., World]) -> None:
    results = []
    world = full_world(make_world, strategy="entropy")
    for slice_seconds in (1e-9, 600.0):
        forget_checkpoints(world)
        world.slice_seconds(slice_seconds)
        jobs = [start(world, "pretrain", source="half", **FAST)]
        runs = world.work()
        jobs.append(start(world, "train-policy", episodes=2, budget=8, pool_size=3))
        runs += world.work()
        assert (len(runs) > 4) == (slice_seconds < 1)
        results.append([world.job(job.id).result for job in jobs])
    assert results[0] == results[1]


def forget_checkpoints(world: World) -> None:
    with world.database.write() as session:
        session.execute(delete(Checkpoint))


def test_a_cancelled_job_stops_and_goes_on_when_tried_again(make_world: Callable[..., World]) -> None:
    world = full_world(make_world)
    job = start(world, "pretrain", source="none", **{**FAST, "max_epochs": 400, "patience": 400})
    thread = threading.Thread(target=world.work)
    thread.start()
    while world.job(job.id).progress <= 0.5:
        assert thread.is_alive()
    world.call("POST", f"/jobs/{job.id}/cancel")
    thread.join(timeout=30)
    stopped = world.job(job.id)
    assert stopped.state == "cancelled"
    with world.database.write() as session:
        session.get_one(Job, job.id).payload = {**stopped.payload, "max_epochs": 3}
    world.call("POST", f"/jobs/{job.id}/retry")
    world.work()
    assert world.job(job.id).state == "done"


def test_a_job_that_cannot_be_done_says_what_to_change(make_world: Callable[..., World]) -> None:
    world = full_world(make_world)
    words: dict[JobKind, str] = {
        "train-policy": "pretrain job first",
        "finish": "no labelled region",
        "evaluate": "no checkpoint",
    }
    for kind, word in words.items():
        with world.database.write() as session:  # asked for while it was not lacking
            job = job_store.queue_job(session, project_id=world.project.id, kind=kind, now=START)
        world.work()
        assert world.job(job.id).state == "failed"
        assert word in str(world.job(job.id).error)


def test_evaluate_measures_a_split(make_world: Callable[..., World]) -> None:
    world = full_world(make_world).add("test", Rectangles(2, 9))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    job = start(world, "evaluate", split="test")
    world.work()
    result = result_of(world, job)
    assert result["images"] == 2
    assert 0 <= result["miou"] <= 1


def test_an_unforeseen_error_is_in_the_jobs_row_and_the_job_is_tried_again(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = full_world(make_world)
    job = start(world, "evaluate", split="reward", checkpoint=with_segmenter(world))

    def broken(run: JobRun) -> dict[str, Any]:
        raise RuntimeError("the card fell off the bus")

    monkeypatch.setitem(job_tasks.HANDLERS, "evaluate", broken)
    states = []
    for _ in range(3):
        world.celery.tasks["regionwise.run_job"].apply(args=[job.id])
        states.append((world.job(job.id).state, world.job(job.id).error))
    assert states == [(state, "RuntimeError: the card fell off the bus") for state in ("queued", "queued", "failed")]


def test_a_job_given_to_another_worker_is_dropped_by_the_first(make_world: Callable[..., World]) -> None:
    world = full_world(make_world)
    job = start(world, "evaluate", split="reward", checkpoint=with_segmenter(world))
    worker = Worker(
        database=world.database, blobs=world.blobs, settings=world.settings, clock=lambda: job.created_at, device="cpu"
    )

    def slow(run: JobRun) -> dict[str, Any]:
        with world.database.write() as session:
            session.get_one(Job, run.job_id).lock = "another"
        return {"should": "be lost"}

    assert run_claimed(worker, job.id, {"evaluate": slow}) == "lost"
    assert world.job(job.id).result is None
    with pytest.raises(job_store.JobLost), world.database.write() as session:
        job_store.owned_job(session, job.id, "mine")


def test_export_holds_one_label_map_per_image_with_ignore_elsewhere(make_world: Callable[..., World]) -> None:
    world = full_world(make_world, strategy="random")
    ask_for_regions(world)
    world.work()
    world.label_all()
    response = world.client.get(f"/projects/{world.project.id}/export")
    archive = zipfile.ZipFile(BytesIO(response.content))
    manifest = json.loads(archive.read("manifest.json"))
    assert sum(len(each["regions"]) for each in manifest["images"]) == 4
    for each in manifest["images"]:
        label_map = decode_png(archive.read(each["label_map"]), max_pixels=100_000)
        truth = world.splits["pool"].label_map(int(each["image"].removesuffix(".png").rpartition("-")[2]))
        expected = np.full((48, 64), 255, np.uint8)
        for region in each["regions"]:
            place = np.s_[region["y"] : region["y"] + 16, region["x"] : region["x"] + 16]
            expected[place] = truth[place]
        np.testing.assert_array_equal(label_map, expected)


def test_the_newest_checkpoint_of_a_kind_counts(make_world: Callable[..., World]) -> None:
    world = full_world(make_world)
    ids = [
        world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES)) for _ in range(2)
    ]
    with world.database.read() as session:
        latest = checkpoint_store.latest_checkpoint(session, world.project.id, "segmenter")
    assert latest is not None
    assert latest.id == ids[1]
