"""Rounds that a policy asked for are kept as it saw them, and a policy that is trained later learns from them."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from service.schemas.policies import PolicySettings
from service.tables import Round
from tests.workers.conftest import ARCHITECTURE, CLASSES, FROZEN, Rectangles, World
from tests.workers.jobs.test_choosing import add_segmenter
from workers.jobs.grounds import live_rounds
from workers.jobs.project import load_project
from workers.policy import building
from workers.policy.memories import LiveRound
from workers.training.building import fresh_segmenter
from workers.training.checkpoints import save_segmenter

TINY = {
    "policy": "turns", "episodes": 1, "imitate": 0, "budget": 8, "batch_size": 4, "pool_size": 3, "batch": 4, "width": 4,
    "updates_per_round": 1, "capacity": 100, "refit_steps": 2, "compare_games": 0,
}  # fmt: skip


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world(strategy="auto", budget=12, batch_size=4, seed=5, lookahead=False, **FROZEN)
    made.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(4, 2)).add("train", Rectangles(4, 4))
    add_segmenter(made)
    source = fresh_segmenter(ARCHITECTURE, 3, [Rectangles(6, 1)], 5, "cpu")
    made.add_checkpoint("source", save_segmenter(source, CLASSES), source="none")
    return made


def play(world: World, rounds: int) -> None:
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    for _ in range(rounds):
        world.label_all()
        world.work()


def remembered(world: World) -> list[LiveRound]:
    return live_rounds(load_project(world.worker, world.project.id), PolicySettings(network="turns"))


def test_they_are_kept_and_learned_from(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    play(world, 2)
    rounds, seen = world.rounds(), remembered(world)
    assert [each.number for each in seen] == [1, 2]
    assert [each.gain for each in seen] == [each["reward"] for each in rounds[:2]]
    assert [len(each.asked.pools) for each in seen] == [4, 4]

    given: list[int] = []
    trainer = building.dqn_trainer

    def noting(settings: Any, ground: Any, seed: int, live: Any = ()) -> Any:
        given.append(len(live))
        return trainer(settings, ground, seed, live)

    monkeypatch.setattr(building, "dqn_trainer", noting)
    body = {"kind": "train-policy", "settings": TINY}
    made = world.call("POST", f"/projects/{world.project.id}/jobs", json=body)
    world.work()
    job = world.call("GET", f"/jobs/{made['id']}")
    assert (job["state"], job["error"], given) == ("done", None, [2])


def test_of_rounds_that_no_policy_asked_for_there_is_nothing(world: World) -> None:
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"strategy": "entropy"}})
    play(world, 1)
    assert remembered(world) == []
    with world.database.read() as session:
        assert set(session.scalars(select(Round.seen_key))) == {None}
