"""The end of a train-policy job: held-out games, who won them, and what the project then says and does."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.workers.conftest import ARCHITECTURE, CLASSES, FROZEN, Rectangles, World
from tests.workers.jobs.test_policies import train
from workers.jobs import comparing
from workers.policy import ground
from workers.policy.comparing import Comparison
from workers.training.building import fresh_segmenter
from workers.training.checkpoints import save_segmenter

POOL = Rectangles(6, 1)
SMALL = {"episodes": 4, "population": 4, "budget": 8, "batch_size": 4, "pool_size": 3, "refit_steps": 2}


@pytest.fixture
def world(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(strategy="auto", budget=8, seed=5, **FROZEN)
    made.add("pool", POOL, labelled=False)
    made.add("train", Rectangles(4, 4)).add("reward", Rectangles(2, 3))
    segmenter = save_segmenter(fresh_segmenter(ARCHITECTURE, 3, [POOL], 5, "cpu"), CLASSES)
    for kind in ("source", "segmenter"):
        made.add_checkpoint(kind, segmenter, source="none")
    quick = {"refit_steps": 2, "batch_size": 4, "pool_size": 3, "network": "blend", "budget": 8}
    monkeypatch.setattr(comparing, "named_policies", lambda: {"blend": quick})
    return made


def test_a_project_of_any_classes_plays_on_worlds_of_shapes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "CITY", {"train": 4, "state": 1, "reward": 2})
    job = train(world, **SMALL, sources=["shapes:1", "shapes:2"], compare_games=1)
    assert (job["state"], job["error"]) == ("done", None)
    assert len(job["result"]["returns"]) == 4


def test_the_result_says_who_won_by_how_much_and_what_that_saves(world: World) -> None:
    job = train(world, **SMALL, compare_games=2)
    assert (job["state"], job["error"]) == ("done", None)
    result = job["result"]
    assert (result["name"], len(result["returns"])) == ("blend", 4)
    areas = result["compared"]["areas"]
    assert set(areas) == {"own", "shipped", "class-balanced", "entropy", "bvsb", "diverse", "random"}
    assert areas[result["winner"]] == max(areas.values())
    for name, (mean, low, high) in result["compared"]["ahead"].items():
        assert low <= mean <= high
        assert mean == pytest.approx(areas[result["winner"]] - areas[name], abs=2e-3)
    project = world.call("GET", f"/projects/{world.project.id}")
    courses = result["compared"]["courses"]
    assert project["choice"] == {
        "by": result["winner"],
        "areas": areas,
        "saved": result["saved"],
        "games": 2,
        "courses": courses,
    }
    assert set(courses) == {result["winner"], "random"}
    for name, course in courses.items():
        assert course["cells"] == [4.0, 8.0]
        assert sum(course["mean"]) / 2 == pytest.approx(areas[name], abs=2e-3)


def test_without_games_nothing_is_compared_and_the_policy_is_used(world: World) -> None:
    job = train(world, **SMALL, compare_games=0)
    assert "winner" not in job["result"]
    choice = world.call("GET", f"/projects/{world.project.id}")["choice"]
    assert choice == {"by": "own", "areas": None, "saved": None, "games": None, "courses": {}}


def test_neither_slices_nor_workers_that_know_nothing_change_the_comparison(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = train(world, **SMALL, compare_games=1)["result"]
    games: list[int] = []
    play = Comparison.play

    def counted(comparison: Comparison, *given: Any) -> None:
        play(comparison, *given)
        games.append(comparison.played)
        if comparison.played % 2:
            world.worker.between_slices.clear()  # as in another process

    monkeypatch.setattr(Comparison, "play", counted)
    world.slice_seconds(-1.0)  # each slice is over after a game
    sliced = train(world, **SMALL, compare_games=1)["result"]
    assert games == list(range(1, 8))
    assert sliced == straight


def test_games_of_another_policy_or_of_other_images_do_not_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    games: list[int] = []
    play = Comparison.play

    def counted(comparison: Comparison, *given: Any) -> None:
        play(comparison, *given)
        games.append(comparison.played)
        if len(games) == 2:
            world.add("train", Rectangles(1, 9), first=4)

    monkeypatch.setattr(Comparison, "play", counted)
    world.slice_seconds(-1.0)
    assert train(world, **SMALL, compare_games=1)["state"] == "done"
    assert games == [1, 2, *range(1, 8)]


def test_where_no_game_can_be_compared_the_policy_is_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Comparison, "whole", [])
    job = train(world, **SMALL, compare_games=1)
    assert (job["state"], "winner" in job["result"]) == ("done", False)
    assert world.call("GET", f"/projects/{world.project.id}")["choice"]["by"] == "own"


def test_a_project_without_a_state_set_trains_its_policy(world: World) -> None:
    assert world.call("GET", f"/projects/{world.project.id}")["images"].get("state", 0) == 0
    assert train(world, **SMALL, compare_games=0)["state"] == "done"
