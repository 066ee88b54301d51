"""Policies of the live product: any that has a name is trained, and chooses as it does in the simulation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.segmenter import build
from models.strategies import build_strategy
from service.domain.pool import Pool
from service.queue import RUN_JOB
from service.schemas.named_policies import named_policies
from service.schemas.policies import PolicyPayload, PolicySettings
from service.store.jobs import queue_job
from service.tables import Checkpoint
from tests.conftest import START
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.jobs import policies
from workers.jobs.project import load_project
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.round import groups_of
from workers.policy.building import build_trainer
from workers.policy.playing import PolicyTrainer
from workers.training.checkpoints import load_policy, load_segmenter, save_policy, save_segmenter

POOL, STATE = Rectangles(8, 1), Rectangles(2, 2)
TINY = {
    "policy": "regionwise", "episodes": 2, "budget": 8, "batch_size": 4, "pool_size": 3, "batch": 4, "width": 4,
    "updates_per_round": 1, "capacity": 100,
}  # fmt: skip


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world(strategy="learned", budget=8, seed=5)
    made.add("pool", POOL, labelled=False).add("state", STATE)
    made.add("train", Rectangles(4, 4)).add("reward", Rectangles(2, 3))
    segmenter = build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(3)).eval()
    for kind in ("source", "segmenter"):
        made.add_checkpoint(kind, save_segmenter(segmenter, CLASSES), source="none")
    return made


def train(world: World, **settings: Any) -> dict[str, Any]:
    body = {"kind": "train-policy", "settings": settings}
    made = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)
    world.work()
    job: dict[str, Any] = world.call("GET", f"/jobs/{made['id']}")
    return job


def test_a_round_of_our_policy_chooses_what_the_simulation_chooses(world: World) -> None:
    job = train(world, **TINY)
    assert (job["state"], job["error"]) == ("done", None)
    assert (job["result"]["name"], len(job["result"]["returns"])) == ("regionwise", 2)

    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    live = sorted(world.label_all())
    (round_, *_) = world.rounds()
    assert (round_["strategy"], round_["note"]) == ("learned", "")

    with world.database.read() as session:
        files = {id: session.get_one(Checkpoint, round_[id]).blob_key for id in ("policy_id", "checkpoint_id")}
    policy = load_policy(world.blobs.get(files["policy_id"]), CLASSES, 24)[0]
    assert isinstance(policy, RegionwiseNetwork)
    settings = load_project(world.worker, world.project.id).loop
    learner = ActiveLearner(
        segmenter=load_segmenter(world.blobs.get(files["checkpoint_id"]), CLASSES)[0],
        strategy=build_strategy("learned", policy),
        pool=Pool(groups_of(POOL, settings)),
        labelled=LabelledSet(3),
        images=POOL,
        state=STATE,
        reward=None,
        settings=settings,
        seed=5,
        budget=8,
    )
    chosen = learner.ask(round_number=1).regions
    assert live == sorted((f"pool-{region.image:03}.png", region.cell) for region in chosen)


@pytest.mark.parametrize("gone", [{}, {"game": "surrogate", "redraw": True}, {"game": None, "redraw": None}])
def test_a_job_that_an_earlier_version_queued_trains_the_paper_s_policy(world: World, gone: dict[str, Any]) -> None:
    payload = {"episodes": 2, "budget": None, "pool_size": 3, "learning_rate": 0.001, "updates_per_round": 1, **gone}
    with world.database.write() as session:
        job = queue_job(session, project_id=world.project.id, kind="train-policy", now=START, payload=payload)
    world.work()
    done = world.call("GET", f"/jobs/{job.id}")
    assert (done["state"], done["result"]["name"], len(done["result"]["returns"])) == ("done", "paper", 2)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"policy": "clairvoyant"}, "There is no policy 'clairvoyant'; there are paper, regionwise, carried"),
        (
            {"policy": "paper", "width": 8},
            "width is not used by the paper's network: leave it at its default, or set network = 'regionwise'.",
        ),
        ({"policy": "regionwise", "sources": ["mars:1"]}, "not on 'mars:1'"),
        (
            {"policy": "absolute-classes", "sources": ["own", "shapes:1"]},
            "and shapes:1 has others: leave such sources out",
        ),
        ({"policy": "absolute-classes", "sources": ["streets:1:0-1-3"]}, "and streets:1:0-1-3 has others"),
        ({"policy": "regionwise", "episodes": 0}, "greater than or equal to 1"),
        ({"policy": "regionwise", "epsiodes": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_job_is_queued(
    world: World, wanted: dict[str, Any], sentence: str
) -> None:
    body = {"kind": "train-policy", "settings": wanted}
    response = world.client.post(f"/projects/{world.project.id}/jobs", json=body)
    assert response.status_code == 422
    error = response.json()["error"]
    assert sentence.rstrip(".") in error["message"]
    assert "Value error" not in response.text
    assert not error["message"].endswith("..")
    assert world.call("GET", f"/projects/{world.project.id}/jobs")["items"] == []


def test_a_city_whose_classes_are_not_the_project_s_fails_with_a_sentence(world: World) -> None:
    job = train(world, policy="carried")
    assert job["state"] == "failed"
    assert "has CamVid's 11 classes" in job["error"]
    assert job["attempt"] == 1


def test_games_are_made_once_however_many_slices_a_job_takes_and_give_the_same_policy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[PolicyTrainer] = []

    def making(*given: Any) -> PolicyTrainer:
        made.append(build_trainer(*given))
        return made[-1]

    monkeypatch.setattr(policies, "build_trainer", making)
    straight = train(world, **TINY)["result"]
    world.slice_seconds(-1.0)  # each slice is over after a round
    assert train(world, **TINY)["result"] == straight
    assert len(made) == 2


def test_another_process_goes_on_from_what_a_slice_saved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = train(world, **TINY)["result"]
    world.slice_seconds(-1.0)
    begun: list[int] = []

    def forgetful(*given: Any) -> Any:
        begun.append(1)
        world.worker.between_slices.clear()
        return load_project(*given)

    monkeypatch.setattr(policies, "load_project", forgetful)
    assert train(world, **TINY)["result"] == straight
    assert len(begun) > 3


def test_a_training_whose_images_changed_between_two_slices_begins_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.slice_seconds(-1.0)
    body = {"kind": "train-policy", "settings": TINY}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    world.celery.tasks[RUN_JOB].apply(args=[job], throw=True)
    assert world.job(job).state == "queued"
    world.add("reward", Rectangles(1, 9), first=7)
    world.work()
    assert world.job(job).state == "done"
    assert "has changed since its training was put away" in caplog.text


def test_a_setting_that_no_game_goes_by_may_change_between_two_slices(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    straight = train(world, **TINY)["result"]
    world.slice_seconds(-1.0)
    body = {"kind": "train-policy", "settings": TINY}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    world.celery.tasks[RUN_JOB].apply(args=[job], throw=True)
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"lease_minutes": 3.0}})
    world.work()
    assert world.job(job).result == straight
    assert "begins anew" not in caplog.text


def test_a_policy_that_was_saved_by_a_worker_that_died_is_not_trained_again(world: World) -> None:
    body = {"kind": "train-policy", "settings": TINY}
    job = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)["id"]
    policy = save_policy(RegionwiseNetwork(RegionwiseSettings(width=4)), CLASSES)
    saved = world.add_checkpoint("policy", policy, job_id=job, name="regionwise", episodes=2)
    world.work()
    assert world.job(job).result == {"name": "regionwise", "episodes": 2}
    assert world.call("GET", f"/projects/{world.project.id}")["checkpoints"]["policy"]["id"] == saved


def test_a_policy_that_has_diverged_leaves_the_round_to_chance(world: World) -> None:
    policy = RegionwiseNetwork(RegionwiseSettings(width=4))
    with torch.no_grad():
        for weights in policy.parameters():
            weights.fill_(1e30)
    world.add_checkpoint("policy", save_policy(policy, CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    (round_, *_) = world.rounds()
    assert (round_["state"], round_["strategy"]) == ("open", "random")
    assert "no finite numbers. Until another one is trained" in round_["note"]
    assert len(world.label_all()) == 4


@pytest.mark.parametrize("name", [name for name, own in named_policies().items() if not own.get("ready")])
def test_every_policy_with_a_name_can_be_asked_for(name: str) -> None:
    payload = PolicyPayload.model_validate({"policy": name, "episodes": 24})
    assert payload.name(refits=True) == payload.name(refits=False) == name
    assert payload.chosen(name) == PolicySettings.model_validate({**named_policies()[name], "episodes": 24})


def test_the_policy_that_comes_trained_is_not_trained() -> None:
    with pytest.raises(ValueError, match="shipped comes trained: leave it as it is, or train blend"):
        PolicyPayload.model_validate({"policy": "shipped"})


@pytest.mark.parametrize("chosen", [{"population": 20}, {"blank": 0.5}, {"sources": ["streets:1"]}])
def test_what_the_policy_of_this_project_has_no_use_for_is_refused(world: World, chosen: dict[str, Any]) -> None:
    body = {"kind": "train-policy", "settings": chosen}
    response = world.client.post(f"/projects/{world.project.id}/jobs", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "settings_contradict")


@pytest.mark.parametrize(
    ("given", "refits", "name"),
    [
        ({}, True, "blend"),
        ({}, False, "paper"),
        ({"episodes": 20}, True, "blend"),
        ({"gamma": 0.9}, True, "paper"),
        ({"episodes": 3, "budget": 96, "pool_size": 6}, True, "paper"),  # fewer than a generation
        ({"network": "regionwise", "width": 16}, True, "paper"),
        ({"network": "blend"}, True, "blend"),
    ],
)
def test_who_names_no_policy_gets_one_that_fits(given: dict[str, Any], refits: bool, name: str) -> None:
    payload = PolicyPayload.model_validate(given)
    assert payload.name(refits=refits) == name
    payload.chosen(name)
