"""What a project that leaves the choice to the service asks for its rounds by."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from models.blend import Blend
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.smp import EncoderOutOfReach
from tests.workers.conftest import ARCHITECTURE, CLASSES, FROZEN, Rectangles, World
from workers.jobs.project import ProjectData
from workers.training.building import fresh_segmenter
from workers.training.checkpoints import save_policy, save_segmenter

POOL = Rectangles(6, 1)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world(strategy="auto", budget=8, seed=5, **FROZEN)
    made.add("pool", POOL, labelled=False)
    return made


def add_segmenter(world: World) -> None:
    segmenter = fresh_segmenter(ARCHITECTURE, 3, [POOL], 5, "cpu")
    segmenter.note_learned()
    world.add_checkpoint("segmenter", save_segmenter(segmenter, CLASSES))


def asked(world: World) -> tuple[dict[str, Any], str]:
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    return world.rounds()[0], world.call("GET", f"/projects/{world.project.id}")["choice"]["by"]


def test_without_any_policy_it_is_the_one_that_comes_along_which_needs_no_state_set(world: World) -> None:
    add_segmenter(world)
    round_, by = asked(world)
    assert (round_["strategy"], round_["policy_id"], by) == ("learned", None, "shipped")
    assert round_["note"] == "Asked for by the policy that comes with regionwise."


def test_without_a_segmenter_regions_are_unlike_each_other_and_predict_nothing(world: World) -> None:
    round_, by = asked(world)
    assert (round_["strategy"], by) == ("coreset", "coreset")
    assert (
        round_["note"]
        == "There is no segmenter yet, so regions were chosen that the encoder sees as unlike each other."
    )
    assert round_["checkpoint_id"] is None
    regions = world.call("GET", "/next-regions", params={"project": world.project.id})["items"]
    assert [each["prediction_url"] for each in regions] == [None] * len(regions)
    assert regions


def test_who_goes_by_predictions_alone_begins_at_random(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="entropy", budget=8, seed=5, **FROZEN)
    world.add("pool", POOL, labelled=False)
    round_, by = asked(world)
    assert (round_["strategy"], by) == ("random", "random")
    assert round_["note"] == "There is no segmenter yet, so regions were drawn at random."


def test_without_an_encoder_too_they_are_random_and_the_note_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(project: ProjectData) -> None:
        raise EncoderOutOfReach("Its weights cannot be downloaded now.")

    monkeypatch.setattr(ProjectData, "fresh_segmenter", fresh)
    round_, _ = asked(world)
    assert round_["strategy"] == "random"
    assert round_["note"].endswith("were drawn at random. Its weights cannot be downloaded now.")


@pytest.mark.parametrize(
    ("winner", "strategy", "note"),
    [
        ("own", "learned", ""),
        (
            "shipped",
            "learned",
            "Asked for by the policy that comes with regionwise, which was ahead of the project's own in held-out games.",
        ),
        ("entropy", "entropy", "Asked for by entropy, which was ahead of the project's policy in held-out games."),
    ],
)
def test_after_a_comparison_it_is_the_winner(world: World, winner: str, strategy: str, note: str) -> None:
    add_segmenter(world)
    world.add_checkpoint("policy", save_policy(Blend(), CLASSES), winner=winner)
    round_, by = asked(world)
    assert (round_["strategy"], round_["note"], by) == (strategy, note, winner)
    assert (round_["policy_id"] is not None) == (winner == "own")


@pytest.mark.parametrize("said", [{"winner": "os.system"}, {"winner": 5, "compared": 5, "saved": "x"}])
def test_a_description_that_makes_no_sense_is_as_good_as_none(world: World, said: dict[str, Any]) -> None:
    add_segmenter(world)
    world.add_checkpoint("policy", save_policy(Blend(), CLASSES), **said)
    round_, by = asked(world)
    assert (round_["strategy"], round_["note"], by) == ("learned", "", "own")


def test_a_policy_that_was_compared_with_nothing_is_used(world: World) -> None:
    add_segmenter(world)
    world.add_checkpoint("policy", save_policy(Blend(), CLASSES))
    round_, by = asked(world)
    assert (round_["strategy"], round_["note"], by) == ("learned", "", "own")
    assert round_["policy_id"] is not None


def test_a_policy_that_does_not_fit_gives_way_to_the_one_that_comes_along(world: World) -> None:
    add_segmenter(world)
    policy = QueryNetwork(3, 99, generator=torch.Generator().manual_seed(4))
    world.add_checkpoint("policy", save_policy(policy, CLASSES))
    round_, _ = asked(world)
    assert (round_["strategy"], round_["policy_id"]) == ("learned", None)
    assert "99 regions" in round_["note"]
    assert round_["note"].endswith("Asked for by the policy that comes with regionwise.")


@pytest.mark.parametrize(
    ("strategy", "note"),
    [
        ("class-balanced", "Costs in clicks do not count: the strategy orders regions, and has no value for its cost."),
        ("auto", "Asked for by the policy that comes with regionwise."),  # it weighs costs by itself
    ],
)
def test_where_costs_cannot_count_the_note_says_so(make_world: Callable[..., World], strategy: str, note: str) -> None:
    sized = make_world(strategy=strategy, budget=8, seed=5, levels=2, cost="clicks", **FROZEN)
    sized.add("pool", POOL, labelled=False)
    add_segmenter(sized)
    assert asked(sized)[0]["note"] == note


@pytest.mark.parametrize(("strategy", "who"), [("auto", "coreset"), ("entropy", "random")])
def test_a_round_names_who_asked_where_the_head_has_learned_from_nothing(
    make_world: Callable[..., World], strategy: str, who: str
) -> None:
    world = make_world(strategy=strategy, budget=8, seed=5, **FROZEN)
    world.add("pool", POOL, labelled=False)
    world.add_checkpoint("segmenter", save_segmenter(fresh_segmenter(ARCHITECTURE, 3, [POOL], 5, "cpu"), CLASSES))
    round_, _ = asked(world)
    assert (round_["strategy"], round_["policy_id"]) == (who, None)
    assert round_["note"].startswith("The network has not learned from the project's classes as they are")


def test_a_policy_that_looks_at_a_state_set_that_is_gone_is_not_asked(world: World) -> None:
    add_segmenter(world)
    network = RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(0))
    world.add_checkpoint("policy", save_policy(network, CLASSES))
    round_, _ = asked(world)
    assert (round_["state"], round_["strategy"], round_["policy_id"]) == ("open", "learned", None)
    assert "the split `state`" in round_["note"]
    assert round_["note"].endswith("Asked for by the policy that comes with regionwise.")


def test_bald_without_dropout_is_random(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="bald", dropout=0.0, budget=8, seed=5, **FROZEN)
    world.add("pool", POOL, labelled=False)
    add_segmenter(world)
    round_, _ = asked(world)
    assert (round_["state"], round_["strategy"]) == ("open", "random")
    assert "no dropout" in round_["note"]
